"""Correspondence: whether hiding the same part changes the features of several images alike.

Zeiler & Fergus 2013 (arXiv 1311.2901v3), section 4.3 and table 1: in five pictures of dogs the left
eye, the right eye or the nose is hidden. If the network knows that these are the same thing in all
pictures, its features change with the same signs, more so than for squares at random places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.passes import Site, check_images, find_sites, frozen_twin
from cnnviz.sight.evidence.answers import answers, rows_of

#: A change below this fraction of a layer's largest value is rounding and counts as none.
ROUNDING = 1e-5


class Box(NamedTuple):
    """A rectangle of pixels: its first row and column, its height and width."""

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Correspondence:
    """How alike the features of N images change when a part of each is hidden.

    Every number is the Hamming distance between the signs (+, −, none) of the changes ε of two
    images, as a fraction of the layer's features: 0 where all change alike.

    Attributes:
        part: of each layer, (N, N), for the boxes that were given.
        anywhere: of each layer, (draws, N, N), for boxes at a random place in each image, the
            paper's comparison.
        same_place: of each layer, (draws, N, N), for a random place that all images share. It tells
            what comes from the parts from what comes from hiding the same positions.
        boxes: the N boxes that were given.
        random_boxes: (draws of N boxes) anywhere.

    """

    part: dict[str, Tensor]
    anywhere: dict[str, Tensor]
    same_place: dict[str, Tensor]
    boxes: tuple[Box, ...]
    random_boxes: tuple[tuple[Box, ...], ...]


def score(pairs: Tensor) -> Tensor:
    """Return Δ of the paper's equation, (…), for distances (…, N, N): their mean over i ≠ j.

    The paper's sum, divided by the number of pairs so that it does not grow with N.
    """
    images = pairs.shape[-1]
    return (pairs.sum((-1, -2)) - pairs.diagonal(dim1=-2, dim2=-1).sum(-1)) / (
        images * (images - 1)
    )


def correspondence(
    model: nn.Module,
    images: Tensor,
    boxes: Sequence[Sequence[int]],
    layers: Sequence[str],
    draws: int = 20,
    seed: int = 0,
    fill: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Correspondence:
    """Hide one part of each image, then as many random boxes of the same size for comparison.

    Args:
        model: a network in evaluation mode.
        images: (N, C, H, W), normalised, two or more.
        boxes: N times row, column, height, width: where the part is in each image.
        layers: modules' or trace rows' paths, as for `project`. Where a layer has positions, its
            features are compared position by position.
        draws: random boxes of each kind for every image.
        seed: of the random boxes.
        fill: what boxes are filled with, in normalised units: 0 is the data set's mean.
        progress: called with the number of hidden parts done and of all.

    Raises:
        CnnvizError: as `project` does, and if there are fewer than two images, or a box for each
            image that lies inside it.

    """
    twin = frozen_twin(model)
    batch = check_images(images, twin)
    _check_counts(len(batch), len(layers), draws)
    side = (int(batch.shape[2]), int(batch.shape[3]))
    part = _check_boxes(boxes, len(batch), side)
    generator = torch.Generator().manual_seed(seed)
    anywhere = [tuple(_anywhere(box, side, generator) for box in part) for _ in range(draws)]
    shared = [_same_place(part, side, generator) for _ in range(draws)]
    cases = [part, *anywhere, *shared]
    with torch.no_grad():
        sites = find_sites(twin, list(layers), batch[:1])
        hidden = _Hidden(twin, sites, batch, fill)
        found: dict[str, list[Tensor]] = {layer: [] for layer in layers}
        for number, case in enumerate(cases, start=1):
            for layer, signs in hidden.signs(case).items():
                found[layer].append(_hamming(signs))
            if progress is not None:
                progress(number, len(cases))
    pairs = {layer: torch.stack(listed).cpu() for layer, listed in found.items()}
    return Correspondence(
        part={layer: each[0] for layer, each in pairs.items()},
        anywhere={layer: each[1 : 1 + draws] for layer, each in pairs.items()},
        same_place={layer: each[1 + draws :] for layer, each in pairs.items()},
        boxes=part,
        random_boxes=tuple(anywhere),
    )


class _Hidden:
    """Images whose features change as boxes hide parts of them."""

    def __init__(self, twin: nn.Module, sites: list[Site], images: Tensor, fill: float) -> None:
        self._twin, self._sites, self._images, self._fill = twin, sites, images, fill
        self._whole = self._features(images)

    def signs(self, boxes: Sequence[Box]) -> dict[str, Tensor]:
        """Return sign(ε) = sign(x − x̃) of each layer, (N, features) of −1, 0 and 1."""
        hidden = self._images.clone()
        for image, (row, column, height, width) in zip(hidden, boxes, strict=True):
            image[:, row : row + height, column : column + width] = self._fill
        signs = {}
        for layer, features in self._features(hidden).items():
            whole = self._whole[layer]
            change = whole - features
            least = ROUNDING * whole.abs().amax(1, keepdim=True)
            signs[layer] = change.sign() * (change.abs() > least)
        return signs

    def _features(self, images: Tensor) -> dict[str, Tensor]:
        parts = [
            answers(self._twin, self._sites, piece)[0] for piece in images.split(rows_of(images))
        ]
        return {
            site.name: torch.cat([part[site.name].float().flatten(1) for part in parts])
            for site in self._sites
        }


def _hamming(signs: Tensor) -> Tensor:
    """Signs (N, features) -> fractions that differ (N, N)."""
    return torch.stack([(signs != one).float().mean(1) for one in signs])


def _check_counts(images: int, layers: int, draws: int) -> None:
    if images < 2 or draws < 1 or not layers:
        raise CnnvizError(
            "Correspondence compares two or more images at one or more layers with one or more "
            f"random draws, not {images} images at {layers} layers with {draws}."
        )


def _check_boxes(
    boxes: Sequence[Sequence[int]], count: int, side: tuple[int, int]
) -> tuple[Box, ...]:
    listed = [tuple(int(value) for value in box) for box in boxes]
    if len(listed) != count or any(len(box) != 4 for box in listed):
        raise CnnvizError(
            f"Give a box (row, column, height, width) for each of the {count} images, not "
            f"{len(listed)}."
        )
    checked = tuple(Box(*box) for box in listed)
    for box in checked:
        inside = box.row + box.height <= side[0] and box.column + box.width <= side[1]
        if min(box) < 0 or min(box.height, box.width) < 1 or not inside:
            raise CnnvizError(
                f"The box {tuple(box)} (row, column, height, width) does not lie inside an image "
                f"of {side[0]} × {side[1]} pixels: move it or make it smaller."
            )
    return checked


def _anywhere(box: Box, side: tuple[int, int], generator: torch.Generator) -> Box:
    """Return a box of the same size at a random place."""
    row = int(torch.randint(side[0] - box.height + 1, (), generator=generator))
    column = int(torch.randint(side[1] - box.width + 1, (), generator=generator))
    return Box(row, column, box.height, box.width)


def _same_place(
    boxes: Sequence[Box], side: tuple[int, int], generator: torch.Generator
) -> tuple[Box, ...]:
    """Return boxes of the same sizes with one random place for their first corner."""
    tallest = Box(0, 0, max(b.height for b in boxes), max(b.width for b in boxes))
    place = _anywhere(tallest, side, generator)
    return tuple(Box(place.row, place.column, box.height, box.width) for box in boxes)
