"""Photos of a handwritten digit, as the data set of digits has them: light on dark, box-filling.

The digits were cut to the box of their ink and scaled to fill the height (Alpaydin and Kaynak 1998,
"Optical Recognition of Handwritten Digits"), so a network of digits has never seen one that stands
small in a corner of its picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.images import Pixels, square

INVERTED = "its colours were inverted, as the digits it was trained on are light on dark"
CROPPED = (
    "it was cropped to the digit and centred, as the digits it was trained on fill their picture"
)

#: The side at which the ink is looked for, in pixels: specks vanish, strokes stay.
_LOOKED_AT = 128
#: Ink stands out by this much of 255; below it there is none.
_CONTRAST = 48
#: A digit of at least this share of the picture's side is left where it is.
_FILLS = 0.85


def as_digit(pixels: Pixels, side: int) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the photo `pixels` (H, W, 3) as a picture of `side` × `side`, and what was done.

    A light background is inverted. What stands out of the background is taken for the digit; where
    nothing does, or it reaches the edges or fills the picture already, the middle is cut out as of
    any photo.
    """
    image = Image.fromarray(pixels)
    notes = []
    middle = Image.fromarray(square(pixels)).resize((side, side), Image.Resampling.BILINEAR)
    if _border(np.asarray(middle.convert("L"))).mean() > 127.5:
        image = image.point([255 - value for value in range(256)] * 3)
        notes.append(INVERTED)
    box = _box(image)
    if box is None:
        image = Image.fromarray(square(np.asarray(image)))
    else:
        image = _cut(image, box)
        notes.append(CROPPED)
    if image.size != (side, side):  # Pillow's filters widen when shrinking: no aliasing
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    return image, tuple(notes)


def _box(image: Image.Image) -> tuple[float, float, float, float] | None:
    """Return the square around light ink as left, top, right, bottom; None to leave it alone."""
    scale = max(1.0, max(image.size) / _LOOKED_AT)
    size = tuple(max(1, round(length / scale)) for length in image.size)
    small = image.convert("L").resize((size[0], size[1]), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)
    paper, ink = float(np.median(_border(grey))), float(grey.max())
    if ink - paper < _CONTRAST:
        return None
    light = grey > (paper + ink) / 2
    if _border(light).any():  # no digit on a sheet: that ends before its edges
        return None
    rows, columns = np.nonzero(light)
    left, right = columns.min() / size[0], (columns.max() + 1) / size[0]
    top, bottom = rows.min() / size[1], (rows.max() + 1) / size[1]
    wide, high = image.width * (right - left), image.height * (bottom - top)
    side, short = max(wide, high), min(image.size)
    across, down = image.width * (left + right) / 2, image.height * (top + bottom) / 2
    aside = max(abs(across - image.width / 2), abs(down - image.height / 2))
    if side >= _FILLS * short and aside <= (1 - _FILLS) * short:
        return None
    return across - side / 2, down - side / 2, across + side / 2, down + side / 2


def _cut(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Return what is in `box`; beyond the picture there is its background."""
    left, top, right, bottom = (round(edge) for edge in box)
    border = _border(np.asarray(image))
    paper = tuple(int(tone) for tone in np.median(border, axis=0))
    cut = Image.new("RGB", (max(1, right - left), max(1, bottom - top)), paper)
    cut.paste(image, (-left, -top))
    return cut


def _border(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of (H, W) or (H, W, C) in one row."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
