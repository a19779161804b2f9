"""Evolution: what excites a unit most as a network learns.

Zeiler & Fergus 2013 (arXiv 1311.2901v3), section 4, "Feature Evolution during Training", and figure
4: the strongest activation of a feature map across all images, carried back to the pixels, at
epochs 1, 2, 5, 10, 20, 30, 40 and 64. Its picture jumps where another image becomes the strongest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.projection import project
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.batches import Batches
from cnnviz.sight.units.top import top_activations
from cnnviz.training.data import ImageSet


@dataclass(frozen=True, eq=False)
class Moment:
    """The strongest activations of some units over a data set, at one epoch of training.

    Attributes:
        epoch: the number of epochs done.
        units: the units' numbers U.
        values: (U,), float32, the activations.
        indices: (U,), int64, the numbers of the images they occur in.
        positions: (U, 2), int64, row and column in the feature map.
        pixels: (U, C, H, W), each carried back to its image, signed.

    """

    epoch: int
    units: tuple[int, ...]
    values: Tensor
    indices: Tensor
    positions: Tensor
    pixels: Tensor


@dataclass(frozen=True, eq=False)
class Evolution:
    """Units over the epochs of a training, `moments` in the order of their epochs."""

    moments: tuple[Moment, ...]

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs E."""
        return tuple(moment.epoch for moment in self.moments)

    @property
    def units(self) -> tuple[int, ...]:
        """The units U."""
        return self.moments[0].units

    @property
    def values(self) -> Tensor:
        """The strongest activations, (U, E)."""
        return self._stacked("values")

    @property
    def indices(self) -> Tensor:
        """The numbers of the strongest images, (U, E)."""
        return self._stacked("indices")

    @property
    def positions(self) -> Tensor:
        """Rows and columns in the feature maps, (U, E, 2)."""
        return self._stacked("positions")

    @property
    def pixels(self) -> Tensor:
        """The reconstructions, (U, E, C, H, W)."""
        return self._stacked("pixels")

    @property
    def jumps(self) -> Tensor:
        """Where another image has become the strongest since the epoch before, (U, E), bool."""
        changed = self.indices.diff(dim=1) != 0
        return torch.cat([torch.zeros(len(self.units), 1, dtype=torch.bool), changed], dim=1)

    def _stacked(self, field: str) -> Tensor:
        """One field of all moments, (U, …) each, as (U, E, …)."""
        return torch.stack([getattr(moment, field) for moment in self.moments], dim=1)


def evolution(
    snapshots: Iterable[tuple[int, nn.Module]],
    dataset: ImageSet | Tensor,
    layer: str,
    units: Sequence[int],
    rule: Rule = "deconvnet",
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
) -> Evolution:
    """Follow `units` of `layer` through networks of one training.

    Args:
        snapshots: (epoch, network in evaluation mode), with rising epochs; one network at a time is
            held if they come from a generator.
        dataset: an `ImageSet`, of which the test images are taken, or uint8 images (N, C, H, W).
        layer: as for `project`.
        units: channels of the layer.
        rule: the backward rule.
        mean: per channel on the 0..1 scale, of images given as a tensor.
        std: likewise.
        size: (height, width) to which the images are brought first, None for as they are.
        cache: a folder in which the scans of the data set are kept, see `top_activations`.

    Raises:
        CnnvizError: as `top_activations` and `project` do, and if there is no snapshot or the
            epochs do not rise.

    """
    moments: list[Moment] = []
    for epoch, model in snapshots:
        if moments and epoch <= moments[-1].epoch:
            raise CnnvizError(
                f"Epoch {epoch} comes after epoch {moments[-1].epoch}: give each once, in order."
            )
        look = moment(
            epoch, model, dataset, layer, units, rule, mean=mean, std=std, size=size, cache=cache
        )
        moments.append(look)
    if not moments:
        raise CnnvizError("There are no weights of earlier epochs: train a run that keeps them.")
    return Evolution(tuple(moments))


def moment(
    epoch: int,
    model: nn.Module,
    dataset: ImageSet | Tensor,
    layer: str,
    units: Sequence[int],
    rule: Rule = "deconvnet",
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Moment:
    """Return one column of the evolution: the network `model` after `epoch` epochs.

    The arguments are those of `evolution`; `progress` is told the images done and all of them.
    """
    found = top_activations(
        model,
        dataset,
        [layer],
        k=1,
        mean=mean,
        std=std,
        size=size,
        cache=cache,
        progress=progress,
    )[layer]
    chosen = list(units)
    last = len(found.values) - 1
    if not chosen or not all(0 <= unit <= last for unit in chosen):
        raise CnnvizError(f"Choose one or more units of {layer!r} from 0 to {last}, not {chosen}.")
    batches = Batches.of(dataset, mean, std, size, model)
    pixels = []
    for unit in chosen:
        image = batches.prepare(batches.images[found.indices[unit]])
        pixels.append(project(model, image, layer, unit, rule, found.positions[[unit]]).pixels)
    return Moment(
        epoch=epoch,
        units=tuple(chosen),
        values=found.values[chosen, 0],
        indices=found.indices[chosen, 0],
        positions=found.positions[chosen, 0],
        pixels=torch.cat([each[0] for each in pixels]),
    )
