"""A layer whose units were looked for in the test images: their order, classes and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.anatomy import Layer
from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.sight import TopActivations
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.figures import UnitFigures
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import scans
from cnnviz.ui.cache.sight.image_sets import TestImages
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.render import Values, covers, patch

Crop = Literal["field", "close"]
CROPS: dict[Crop, str] = {"close": "What was seen", "field": "Receptive field"}
#: Units on a page, and on one of a large network, where a unit's reconstructions take seconds.
SHOWN, SHOWN_COSTLY = 16, 4
_PATIENCE_MACS = 2e11
# What a closer crop keeps of the reconstructions' absolute values.
_NEARLY_ALL = 0.9

ORDERS = {
    "number": "By number",
    "strongest": "Strongest",
    "selective": "Most selective",
}


@dataclass(frozen=True, eq=False)
class Looked:
    """What the scan found for one layer of a subject."""

    subject: Subject
    layer: Layer
    layers: tuple[str, ...]
    test: TestImages
    top: TopActivations

    @property
    def total(self) -> int:
        """The number of units."""
        return len(self.top.values)

    @cached_property
    def mix(self) -> Tensor:
        """The share of each class in each unit's strongest images (units, classes)."""
        images = self.test.images
        return self.top.class_mix(images.test_labels, len(images.classes))

    def order(self, by: str) -> list[int]:
        """Return the units in an order of `ORDERS`; dead ones come last."""
        peaks = self.top.values[:, 0].numpy()
        dead = self.top.dead.numpy()
        if by == "number":
            return list(range(self.total))
        keys = [-peaks, dead] if by == "strongest" else [-peaks, -self.mix.amax(1).numpy(), dead]
        return [int(unit) for unit in np.lexsort([np.arange(self.total), *keys])]

    @property
    def is_costly(self) -> bool:
        """Whether the reconstructions of a page of units would take more than a few seconds."""
        rows = subjects.trace_of(self.subject).layers[: self.layer.index + 1]
        macs = sum(row.macs or 0 for row in rows)
        # Forward, and back to the images.
        return 2 * macs * self.top.values.shape[1] * SHOWN > _PATIENCE_MACS

    def figures(self, units: Sequence[int], rule: Rule) -> UnitFigures:
        """Return the units' strongest images and reconstructions."""
        return scans.figures_of(self.subject, self.layer.path, tuple(units), rule, self.layers)

    def page(self, units: Sequence[int], rule: Rule) -> UnitFigures:
        """Return the same for a page of units; of large images a unit at a time, behind a bar.

        What is done is kept, so that a press in the meantime loses none of it.
        """
        if not (self.is_costly or max(self.subject.input_size[1:]) > scans.SMALL_SIDE):
            with st.spinner("Carrying activations back …"):
                return self.figures(units, rule)
        place = st.empty()
        parts = []
        for done, unit in enumerate(units):
            place.progress(done / len(units), f"Carrying activations back: unit {unit}")
            parts.append(self.figures((unit,), rule))
        place.empty()
        return _joined(parts)


def _joined(parts: Sequence[UnitFigures]) -> UnitFigures:
    """Return the figures of several units as one."""
    names = ("values", "indices", "positions", "boxes", "images", "pixels", "dead")
    labels = [part.labels for part in parts if part.labels is not None]
    return UnitFigures(
        units=tuple(unit for part in parts for unit in part.units),
        labels=torch.cat(labels) if labels else None,
        **{name: torch.cat([getattr(part, name) for part in parts]) for name in names},
    )


@dataclass(frozen=True, eq=False)
class Patches:
    """What the positions of a page of units see, all cut to one size.

    `seen` (U, k) are uint8 and `carried` (U, k) floats, both (height, width, C); `side` is that of
    the square in which they are cut, None where the images are whole.
    """

    seen: list[list[Pixels]]
    carried: list[list[Values]]
    side: int | None


def patches_of(layer: Layer, found: UnitFigures, crop: Crop, closest: int | None = None) -> Patches:
    """Cut images and reconstructions to the receptive field, or closer: to a side of `closest`.

    A patch at the border of an image goes on in mid-grey, which is near the mean colour: to the
    network, its padding. Where the field spans the image they are whole.
    """
    images = found.images.permute(0, 1, 3, 4, 2).numpy()  # (U, k, H, W, C)
    pixels = found.pixels.permute(0, 1, 3, 4, 2).numpy()
    sides = (int(images.shape[2]), int(images.shape[3]))
    seen, carried, side = [], [], None
    for place in range(len(found.units)):
        boxes = [(b[0], b[1], b[2], b[3]) for b in found.boxes[place].tolist()]
        frames = [render.unclipped(box, layer, sides) for box in boxes]
        seen.append([patch(i, f, 128) for i, f in zip(images[place], frames, strict=True)])
        carried.append([patch(p, f, 0.0) for p, f in zip(pixels[place], frames, strict=True)])
        if not covers(frames[0], *sides):
            side = max(frames[0][2:])
    if crop == "close" and side is not None:
        side = _closest(carried) if closest is None else closest
        seen = [[_middle(one, side) for one in row] for row in seen]
        carried = [[_middle(one, side) for one in row] for row in carried]
    return Patches(seen, carried, side)


def _closest(carried: Sequence[Sequence[Values]]) -> int:
    """Return the side of the smallest centred square with most of every unit's signal."""
    widest = 1
    for row in carried:
        strength = np.sum([np.abs(one).sum(2) for one in row], axis=0)  # (h, w)
        if not strength.any():
            continue
        height, width = strength.shape
        rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
        distance = np.maximum(abs(rows[:, None]), abs(columns)).ravel()
        order = np.argsort(distance, kind="stable")
        held = np.cumsum(strength.ravel()[order])
        reach = distance[order][int(np.searchsorted(held, _NEARLY_ALL * held[-1]))]
        widest = max(widest, int(2 * reach + 1))
    return widest


def _middle(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    """The square of `side` in the middle of `pixels` (H, W, C)."""
    top, left = ((length - min(side, length)) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def arrays(found: UnitFigures) -> dict[str, object]:
    """Return what is shown as arrays, by the names of `UnitFigures`."""
    names = ("units", "values", "indices", "positions", "boxes", "images", "pixels", "dead")
    given: dict[str, object] = {name: np.asarray(getattr(found, name)) for name in names}
    return given if found.labels is None else {**given, "labels": found.labels.numpy()}
