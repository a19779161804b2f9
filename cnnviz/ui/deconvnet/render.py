"""Small pictures for the Deconvnet page: tiles, mosaics, maps, boxes, and their HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cnnviz.anatomy import Layer
from cnnviz.images import Pixels, caption_text, encode_png
from cnnviz.sight import contrast, signed_picture

Values = NDArray[np.floating[Any]]
#: A rectangle of pixels: top, left, height, width; it may reach beyond the image.
Frame = tuple[int, int, int, int]

#: Side of a tile of a mosaic, and of a picture on its own, in pixels of the file.
TILE, LARGE = 96, 224
_GAP = 3

STYLE = """<style>
.pictures { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.pictures.small { grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); gap: .7rem; }
.pictures figure, .nine figure, .seen-photo figure { margin: 0; min-width: 0; }
.pictures figure { max-width: 260px; }
.pictures img, .nine img, .seen-photo img { width: 100%; image-rendering: pixelated; display: block;
  border-radius: 3px; }
.pictures figcaption, .nine figcaption, .seen-photo figcaption { font-size: .82rem;
  line-height: 1.35; color: var(--muted); margin-top: .3rem; font-variant-numeric: tabular-nums; }
.boxed { position: relative; overflow: hidden; border-radius: 3px; }
.boxed i { position: absolute; box-sizing: border-box; border: 2px solid #fff;
  outline: 1.5px solid #000; outline-offset: -3px; box-shadow: 0 0 0 1.5px #000; }
.nine { display: grid; grid-template-columns: repeat(9, minmax(88px, 1fr)); gap: 6px;
  overflow-x: auto; padding-bottom: 4px; }
.nine h4 { grid-column: 1 / -1; font-size: .9rem; margin: .7rem 0 0; padding: 0; position: sticky;
  left: 0; width: max-content; max-width: min(100%, 80vw); font-family: inherit; }
.nine h4 span { font-weight: 400; color: var(--muted); }
.seen-photo { max-width: 260px; }
</style>"""


def image(pixels: Pixels, alt: str) -> str:
    """Return uint8 `pixels` (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as an HTML image."""
    source = base64.b64encode(encode_png(pixels)).decode()
    return f'<img src="data:image/png;base64,{source}" alt="{escape(alt)}">'


def figure(picture: str, caption: str) -> str:
    """Return an HTML figure; `picture` is HTML, `caption` plain text."""
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def boxed(pixels: Pixels, frame: Frame, alt: str, side: int = LARGE) -> str:
    """Return `pixels` (H, W, C) as HTML with `frame` drawn on it, if it is not the whole image."""
    height, width = pixels.shape[:2]
    top, left, tall, wide = frame
    picture = image(to_side(pixels, side), alt)
    if top <= 0 and left <= 0 and top + tall >= height and left + wide >= width:
        return f'<div class="boxed">{picture}</div>'
    # A box that reaches beyond the image is cut off by the picture's edge.
    place = (
        f"top:{100 * top / height:.2f}%;left:{100 * left / width:.2f}%;"
        f"height:{100 * tall / height:.2f}%;width:{100 * wide / width:.2f}%"
    )
    return f'<div class="boxed">{picture}<i style="{place}"></i></div>'


def to_side(pixels: Pixels, side: int) -> Pixels:
    """Bring `pixels` (H, W, C) to a longer side of `side`: blocks if enlarged, means if shrunk."""
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer == side:
        return pixels
    form = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
    how = Image.Resampling.NEAREST if side > longer else Image.Resampling.BOX
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    brought = Image.fromarray(pixels[..., 0] if grey else pixels).resize(form, how)
    out = np.asarray(brought, np.uint8)
    return out.reshape(form[1], form[0], pixels.shape[2])


def crop(pixels: NDArray[Any], frame: Frame, fill: float) -> NDArray[Any]:
    """Cut `frame` out of `pixels` (H, W, C); what lies beyond the image is `fill`."""
    height, width, channels = pixels.shape
    top, left, tall, wide = frame
    out = np.full((tall, wide, channels), fill, pixels.dtype)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + tall, height), min(left + wide, width)
    if y1 > y0 and x1 > x0:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    return out


def unclipped(frame: Frame, layer: Layer, sides: tuple[int, int]) -> Frame:
    """Return a field that was cut off at the border of an image of `sides` with what was cut off.

    So a patch at the border keeps the size of the others, and the position stays in its middle.
    """
    starts, lengths = list(frame[:2]), list(frame[2:])
    for axis, window in enumerate(layer.windows):
        missing = window.size() - lengths[axis]
        if missing > 0 and lengths[axis] < sides[axis]:
            lengths[axis] += missing
            starts[axis] -= missing if starts[axis] == 0 else 0
        elif missing > 0:
            lengths[axis] = window.size()
    return starts[0], starts[1], lengths[0], lengths[1]


def covers(frame: Frame, height: int, width: int) -> bool:
    """Tell whether a receptive field of this size spans an image of `height` × `width`."""
    return frame[2] >= height or frame[3] >= width


def patch(pixels: NDArray[Any], frame: Frame, fill: float) -> NDArray[Any]:
    """Return the part of `pixels` (H, W, C) in the field `frame`, all where the field spans it."""
    if covers(frame, *pixels.shape[:2]):
        return pixels
    return crop(pixels, frame, fill)


def mosaic(tiles: Sequence[Pixels], columns: int = 3, side: int = TILE) -> Pixels:
    """Lay tiles (H, W, C) side by side as RGBA, with clear gaps between them."""
    rows = -(-len(tiles) // columns)
    step = side + _GAP
    sheet = np.zeros((rows * step - _GAP, columns * step - _GAP, 4), np.uint8)
    for place, tile in enumerate(tiles):
        y, x = place // columns * step, place % columns * step
        brought = to_side(tile, side)
        height, width = brought.shape[:2]
        sheet[y : y + height, x : x + width, :3] = brought
        sheet[y : y + height, x : x + width, 3] = 255
    return sheet


def signed_tiles(pictures: Sequence[Values], *, shared: float | None) -> list[Pixels]:
    """Draw signed pictures (H, W, C): zero is mid-grey, each on its own scale unless `shared`."""
    return [signed_picture(picture.transpose(2, 0, 1), shared) for picture in pictures]


def shared_scale(pictures: Sequence[Values]) -> float:
    """Return one scale for all `pictures`."""
    return contrast(np.concatenate([picture.ravel() for picture in pictures]))


def grey_map(values: Values) -> Pixels:
    """A feature map (H, W) in grey, 0 to its maximum; below zero is black."""
    top = float(values.max())
    scaled = values / top if top > 0 else np.zeros_like(values)
    drawn: Pixels = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return drawn[..., None]


def sheet(blocks: Sequence[tuple[str, Sequence[Pixels]]], columns: int) -> bytes:
    """Return blocks of pictures, each under its title, as one PNG on white.

    All pictures of a block stand side by side; `columns` blocks are in a row.
    """
    if not blocks:
        return encode_png(np.full((1, 1), 255, np.uint8))
    font = ImageFont.load_default(size=14)
    margin, head = 12, 22
    rows = [blocks[start : start + columns] for start in range(0, len(blocks), columns)]
    drawn = [[(title, _beside(pictures)) for title, pictures in row] for row in rows]
    wide = max(sum(p.width + margin for _, p in row) for row in drawn) + margin
    tall = sum(max(p.height for _, p in row) + head + margin for row in drawn) + margin
    page = Image.new("RGB", (wide, tall), "white")
    pen = ImageDraw.Draw(page)
    y = margin
    for row in drawn:
        x = margin
        for title, picture in row:
            pen.text((x, y), caption_text(title), fill="#1d1f23", font=font)
            page.paste(picture, (x, y + head), picture)
            x += picture.width + margin
        y += max(picture.height for _, picture in row) + head + margin
    return encode_png(np.asarray(page))


def _beside(pictures: Sequence[Pixels]) -> Image.Image:
    """Pictures side by side as RGBA."""
    images = [
        Image.fromarray(p[..., 0] if p.shape[2] == 1 else p).convert("RGBA") for p in pictures
    ]
    wide = sum(i.width for i in images) + _GAP * 2 * (len(images) - 1)
    together = Image.new("RGBA", (wide, max(i.height for i in images)))
    x = 0
    for one in images:
        together.paste(one, (x, 0))
        x += one.width + _GAP * 2
    return together
