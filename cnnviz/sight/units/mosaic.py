"""One picture of many units, laid out as figure 2 of Zeiler & Fergus 2013."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnviz.images import Pixels, enlarge
from cnnviz.sight.picture import signed_picture, tiled
from cnnviz.sight.units.figures import UnitFigures

#: Least side of a tile in pixels; smaller patches are enlarged by whole numbers.
TILE_SIDE = 48
_GAP, _MARGIN, _TITLE = 2, 14, 16


def units_mosaic(figures: UnitFigures) -> Pixels:
    """Draw units as blocks, uint8 (H, W, 3): reconstructions on the left, patches on the right.

    Both show the same pixels of the image: a square that holds what the position sees. Mid-grey is
    zero in a reconstruction, each on its own scale. The strongest activation is first, row by row.
    """
    blocks = [_block(figures, place) for place in range(len(figures.units))]
    columns = math.ceil(math.sqrt(len(blocks)))
    rows = math.ceil(len(blocks) / columns)
    height, width = blocks[0].shape[:2]
    sheet = np.full(
        (rows * (height + _MARGIN) + _MARGIN, columns * (width + _MARGIN) + _MARGIN, 3),
        255,
        np.uint8,
    )
    for place, block in enumerate(blocks):
        top = _MARGIN + place // columns * (height + _MARGIN)
        left = _MARGIN + place % columns * (width + _MARGIN)
        sheet[top : top + height, left : left + width] = block
    return sheet


def _block(figures: UnitFigures, place: int) -> Pixels:
    """One unit under its title, (H, W, 3)."""
    height, width = figures.images.shape[-2:]
    side = min(int(figures.boxes[..., 2:].max()), height, width)
    factor = max(1, math.ceil(TILE_SIDE / side))
    drawn, seen = [], []
    for rank, (top, left, *_) in enumerate(figures.boxes[place].tolist()):
        rows = slice(min(top, height - side), min(top, height - side) + side)
        columns = slice(min(left, width - side), min(left, width - side) + side)
        drawn.append(_tile(signed_picture(figures.pixels[place, rank, :, rows, columns]), factor))
        image = figures.images[place, rank, :, rows, columns].numpy().transpose(1, 2, 0)
        seen.append(_tile(image, factor))
    halves = [tiled(np.stack(tiles), gap=_GAP, fill=255) for tiles in (drawn, seen)]
    between = np.full((halves[0].shape[0], 3 * _GAP, 3), 255, np.uint8)
    body = np.concatenate([halves[0], between, halves[1]], axis=1)
    title = f"unit {figures.units[place]}" + (" (dead)" if figures.dead[place] else "")
    return np.concatenate([_title(title, body.shape[1]), body])


def _tile(pixels: Pixels, factor: int) -> Pixels:
    """Enlarged RGB; a network of one channel has grey tiles."""
    return enlarge(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), factor)


def _title(text: str, width: int) -> Pixels:
    strip = Image.new("RGB", (width, _TITLE), "white")
    ImageDraw.Draw(strip).text((0, 0), text, fill=(40, 40, 40), font=ImageFont.load_default())
    return np.asarray(strip)
