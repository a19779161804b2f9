"""The images that excite each unit most, for all units of all layers in one pass of a data set.

Zeiler & Fergus 2013 (figure 2) show each feature map by its nine strongest activations over the
validation set. An image counts once for a unit, with its strongest activation, so the nine are
nine different images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.passes import Site, find_sites, frozen_twin, run_to
from cnnviz.sight.units.batches import Batches
from cnnviz.sight.units.kept import Shelf
from cnnviz.training.data import ImageSet

_FIELDS = ("values", "indices", "positions", "dead")
#: What files begin with that keep how strongly each image excites each unit of a layer.
ACTIVITY = "units"


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
    keep: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, TopActivations]:
    """Find the `k` images with the strongest activation of every unit of `layers`.

    Args:
        model: a network in evaluation mode; it is not changed, so threads may share it.
        dataset: an `ImageSet`, of which the test images are taken, or uint8 images (N, C, H, W).
        layers: modules' paths or trace rows' paths, as for `project`; take the outputs of
            activation functions, since a unit is dead or alive there.
        k: images a unit; fewer where there are fewer images.
        mean: per channel on the 0..1 scale; None takes those of an `ImageSet`.
        std: likewise.
        size: (height, width) to which the images are brought first, None for as they are.
        cache: a folder in which results are kept, a file for each layer, named by the hash of
            weights, images and question.
        keep: those of `layers` of which `cache` also keeps each image's strongest activation of
            each unit, if the pass comes to them, so that `unit_activations` needs none of its own:
            4 bytes for each unit and image, in memory too until the pass ends.
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
    batches = Batches.of(dataset, mean, std, size, twin)

    def searched(layers: Sequence[str], keep: Sequence[str]) -> dict[str, _Best]:
        best = {layer: _Best(k, layer in keep) for layer in layers}
        return _search(twin, batches, best, progress)

    if cache is None:
        return {layer: best.result() for layer, best in searched(layers, ()).items()}
    return _from_shelf(
        Shelf(cache, twin, batches), layers, k, lambda missing: searched(missing, keep)
    )


def _from_shelf(
    shelf: Shelf, layers: Sequence[str], k: int, search: Callable[[Sequence[str]], dict[str, _Best]]
) -> dict[str, TopActivations]:
    """Return what the shelf has of `layers`, after a `search` for what it has not."""
    kept = {layer: shelf.read(_FIELDS, "top", layer, k) for layer in layers}
    found = {layer: TopActivations(**fields) for layer, fields in kept.items() if fields}
    missing = [layer for layer in kept if layer not in found]
    for layer, best in search(missing).items() if missing else ():
        found[layer] = best.result()
        shelf.write({field: getattr(found[layer], field) for field in _FIELDS}, "top", layer, k)
        if best.every is not None:
            shelf.write({"values": torch.cat(best.every)}, ACTIVITY, layer)
    return {layer: found[layer] for layer in layers}


def image_maxima(maps: Tensor) -> Tensor:
    """Return each image's strongest activation of each unit, (B, units), of maps (B, units, …)."""
    return (maps.amax(tuple(range(2, maps.dim()))) if maps.dim() > 2 else maps).float()


class _Best:
    """The best values so far of one layer, with their images and positions.

    Of a batch only the images' maxima are taken. Those that might be among the best are put by, and
    their positions looked up; the further the pass, the fewer they are. They are merged into the
    best when their images are half as many as those before.

    `every` has the maxima of all images, a tensor (B, units) for each batch, if they are kept.
    """

    def __init__(self, k: int, keep: bool) -> None:
        self.every: list[Tensor] | None = [] if keep else None
        self._k = k
        self._floor: Tensor | None = None  # (units,), the last of the best
        self._width = 1
        self._merged, self._pending = 0, 0  # images
        # (values, units, images, flat positions), the best first, then what is put by, in order.
        self._found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, start: int, maps: Tensor) -> None:
        """Take in maps (B, units, …) of the images from number `start` on."""
        self._width = maps.shape[-1] if maps.dim() > 2 else 1  # without positions: 1
        values = image_maxima(maps)
        if self.every is not None:
            self.every.append(values.cpu())
        if self._floor is not None:  # a value that only equals the last of the best comes after it
            better = values > self._floor
        elif len(values) > self._k:
            better = (values < values.topk(self._k, dim=0).values[-1]).logical_not()  # NaN too
        else:
            better = torch.ones_like(values, dtype=torch.bool)
        image, unit = better.nonzero(as_tuple=True)
        self._pending += len(values)
        if len(image):
            flat = maps[image, unit].reshape(len(image), -1).argmax(1)
            self._found.append((values[image, unit], unit, image + start, flat))
        put_by = sum(len(part[0]) for part in self._found[1:])
        if 2 * self._pending >= self._merged or put_by > 4 * self._k * values.shape[1]:
            self._merge()

    def _merge(self) -> None:
        values, units, images, flat = (torch.cat(part) for part in zip(*self._found, strict=True))
        # What was found first is first: stable sorts leave equal values in the order of the images.
        order = values.sort(descending=True, stable=True).indices
        order = order[units[order].sort(stable=True).indices]
        sizes = units.bincount()
        first = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        order = order[torch.arange(len(order), device=order.device) - first < self._k]
        self._found = [(values[order], units[order], images[order], flat[order])]
        self._merged, self._pending = self._merged + self._pending, 0
        if self._merged >= self._k:
            self._floor = values[order].reshape(-1, self._k)[:, -1]

    def result(self) -> TopActivations:
        """Return what was found."""
        self._merge()
        ((values, units, images, flat),) = self._found
        count = int(units[-1]) + 1
        positions = torch.stack([flat // self._width, flat % self._width], dim=1)
        values = values.reshape(count, -1).cpu()
        return TopActivations(
            values=values,
            indices=images.reshape(count, -1).cpu(),
            positions=positions.reshape(count, -1, 2).cpu(),
            dead=values[:, 0] <= 0,
        )


def _search(
    twin: nn.Module,
    batches: Batches,
    best: dict[str, _Best],
    progress: Callable[[int, int], None] | None,
) -> dict[str, _Best]:
    sites: list[Site] = []
    by_hooks, total = False, len(batches.images)
    with torch.no_grad():
        for start, batch in batches:
            if not sites:
                sites = find_sites(twin, list(best), batch[:1])

            def receive(site: Site, output: Tensor, start: int = start) -> None:
                best[site.name].add(start, output)

            by_hooks = run_to(twin, sites, batch, receive, by_hooks)
            if progress is not None:
                progress(min(start + len(batch), total), total)
    return best
