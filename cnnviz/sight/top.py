"""The images that excite each unit most, for all units of all layers in one pass of a data set.

Zeiler & Fergus 2013 (figure 2) show each feature map by its nine strongest activations over the
validation set. An image counts once for a unit, with its strongest activation, so the nine are
nine different images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.passes import Site, find_sites, frozen_twin, run_to
from cnnviz.training.augment import normalise, resize
from cnnviz.training.data import ImageSet
from cnnviz.training.files import atomic_write

#: Images of one forward pass.
BATCH_SIZE = 128

_FIELDS = ("values", "indices", "positions", "dead")
_CACHE_FORMAT = "1"


@dataclass(frozen=True, eq=False)
class TopActivations:
    """The strongest activations of every unit of one layer.

    Attributes:
        values: (units, k), float32, the strongest first.
        indices: (units, k), int64, the numbers of the images they occur in; of equal values, the
            lower number is first.
        positions: (units, k, 2), int64, row and column in the feature map.
        dead: (units,), bool, units that no image brings above zero. It says what its name says of
            a layer's output after its activation function.

    """

    values: Tensor
    indices: Tensor
    positions: Tensor
    dead: Tensor

    def class_mix(self, labels: Tensor, classes: int) -> Tensor:
        """Return the fraction of each unit's top images in each class, (units, classes).

        `labels` (N,) are those of the images that were looked at.
        """
        chosen = nn.functional.one_hot(labels.long()[self.indices], classes)  # (units, k, classes)
        return chosen.float().mean(1)


def top_activations(
    model: nn.Module,
    dataset: ImageSet | Tensor,
    layers: Sequence[str],
    k: int = 9,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, TopActivations]:
    """Find the `k` images with the strongest activation of every unit of `layers`.

    Args:
        model: a network in evaluation mode; it is not changed, so threads may share it.
        dataset: an `ImageSet`, of which the test images are taken, or uint8 images (N, C, H, W).
        layers: modules' paths or trace rows' paths, as for `project`; take the outputs of
            activation functions, since a unit is dead or alive there.
        k: images a unit; fewer where there are fewer images.
        mean: per channel on the 0..1 scale, of images given as a tensor.
        std: likewise.
        size: (height, width) to which the images are brought first, None for as they are.
        cache: a folder in which results are kept, by the hash of weights, images and question.
        progress: called with the number of images done and of all, after each batch.

    Raises:
        CnnvizError: if the model is in training mode, a layer does not exist, or the images are
            none or do not fit.

    """
    if k < 1:
        raise CnnvizError(f"k must be 1 or more, not {k}.")
    if not layers:
        raise CnnvizError("Name at least one layer.")
    twin = frozen_twin(model)
    batches = _Batches.of(dataset, mean, std, size, twin)
    path = None
    if cache is not None:
        question = (*layers, k, *batches.description, _CACHE_FORMAT)
        path = cache / f"top-{_digest(twin, batches.images, question)}.safetensors"
        kept = _read(path, layers)
        if kept is not None:
            return kept
    found = _search(twin, batches, layers, k, progress)
    if path is not None:
        _write(path, found, layers)
    return found


@dataclass(frozen=True)
class _Batches:
    """Normalised batches of a data set, made one at a time."""

    images: Tensor
    mean: Sequence[float]
    std: Sequence[float]
    size: tuple[int, int] | None
    like: Tensor

    @classmethod
    def of(
        cls,
        dataset: ImageSet | Tensor,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        size: tuple[int, int] | None,
        twin: nn.Module,
    ) -> _Batches:
        """Check the images and their statistics."""
        if isinstance(dataset, ImageSet):
            images, mean, std = dataset.test_images, dataset.mean, dataset.std
        else:
            images = dataset
        if images.dtype != torch.uint8 or images.dim() != 4 or not len(images):
            raise CnnvizError(
                f"A data set is uint8 images (N, C, H, W), not {images.dtype} of shape "
                f"{tuple(images.shape)}."
            )
        if mean is None or std is None or {len(mean), len(std)} != {images.shape[1]}:
            raise CnnvizError(f"Give mean and std of the images' {images.shape[1]} channels.")
        weights = (p for p in twin.parameters() if p.is_floating_point())
        return cls(images, mean, std, size, next(weights, torch.zeros(())))

    @property
    def description(self) -> tuple[object, ...]:
        """What decides the pixels beside the images."""
        return tuple(self.mean), tuple(self.std), self.size

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the first image's number and the batch (B, C, H, W)."""
        for start in range(0, len(self.images), BATCH_SIZE):
            piece = self.images[start : start + BATCH_SIZE].to(self.like.device)
            batch = normalise(piece, self.mean, self.std)
            batch = batch if self.size is None else resize(batch, self.size)
            yield start, batch.to(self.like.dtype)


class _Best:
    """The best values so far of one layer, (k, units), with their images and positions."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._values: Tensor | None = None
        self._indices: Tensor
        self._flat: Tensor
        self._width = 1

    def add(self, start: int, maps: Tensor) -> None:
        """Take in maps (B, units, …) of the images from number `start` on."""
        self._width = maps.shape[3] if maps.dim() == 4 else 1
        values, flat = maps.float().reshape(*maps.shape[:2], -1).max(2)  # (B, units)
        images = torch.arange(start, start + len(values), device=values.device)
        indices = images[:, None].expand_as(values)
        if self._values is not None:
            values = torch.cat([self._values, values])
            indices = torch.cat([self._indices, indices])
            flat = torch.cat([self._flat, flat])
        # Images come in order, so a stable sort leaves equal values in the order of the images.
        order = values.sort(dim=0, descending=True, stable=True).indices[: self._k]
        self._values = values.gather(0, order)
        self._indices, self._flat = indices.gather(0, order), flat.gather(0, order)

    def result(self) -> TopActivations:
        """Return what was found."""
        assert self._values is not None  # noqa: S101 - there is at least one image
        flat = self._flat.T
        positions = torch.stack([flat // self._width, flat % self._width], dim=2)
        values = self._values.T.contiguous().cpu()
        return TopActivations(
            values=values,
            indices=self._indices.T.contiguous().cpu(),
            positions=positions.contiguous().cpu(),
            dead=values[:, 0] <= 0,
        )


def _search(
    twin: nn.Module,
    batches: _Batches,
    layers: Sequence[str],
    k: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, TopActivations]:
    best = {layer: _Best(k) for layer in layers}
    sites: list[Site] = []
    total = len(batches.images)
    with torch.no_grad():
        for start, batch in batches:
            if not sites:
                sites = find_sites(twin, layers, batch[:1])

            def receive(site: Site, output: Tensor, start: int = start) -> None:
                best[site.name].add(start, output)

            run_to(twin, sites, batch, receive)
            if progress is not None:
                progress(min(start + len(batch), total), total)
    return {layer: best[layer].result() for layer in layers}


def _digest(twin: nn.Module, images: Tensor, question: tuple[object, ...]) -> str:
    """SHA-256 of the network, its weights, the images and what is asked."""
    digest = hashlib.sha256(f"{twin}\n{question}".encode())
    for name, tensor in [*twin.state_dict().items(), ("images", images)]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def _write(path: Path, found: dict[str, TopActivations], layers: Sequence[str]) -> None:
    tensors = {
        f"{number}.{field}": getattr(found[layer], field).contiguous()
        for number, layer in enumerate(layers)
        for field in _FIELDS
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, safetensors.torch.save(tensors))


def _read(path: Path, layers: Sequence[str]) -> dict[str, TopActivations] | None:
    """Return what is kept, None if there is nothing or it cannot be read."""
    try:
        tensors = safetensors.torch.load(path.read_bytes())
        return {
            layer: TopActivations(**{field: tensors[f"{number}.{field}"] for field in _FIELDS})
            for number, layer in enumerate(layers)
        }
    except (OSError, SafetensorError, KeyError):
        return None
