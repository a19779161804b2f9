"""Units by what excites them most: patches of images, and what the network saw in each.

Zeiler & Fergus 2013, figure 2: for a feature map, its nine strongest activations over the
validation set, each carried back to the pixels on its own, beside the patch that caused it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from cnnviz.anatomy import Trace
from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.projection import check_units, project_pairs
from cnnviz.sight.backward.rules import LRN, Rule
from cnnviz.sight.units.batches import Batches
from cnnviz.sight.units.patches import patch_boxes, row_of
from cnnviz.sight.units.top import TopActivations, top_activations
from cnnviz.training.data import ImageSet


@dataclass(frozen=True, eq=False)
class UnitFigures:
    """The strongest activations of U units, k each, with their patches and reconstructions.

    Attributes:
        units: the units' numbers.
        values: (U, k), float32, the activations, the strongest first.
        indices: (U, k), int64, the numbers of the images in the data set.
        positions: (U, k, 2), int64, rows and columns in the feature map.
        boxes: (U, k, 4), int64, top, left, height and width of the patch that the position sees,
            in pixels of the images here.
        images: (U, k, C, H, W), uint8, as the network's input size sees them.
        pixels: (U, k, C, H, W), each activation carried back on its own, signed, on the scale of
            the normalised images.
        labels: (U, k), int64, the images' classes, None where they have none.
        dead: (U,), bool, units that no image brings above zero.

    """

    units: tuple[int, ...]
    values: Tensor
    indices: Tensor
    positions: Tensor
    boxes: Tensor
    images: Tensor
    pixels: Tensor
    labels: Tensor | None
    dead: Tensor


def unit_figures(
    model: nn.Module,
    trace: Trace,
    dataset: ImageSet | Tensor,
    layer: str,
    units: int | Sequence[int],
    rule: Rule = "deconvnet",
    k: int = 9,
    *,
    top: TopActivations | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: tuple[int, int] | None = None,
    lrn: LRN = "identity",
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> UnitFigures:
    """Carry the `k` strongest activations of each unit back to the pixels, each on its own.

    Args:
        model: a network in evaluation mode; it is not changed, so threads may share it.
        trace: of the network on the images' size, for the patches.
        dataset: an `ImageSet`, of which the test images are taken, or uint8 images (N, C, H, W).
        layer: a module's path or a trace row's path, as for `project`.
        units: channels of that layer.
        rule: the backward rule.
        k: images a unit; fewer where there are fewer images, or `top` has fewer.
        top: the layer's strongest activations over this data set by this network; None finds them.
        mean: per channel on the 0..1 scale; None takes those of an `ImageSet`.
        std: likewise.
        size: (height, width) to which the images are brought first, None for as they are.
        lrn: of local response normalisation, see `backward_rule`.
        cache: a folder in which strongest activations are kept, see `top_activations`.
        progress: of the pass of the data set, see `top_activations`.

    Raises:
        CnnvizError: as `top_activations` and `project` do, and if `top` is of other images or
            another layer.

    """
    wanted = check_units(units)
    batches = Batches.of(dataset, mean, std, size, model)
    row_of(trace, layer)  # a layer that is not there is refused before the pass
    if top is None:
        find = partial(top_activations, mean=batches.mean, std=batches.std, size=size)
        top = find(model, dataset, [layer], k, cache=cache, progress=progress)[layer]
    _check_top(top, wanted, len(batches.images), layer)
    return _carried(model, trace, batches, layer, wanted, rule, lrn, top, k)


def _carried(
    model: nn.Module,
    trace: Trace,
    batches: Batches,
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    lrn: LRN,
    top: TopActivations,
    k: int,
) -> UnitFigures:
    """Carry the `k` strongest of what `top` has of each unit back, in one batch of their images."""
    chosen = list(units)
    indices, positions = top.indices[chosen, :k], top.positions[chosen, :k]
    numbers, which = indices.unique(return_inverse=True)
    found = batches.images[numbers]
    per_unit = indices.shape[1]
    pairs = [
        (unit, int(which[place, rank]))
        for place, unit in enumerate(units)
        for rank in range(per_unit)
    ]
    pixels, _ = project_pairs(
        model, batches.prepare(found), layer, pairs, positions.reshape(-1, 2), rule, lrn
    )
    return UnitFigures(
        units=units,
        values=top.values[chosen, :k],
        indices=indices,
        positions=positions,
        boxes=patch_boxes(row_of(trace, layer), trace, positions),
        images=batches.seen(found)[which],
        pixels=pixels.reshape(len(units), per_unit, *pixels.shape[1:]),
        labels=None if batches.labels is None else batches.labels[indices],
        dead=top.dead[chosen],
    )


def _check_top(top: TopActivations, units: Sequence[int], images: int, layer: str) -> None:
    count = len(top.values)
    missing = next((unit for unit in units if not 0 <= unit < count), None)
    if missing is not None:
        raise CnnvizError(
            f"The layer {layer!r} has no unit {missing}: choose from 0 to {count - 1}."
        )
    if int(top.indices.max()) >= images:
        raise CnnvizError(
            f"The strongest activations name image {int(top.indices.max())} and there are "
            f"{images}: look for them in this data set."
        )
