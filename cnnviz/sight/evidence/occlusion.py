"""Occlusion: what a network says while a grey square hides one part of an image after another.

Zeiler & Fergus 2013 (arXiv 1311.2901v3), section 4.2 and figure 7: if the class depends on the
object rather than on its surroundings, its probability falls where the square hides the object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.passes import check_images, find_sites, frozen_twin
from cnnviz.sight.evidence.answers import answers, check_targets, rows_of


@dataclass(frozen=True, eq=False)
class Occlusion:
    """The three maps of the paper; entry (i, j) belongs to the square at `rows[i]`, `columns[j]`.

    Attributes:
        activity: (rows, columns), sum over the strongest feature map of the layer.
        probability: (rows, columns), of the class that was asked about.
        best: (rows, columns), int64, the most probable class.
        unit: the strongest feature map: the one with the largest activation on the whole image.
        target: the class asked about.
        rows: first rows of the squares, in pixels.
        columns: first columns of the squares.
        size: side of the square.

    """

    activity: Tensor
    probability: Tensor
    best: Tensor
    unit: int
    target: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    size: int


def occlude(
    model: nn.Module,
    image: Tensor,
    layer: str,
    target: int | None = None,
    size: int = 8,
    stride: int = 2,
    fill: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Occlusion:
    """Slide a square over `image` and record the layer, the class and the answer.

    Args:
        model: a classifier in evaluation mode that returns logits.
        image: (1, C, H, W), normalised.
        layer: a module's or trace row's path, as for `project`.
        target: the class whose probability is recorded, None for the one the whole image gets.
        size: side of the square in pixels.
        stride: pixels from one place to the next; the last one touches the border in any case.
        fill: what the square is filled with, in normalised units: 0 is the data set's mean.
        progress: called with the number of places done and of all, after each batch.

    Raises:
        CnnvizError: as `project` does, and if the square does not fit or there is no such class.

    """
    twin = frozen_twin(model)
    whole = check_images(image, twin)
    height, width = whole.shape[2:]
    _check_square(whole, size, stride)
    rows, columns = _starts(height, size, stride), _starts(width, size, stride)
    with torch.no_grad():
        (site,) = find_sites(twin, [layer], whole)
        found, logits = answers(twin, [site], whole)
        unit = int(found[layer].flatten(2).amax(2)[0].argmax())
        chosen = int(check_targets(target, logits))
        places = [(row, column) for row in rows for column in columns]
        activity, probability, best = [], [], []
        together = rows_of(whole)
        for start in range(0, len(places), together):
            hidden = _hide(whole, places[start : start + together], size, fill)
            found, logits = answers(twin, [site], hidden)
            activity.append(found[layer][:, unit].flatten(1).sum(1))
            probability.append(logits.softmax(1)[:, chosen])
            best.append(logits.argmax(1))
            if progress is not None:
                progress(min(start + together, len(places)), len(places))

    def grid(parts: list[Tensor]) -> Tensor:
        return torch.cat(parts).reshape(len(rows), len(columns)).cpu()

    return Occlusion(
        grid(activity), grid(probability), grid(best), unit, chosen, rows, columns, size
    )


def _check_square(images: Tensor, size: int, stride: int) -> None:
    shorter = min(images.shape[2:])
    if len(images) != 1 or not 1 <= size <= shorter or stride < 1:
        raise CnnvizError(
            f"Occlusion takes one image, a square of 1 to {shorter} pixels and a stride of 1 or "
            f"more, not {len(images)} images, {size} and {stride}."
        )


def _starts(side: int, size: int, stride: int) -> tuple[int, ...]:
    last = side - size
    return tuple(sorted({*range(0, last + 1, stride), last}))


def _hide(image: Tensor, places: list[tuple[int, int]], size: int, fill: float) -> Tensor:
    """Return a copy of the image for each place, with the square there."""
    hidden = image.repeat(len(places), 1, 1, 1)
    for number, (row, column) in enumerate(places):
        hidden[number, :, row : row + size, column : column + size] = fill
    return hidden
