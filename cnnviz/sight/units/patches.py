"""Patches: the part of an image that one position of a layer can see."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnnviz.anatomy import Layer, Trace
from cnnviz.anatomy.operators.receptive_field import Window
from cnnviz.errors import CnnvizError


def patch_boxes(layer: Layer, trace: Trace, positions: Tensor) -> Tensor:
    """Return the receptive fields of `positions`, in pixels of the input, cut off at its border.

    A pixel outside a box cannot change the position. It is the whole image where the layer has no
    windows on it: behind a fully connected layer or a global pool, or where branches with
    different strides meet.

    Args:
        layer: a row of `trace`; `row_of` finds the one of a module.
        trace: of the network, on the images' size.
        positions: (…, 2), rows and columns in the layer's maps.

    Returns:
        (…, 4), int64: top, left, height and width.

    Raises:
        CnnvizError: if `positions` are no whole numbers of that shape.

    """
    if positions.is_floating_point() or positions.dim() < 1 or positions.shape[-1] != 2:
        raise CnnvizError(
            f"Positions are whole numbers (…, 2), not {positions.dtype} of shape "
            f"{tuple(positions.shape)}."
        )
    places = positions.long().cpu()
    sides = trace.input_size[1:]
    spans = []
    for axis, side in enumerate(sides):
        window = layer.windows[axis] if layer.windows else None
        spans.append(_spans(window, places[..., axis], side))
    (top, bottom), (left, right) = spans
    return torch.stack([top, left, bottom - top, right - left], dim=-1)


def _spans(window: Window | None, places: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """First pixel of each place along one axis, and the one behind its last."""
    if window is None:
        return torch.zeros_like(places), torch.full_like(places, side)
    known = {index: _span(window, index, side) for index in set(places.flatten().tolist())}
    pairs = torch.tensor([known[index] for index in places.flatten().tolist()]).reshape(-1, 2)
    return pairs[:, 0].reshape(places.shape), pairs[:, 1].reshape(places.shape)


def _span(window: Window, index: int, side: int) -> tuple[int, int]:
    """The same for one place, with exact fractions: fine grids begin between two pixels."""
    first = math.floor(window.low + index * window.jump)
    behind = math.ceil(window.high + index * window.jump) + 1
    return min(max(first, 0), side), min(max(behind, 0), side)


def row_of(trace: Trace, path: str) -> Layer:
    """Return the row of `trace` whose output is that of `path`, a row or a module.

    Of a module that is used several times it is the first call, as everywhere here.

    Raises:
        CnnvizError: if there is no such row or module in the trace.

    """
    rows = trace.layers
    for row in rows:
        if row.path == path:
            return row
    inside = [row for row in rows if row.module == path or row.module.startswith(f"{path}.")]
    if not inside:
        raise CnnvizError(f"{trace.model} has no layer {path!r}: take a path of its trace.")
    paths = {row.path: row.index for row in rows}
    second = paths.get(f"{inside[0].path}#2")  # where the module is called once more
    return [row for row in inside if second is None or row.index < second][-1]
