"""Receptive fields: one on a picture, and how they grow with depth.

Both are HTML: a browser draws it at once, and of HTML that changes only what differs is touched,
so that the boxes and the chosen layer's dot move where another layer is chosen. `STYLE` goes
beside them, and `pictures` for the photo under the boxes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cnnviz.charts.style import ACCENT, BACKGROUND, LINE, MUTED, TEXT, Colour


class Frame(NamedTuple):
    """A rectangle of pixels to draw: its top, left, height and width."""

    top: float
    left: float
    height: float
    width: float

    def style(self, height: int, width: int) -> str:
        """Return its place in a picture of `height` × `width` pixels as CSS."""
        whole = (height, width, height, width)
        sides = zip(self._fields, self, whole, strict=True)
        return ";".join(f"{name}:{100 * value / full:.3f}%" for name, value, full in sides)


# On a photo the colours stay the same in both themes: what they stand on does not change.
_HEAT = np.array([[255, 106, 0, 0.0], [255, 106, 0, 0.45], [255, 243, 196, 1.0]])


_CROWD = 90  # with more layers the dots are drawn small
_ROOM = 0.12  # of the axis: below a line so high there is room for words


def heat_map(density: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return `density` (H, W; not negative) as colours (H, W, 4) to lay over a photo.

    Their strength goes by the square root, since most of a field is faint.
    """
    strength = np.sqrt(density / (float(density.max()) or 1.0))
    stops = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(strength, stops, stop) for stop in _HEAT.T]
    return np.stack([*channels[:3], 255 * channels[3]], axis=-1).round().astype(np.uint8)


def pictures(photo: bytes, heat: bytes) -> str:
    """Return the style sheet that lays the PNG `heat` over the PNG `photo`, under the boxes."""
    layers = (f"url(data:image/png;base64,{base64.b64encode(p).decode()})" for p in (heat, photo))
    return f"<style>.field-photo {{ background-image: {', '.join(layers)}; }}</style>"


def field_picture(size: tuple[int, int], box: Frame, core: Frame | None, alt: str) -> str:
    """Draw the boxes of a field over a picture of (height, width) pixels, as HTML.

    `box` is the theoretical field clipped at the border (a solid line), `core` the square with
    half of the gradient (dotted; None without one).
    """
    height, width = size
    inner = "" if core is None else f'<i class="core" style="{core.style(height, width)}"></i>'
    wide = f"min(30rem, {30 * width / height:.2f}rem)"  # and so no taller than 30rem
    return (
        f'<div class="field-photo" role="img" aria-label="{escape(alt)}" '
        f'style="aspect-ratio:{width} / {height};max-width:{wide}">'
        f'<i class="box" style="{box.style(height, width)}"></i>{inner}</div>'
    )


def growth_sentence(frame: pd.DataFrame, side: int) -> str:
    """Say which layer's field is the first to span the picture, or that none does.

    `frame` has the columns path and receptive_field, in order of execution; `side` is the
    picture's longer side in pixels.
    """
    spans = frame[frame["receptive_field"] >= side]
    if spans.empty:
        return f"No layer's field spans the {side:,} pixels of the picture"
    first = spans["path"].iloc[0]  # where branches meet, fields after it may be smaller
    place = frame["path"].tolist().index(first) + 1
    return f"{first} is the first layer ({place} of {len(frame)}) whose field spans the picture"


def field_growth(
    frame: pd.DataFrame,
    side: int,
    chosen: str,
    alt: str,
    names: Mapping[int, str] = MappingProxyType({}),
) -> str:
    """Draw the receptive field, in pixels, of each layer in order of execution, as HTML.

    `frame` has the columns path and receptive_field; the layer `chosen` has the large dot, and a
    dashed line stands at `side`, the picture's longer side. `names` are words under some of the
    layers, by their place.
    """
    rows = list(zip(frame["path"], (int(size) for size in frame["receptive_field"]), strict=True))
    ticks = _ticks(max(side, *(size for _, size in rows)))
    top = ticks[-1]
    lines = "".join(
        f'<u style="bottom:{100 * tick / top:.2f}%"><b>{tick:,} px</b></u>' for tick in ticks
    )
    words = "".join(f'<i data-words="{escape(path)}: {size:,} px"></i>' for path, size in rows)
    xs = [1000 * (index + 0.5) / len(rows) for index in range(len(rows))]
    ys = [1000 - 1000 * size / top for _, size in rows]
    below = "".join(
        f'<span style="left:{100 * (index + 0.5) / len(rows):.2f}%">{escape(name)}</span>'
        for index, name in names.items()
    )
    crowd = " crowd" if len(rows) > _CROWD else ""
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(xs, ys, strict=True))
    place = next((index for index, (path, _) in enumerate(rows) if path == chosen), 0)
    return (
        f'<div class="growth" role="img" aria-label="{escape(alt)}">'
        '<p class="words">Receptive field, layers in order of execution; the line: the largest '
        "so far</p>"
        f'<div class="plot"><div class="grid">{lines}'
        f'<div class="picture" style="bottom:{100 * side / top:.2f}%">'
        f'<b class="{_free_place([size for _, size in rows], side, top)}">'
        f"the picture, {side:,} px</b></div>"
        '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none">'
        f'<path d="{_stairs(xs, ys)}"/><path class="dots{crowd}" d="{dots}"/></svg>'
        f'<s style="left:{xs[place] / 10:.2f}%;top:{ys[place] / 10:.2f}%"></s></div>'
        f'<div class="columns">{words}</div></div><div class="names">{below}</div></div>'
    )


def _free_place(sizes: list[int], side: int, top: int) -> str:
    """Return where the words on the picture's line meet no field: "", or "late" and "low".

    At its left and above it, unless the fields cross it early; then at its right, and below it
    where there is room for them.
    """
    crossing = next((index for index, size in enumerate(sizes) if size >= side), len(sizes))
    if crossing > len(sizes) / 2:
        return ""
    return "late low" if side / top > _ROOM else "late"


def _stairs(xs: list[float], ys: list[float]) -> str:
    """Return the path of the largest field so far: branches with smaller ones would make a saw."""
    path, highest = f"M{xs[0]:.1f} {ys[0]:.1f}", ys[0]
    for x, y in zip(xs[1:], ys[1:], strict=True):
        highest = min(highest, y)
        path += f"H{x:.1f}V{highest:.1f}"
    return path


def _ticks(highest: int) -> list[int]:
    """Return round numbers from 0 to `highest` or a little more, at most six."""
    decade = 10 ** max(0, math.floor(math.log10(highest / 5)))
    step = next(s * decade for s in (1, 2, 5, 10) if highest <= 5 * s * decade)
    return list(range(0, step * math.ceil(highest / step) + 1, step))


def _pair(colour: Colour) -> str:
    return f"light-dark({colour.light}, {colour.dark})"


STYLE = f"""<style>
.field-photo {{ position: relative; min-width: 2rem; min-height: 2rem; max-height: 30rem;
  overflow: hidden; border-radius: 3px; background-size: 100% 100%; image-rendering: pixelated;
  margin-bottom: .8rem; }}
.field-photo i {{ position: absolute; box-sizing: border-box; border: 2px solid #fff;
  outline: 1.5px solid rgb(0 0 0 / .6);
  box-shadow: inset 0 0 0 1.5px rgb(0 0 0 / .6); transition: all .45s ease; }}
.field-photo .core {{ border: 2px dotted #ffd9b0; }}
.growth {{ position: relative; font-size: .82rem; color: {_pair(MUTED)}; margin-bottom: 1rem;
  font-variant-numeric: tabular-nums; }}
.growth p {{ margin: 0; font-size: inherit; line-height: 1.5; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }}
.growth .plot {{ display: grid; height: 250px; margin: 1.2rem .5rem .5rem 3.6rem; }}
.growth .plot > * {{ grid-area: 1 / 1; }}
.growth .grid {{ position: relative; }}
.growth .grid u {{ position: absolute; left: 0; right: 0; border-top: 1px solid {_pair(LINE)};
  text-decoration: none; }}
.growth b {{ font-weight: 400; white-space: nowrap; }}
.growth u b {{ position: absolute; right: calc(100% + .5rem); top: -.75em; }}
.growth .picture {{ position: absolute; left: 0; right: 0;
  border-top: 1.5px dashed {_pair(MUTED)}; }}
.growth .picture b {{ position: absolute; left: 0; bottom: .3rem; line-height: 1; }}
.growth .picture .late {{ left: auto; right: 0; }}
.growth .picture .low {{ bottom: auto; top: .3rem; }}
.growth svg {{ position: absolute; width: 100%; height: 100%; overflow: visible; }}
.growth path {{ fill: none; stroke: {_pair(ACCENT)}; stroke-width: 1.5;
  vector-effect: non-scaling-stroke; }}
.growth .dots {{ stroke-width: 6; stroke-linecap: round; }}
.growth .crowd {{ stroke-width: 3.5; }}
.growth s {{ position: absolute; width: 15px; height: 15px; border-radius: 50%;
  background: {_pair(ACCENT)}; transform: translate(-50%, -50%); transition: all .45s ease; }}
.growth .names {{ position: relative; height: 1.5em; margin: 0 .5rem 0 3.6rem; }}
.growth .names span {{ position: absolute; transform: translateX(-50%); white-space: nowrap; }}
.growth .columns {{ display: flex; z-index: 1; }}
.growth .columns i {{ flex: 1 1 0; min-width: 0; }}
.growth .columns i:hover {{ background: color-mix(in srgb, {_pair(MUTED)} 25%, transparent); }}
.growth [data-words]:hover::after {{ content: attr(data-words); position: absolute;
  left: 0; right: 0; top: 0; height: 1.5em; line-height: 1.5; overflow: hidden; font-style: normal;
  white-space: nowrap; text-overflow: ellipsis; color: {_pair(TEXT)}; pointer-events: none;
  background: {_pair(BACKGROUND)}; }}
@media (prefers-reduced-motion: reduce) {{ .field-photo i, .growth s {{ transition: none; }} }}
</style>"""
