"""Small pictures in a grid that can be pressed: one a filter, or one a feature map."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cnnviz.charts.filters import signed_stops
from cnnviz.charts.style import BACKGROUND, TEXT
from cnnviz.images import Pixels, caption_text, encode_png, enlarge
from cnnviz.sight import Filters, contrast, signed_colours, signed_picture, tiled

Array = NDArray[np.floating[Any]]

#: Filters, maps or slices that are shown at a time.
PART = 64
#: Of a filter with more channels than PART a tile shows the strongest slices.
STRONGEST = 16
# Pixels: a tile's picture is made about this wide, so that it stays sharp, and no map is larger.
_WIDTH = 120
# Pixels around a picture of a file, and the height of its caption.
_MARGIN, _LINE = 16, 20

_HTML = '<div class="tiles" role="group"></div>'

_CSS = """
.tiles { display: grid; gap: .5rem; font-family: var(--st-font); color: var(--st-text-color);
  grid-template-columns: repeat(auto-fill,
    minmax(max(64px, 100% / var(--columns) - .55rem), 1fr));
  max-height: min(84vh, 860px); overflow-y: auto; padding: 3px; }
button { all: unset; box-sizing: border-box; cursor: pointer; padding: 5px 5px 2px;
  border-radius: 6px; border: 1px solid var(--st-border-color); min-width: 0; }
button img { display: block; width: 100%; border-radius: 2px; image-rendering: pixelated; }
button img.smooth { image-rendering: auto; }
button span { display: block; font-size: .75rem; line-height: 1.5; text-align: center;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  font-variant-numeric: tabular-nums; }
button.marked { border-style: dashed; border-color: var(--st-text-color); }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
button[aria-pressed=true] { border: 1px solid var(--st-primary-color);
  box-shadow: 0 0 0 1px var(--st-primary-color); }
button[aria-pressed=true] span { font-weight: 700; }
@media (max-width: 640px) { .tiles { max-height: 62vh; } }
"""

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector('.tiles');
  grid.style.setProperty('--columns', data.columns);
  grid.setAttribute('aria-label', data.label);
  if (grid.sheet !== data.sheet) {  // a press changes what is chosen, not the pictures
    grid.replaceChildren(...data.tiles.map(drawn));
    grid.scrollTop = 0;
    grid.sheet = data.sheet;
  }
  for (const button of grid.children)
    button.setAttribute('aria-pressed', button.dataset.unit === data.chosen);
  grid.onclick = (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    setTriggerValue('pressed', button.dataset.unit);
    // Where the columns stand below each other, what is said of the unit is out of sight.
    if (window.innerWidth <= 640)
      document.querySelector('[data-chosen-unit]')?.scrollIntoView({ block: 'start' });
  };
}

function drawn(tile) {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.unit = tile.unit;
  button.title = tile.title;
  button.setAttribute('aria-label', tile.title);
  button.className = tile.marked ? 'marked' : '';
  const picture = document.createElement('img');
  picture.alt = '';
  picture.src = tile.source;
  picture.className = tile.smooth ? 'smooth' : '';
  const caption = document.createElement('span');
  caption.textContent = tile.caption;
  button.append(picture, caption);
  return button;
}
"""

_component = st.components.v2.component("cnnviz_tiles", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture of a unit, uint8 (H, W, 3 or 4).

    `caption` stands below it, `title` is said under the pointer and to who cannot see it, and a
    `marked` tile has a dashed frame.
    """

    unit: int
    pixels: Pixels
    caption: str
    title: str
    marked: bool = False


def grid(
    tiles: list[Tile],
    chosen: int | None,
    key: str,
    label: str,
    press: Callable[[int], None],
    columns: int | None = None,
) -> None:
    """Write the tiles; `press` is called, before the rerun, with the unit that was pressed.

    Without `columns` they make a square, of 8 columns at most and of fewer on a narrow screen.
    """

    def pressed() -> None:
        unit = st.session_state[key].pressed
        if unit is not None and str(unit).isdecimal():
            press(int(unit))

    drawn = [
        {
            "unit": str(tile.unit),
            "source": source(tile.pixels),
            "caption": tile.caption,
            "title": tile.title,
            "marked": tile.marked,
            "smooth": tile.pixels.shape[1] > _WIDTH // 2,
        }
        for tile in tiles
    ]
    _component(
        key=key,
        data={
            "tiles": drawn,
            "sheet": hashlib.sha256(repr(drawn).encode()).hexdigest(),
            "columns": min(max(math.ceil(math.sqrt(len(tiles))), 3), 8)
            if columns is None
            else columns,
            "chosen": "" if chosen is None else str(chosen),
            "label": label,
        },
        on_pressed_change=pressed,
    )


def said(sentences: str) -> None:
    """Write what is said of the chosen unit, as HTML; on a narrow screen a press leads here."""
    st.html(f'<p data-chosen-unit="" style="scroll-margin-top: 9rem; margin: 0">{sentences}</p>')


def source(pixels: Pixels) -> str:
    """Return a picture as the address of an image in HTML."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()


def kernel_picture(found: Filters, unit: int, scale: float | None, dark: bool) -> Pixels:
    """Draw one filter: in the colours that it looks for, or its slices around zero.

    Without `scale` it has its own. Slices are RGBA, with clear gaps between them; of many, the
    strongest are shown, the strongest first.
    """
    kernel = found.weights[unit]
    side = max(kernel.shape[1:])
    if found.kind == "colour":
        return enlarge(signed_picture(kernel, scale), max(1, _WIDTH // side))
    scale = contrast(kernel) if scale is None else scale
    if len(kernel) > PART:
        kernel = kernel[strongest_slices(kernel)[:STRONGEST]]
    colours = signed_colours(kernel, signed_stops(dark), scale)
    opaque = np.full((*colours.shape[:3], 1), 255, np.uint8)
    slices = np.concatenate([colours, opaque], axis=-1)
    factor = max(2, round(_WIDTH / (np.ceil(np.sqrt(len(kernel))) * (side + 0.5))))
    large = slices.repeat(factor, axis=1).repeat(factor, axis=2)
    sheet: Pixels = tiled(large, gap=max(2, round(factor * 0.8)))
    return sheet


def strongest_slices(kernel: Array) -> NDArray[np.intp]:
    """Return the input channels of a filter (channels, height, width), the largest norm first."""
    return np.argsort(-np.linalg.norm(kernel.reshape(len(kernel), -1), axis=1), kind="stable")


def map_picture(values: Array, scale: float | None, dark: bool) -> Pixels:
    """Draw one feature map (height, width) around zero, at most `_WIDTH` pixels a side."""
    scale = contrast(values) if scale is None else scale
    colours = signed_colours(values, signed_stops(dark), scale)
    height, width = values.shape
    if max(height, width) > _WIDTH:
        part = _WIDTH / max(height, width)
        form = (max(1, round(width * part)), max(1, round(height * part)))
        return np.asarray(Image.fromarray(colours).resize(form, Image.Resampling.BOX))
    return colours


def matrix_png(weights: Array, dark: bool) -> bytes:
    """Return a matrix of signed weights (rows, columns) as a PNG, 8 pixels a weight."""
    return encode_png(enlarge(signed_colours(weights, signed_stops(dark)), 8))


def sheet_png(tiles: list[Tile], dark: bool) -> bytes:
    """Return the pictures of `tiles` with their captions as one PNG, on the page's background."""
    large = [enlarge(tile.pixels, max(1, _WIDTH // max(tile.pixels.shape[:2]))) for tile in tiles]
    wide = max(max(picture.shape[:2]) for picture in large)
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    across, down = wide + _MARGIN, wide + _MARGIN + _LINE
    size = (columns * across + _MARGIN, rows * down + _MARGIN)
    page = Image.new("RGB", size, BACKGROUND.on(dark))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    for place, (tile, picture) in enumerate(zip(tiles, large, strict=True)):
        left = _MARGIN + place % columns * across
        top = _MARGIN + place // columns * down
        image = Image.fromarray(picture).convert("RGBA")
        page.paste(image, (left, top), image)
        middle = (left + image.width / 2, top + image.height + _LINE / 2)
        pen.text(middle, caption_text(tile.caption), TEXT.on(dark), font, anchor="mm")
    return encode_png(np.asarray(page))
