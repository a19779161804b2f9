"""Signed pictures: zero is mid-grey, so that what excites and what inhibits can be told apart."""

from __future__ import annotations

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
