"""Signed pictures: zero is mid-grey, so that what excites and what inhibits can be told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

#: Percentile of the absolute values that reaches full contrast: few extreme pixels are clipped.
PERCENTILE = 99.5


def contrast(pixels: Tensor | NDArray[np.floating[Any]]) -> float:
    """Return the absolute value to draw at full contrast; of several maps, a shared one."""
    return float(np.percentile(np.abs(np.asarray(pixels, dtype=np.float64)), PERCENTILE))


def signed_picture(
    pixels: Tensor | NDArray[np.floating[Any]], scale: float | None = None
) -> NDArray[np.uint8]:
    """Draw signed `pixels` (C, H, W) as uint8 (H, W, C): 128 is zero, 255 and 1 are ± `scale`.

    `scale` None takes the picture's own 99.5th percentile of absolute values. Stretching between
    minimum and maximum instead would move zero, and with it what is positive.
    """
    values = np.asarray(pixels, dtype=np.float64).transpose(1, 2, 0)
    scale = contrast(values) if scale is None else scale
    if scale <= 0:  # nearly all is zero: the few that are not decide
        scale = float(np.abs(values).max()) or 1.0
    # 127.5 would put zero between two values and exact zeros on either side of it.
    return np.clip(np.rint(128 + 127 * values / scale), 1, 255).astype(np.uint8)


def signed_colours(
    values: Tensor | NDArray[np.floating[Any]], stops: NDArray[np.uint8], scale: float | None = None
) -> NDArray[np.uint8]:
    """Draw signed `values` (…) in colours, uint8 (…, 3).

    `stops` (K, 3), K odd, are the colours from - `scale` to + `scale`, zero in the middle, with
    straight lines between them; `scale` None is `contrast(values)`.
    """
    array = np.asarray(values, dtype=np.float32)
    scale = contrast(array) if scale is None else scale
    if scale <= 0:
        scale = float(np.abs(array).max()) or 1.0
    place = (np.clip(array / scale, -1, 1) + 1) * (len(stops) - 1) / 2
    at = np.arange(len(stops))
    channels = [np.interp(place, at, stops[:, channel]) for channel in range(3)]
    colours: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def tiled(
    tiles: NDArray[Any], columns: int | None = None, gap: int = 1, fill: float = 0
) -> NDArray[Any]:
    """Lay `tiles` (N, height, width, …) out in rows, `gap` cells of `fill` between them.

    Returns (rows · (height + gap) - gap, columns · (width + gap) - gap, …); without `columns` it is
    as near to a square as can be. Places that no tile takes are `fill`.
    """
    count, height, width = tiles.shape[:3]
    columns = columns or min(count, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:])
    sheet = np.full(shape, fill, dtype=tiles.dtype)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
