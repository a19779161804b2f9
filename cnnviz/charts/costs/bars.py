"""Bars and areas of a network's layers as HTML, which a browser draws at once.

A plotly chart takes a browser a tenth of a second or more to set up; these are a few elements a
layer, and what is under the pointer is written by the style sheet alone. `STYLE` goes beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from cnnviz.charts.style import ACCENT, BACKGROUND, LINE, MUTED, TEXT, Colour

#: Kinds of layers that have a colour of their own: label and colour.
KINDS = {
    "conv": ("Convolution", ACCENT),
    "linear": ("Fully connected", Colour("#b9702a", "#e3a15f")),
    "other": ("Everything else", MUTED),
}
_MOST_TICKS = 5
_EDGE = 0.2  # of a chart's width: nearer to its sides words do not stand in the middle


@dataclass(frozen=True)
class Item:
    """One layer: its share of the whole (0 to 1), its kind (a key of `KINDS`), words about it."""

    share: float
    kind: str
    words: str
    label: str = ""


@dataclass(frozen=True)
class Mark:
    """Bars that belong together, from `start` to before `stop`, and what to say of them."""

    start: int
    stop: int
    words: str


def bars(
    items: Sequence[Item],
    names: dict[int, str],
    axis: str,
    alt: str,
    marks: Sequence[Mark] = (),
) -> str:
    """Write one bar an item, in their order, as HTML.

    Args:
        items: what is drawn, from left to right.
        names: words under some of the bars, by their index.
        axis: what is drawn, written where the words under the pointer appear.
        alt: for who cannot see it.
        marks: bars with a bracket over them.

    """
    top, step = _scale(max((item.share for item in items), default=0.0))
    lines = "".join(
        f'<u style="bottom:{100 * value / top:.2f}%"><b>{100 * value:g} %</b></u>'
        for value in (step * i for i in range(round(top / step) + 1))
    )
    columns = "".join(
        f'<i class="{item.kind}" style="--h:{100 * item.share / top:.3f}%" '
        f'data-words="{escape(item.words)}"></i>'
        for item in items
    )
    below = "".join(
        f'<span style="left:{100 * (index + 0.5) / len(items):.2f}%">{escape(name)}</span>'
        for index, name in names.items()
    )
    brackets = "".join(_bracket(mark, len(items)) for mark in marks)
    return (
        f'<div class="shares" role="img" aria-label="{escape(alt)}">'
        f'<p class="words">{escape(axis)}</p>{_legend(items)}'
        f'<div class="plot"><div class="grid">{lines}</div><div class="marks">{brackets}</div>'
        f'<div class="columns">{columns}</div></div>'
        f'<div class="names">{below}</div></div>'
    )


def _bracket(mark: Mark, count: int) -> str:
    """Write a mark over its bars; its words begin or end with it near the sides of the chart."""
    left, right = mark.start / count, mark.stop / count
    middle = (left + right) / 2
    side = "near" if middle < _EDGE else "far" if middle > 1 - _EDGE else ""
    return (
        f'<span style="left:{100 * left:.2f}%;width:{100 * (right - left):.2f}%">'
        f'<b class="{side}">{escape(mark.words)}</b></span>'
    )


def _scale(highest: float) -> tuple[float, float]:
    """Return the end of an axis from 0 and the step of its ticks, which it is a multiple of."""
    if highest <= 0:
        return 0.01, 0.01
    decade = 10.0 ** math.floor(math.log10(highest / _MOST_TICKS))
    step = next(s * decade for s in (1, 2, 5, 10) if highest <= s * decade * _MOST_TICKS)
    return step * math.ceil(highest / step - 1e-9), step


def _legend(items: Sequence[Item]) -> str:
    found = {item.kind for item in items if item.share > 0}
    entries = (f'<span class="{k}">{label}</span>' for k, (label, _) in KINDS.items() if k in found)
    return f'<p class="legend">{"".join(entries)}</p>'


Group = tuple[str, str, Sequence[Item]]


def areas(groups: Sequence[Group], axis: str, alt: str) -> str:
    """Write every item as an area inside the area of its group, as HTML: a squarified treemap.

    Bruls, Huizing, van Wijk 2000, "Squarified treemaps". `groups` are (title, words, items), those
    without an item of any share left out.
    """
    kept = [(title, words, [i for i in items if i.share > 0]) for title, words, items in groups]
    kept = [group for group in kept if group[2]]
    sums = [sum(item.share for item in items) for _, _, items in kept]
    parts = []
    for index, box in _squarified(sums, _ASPECT):
        title, words, items = kept[index]
        cells = "".join(
            f'<i class="{items[i].kind}" style="{cell.style()}" '
            f'title="{escape(items[i].words)}">'
            f"<b>{escape(items[i].label)}<br>{100 * items[i].share:.1f} %</b></i>"
            for i, cell in _squarified(
                [item.share for item in items], _ASPECT * box.width / box.height
            )
        )
        parts.append(
            f'<div class="stage" style="{box.style()}" title="{escape(words)}">'
            f"<b>{escape(title)} {100 * sums[index]:.1f} %</b><div>{cells}</div></div>"
        )
    every = [item for _, _, items in kept for item in items]
    return (
        f'<div class="shares" role="img" aria-label="{escape(alt)}">'
        f'<p class="words">{escape(axis)}</p>{_legend(every)}'
        f'<div class="map">{"".join(parts)}</div></div>'
    )


#: Width over height that areas are laid out for: between those of a wide and a narrow screen.
_ASPECT = 2.0


@dataclass(frozen=True)
class _Box:
    """A rectangle in fractions of the one around it."""

    left: float
    top: float
    width: float
    height: float

    def style(self) -> str:
        sides = ("left", self.left), ("top", self.top), ("width", self.width)
        return ";".join(f"{k}:{100 * v:.3f}%" for k, v in (*sides, ("height", self.height)))


def _squarified(values: Sequence[float], aspect: float) -> Iterator[tuple[int, _Box]]:
    """Yield the index of each value and its box in a rectangle of that width over height."""
    total = sum(values)
    left = top = 0.0
    width, height = aspect, 1.0  # of what is still free
    order = sorted(range(len(values)), key=lambda i: -values[i])
    scaled = [values[i] * aspect / total for i in order]  # areas
    start = 0
    while start < len(scaled):
        side = min(width, height)
        end = start + 1
        while end < len(scaled) and _worst(scaled[start : end + 1], side) <= _worst(
            scaled[start:end], side
        ):
            end += 1
        row = scaled[start:end]
        thick = sum(row) / side
        along = 0.0
        for index, area in zip(order[start:end], row, strict=True):
            length = area / thick
            if width >= height:
                box = left, top + along, thick, length
            else:
                box = left + along, top, length, thick
            yield index, _Box(box[0] / aspect, box[1], box[2] / aspect, box[3])
            along += length
        if width >= height:
            left, width = left + thick, width - thick
        else:
            top, height = top + thick, height - thick
        start = end


def _worst(row: Sequence[float], side: float) -> float:
    """Return the largest ratio of the sides among the areas of a row along `side`."""
    total = sum(row)
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * min(row)))


def _pair(colour: Colour) -> str:
    return f"light-dark({colour.light}, {colour.dark})"


_COLOURS = "".join(
    f".shares .{kind} {{ --kind: {_pair(colour)}; }}\n" for kind, (_, colour) in KINDS.items()
)
STYLE = f"""<style>
{_COLOURS}
.shares {{ position: relative; font-size: .82rem; color: {_pair(MUTED)};
  font-variant-numeric: tabular-nums; margin-bottom: .6rem; }}
.shares p {{ margin: 0 0 .3rem; font-size: inherit; line-height: 1.5; }}
.shares .legend span {{ margin-right: 1.1em; white-space: nowrap; }}
.shares .legend span::before {{ content: ""; display: inline-block; width: .75em; height: .75em;
  margin-right: .45em; border-radius: 2px; background: var(--kind); }}
.shares [data-words]:hover::after {{ content: attr(data-words); position: absolute; z-index: 2;
  left: 0; right: 0; top: 0; height: 1.5em; line-height: 1.5; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; color: {_pair(TEXT)}; pointer-events: none;
  background: {_pair(BACKGROUND)}; }}
.shares .words {{ white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.shares .plot {{ display: grid; height: 210px; margin: 1.9rem 0 0 3.1rem; }}
.shares .plot > * {{ grid-area: 1 / 1; }}
.shares .grid {{ position: relative; }}
.shares .grid u {{ position: absolute; left: 0; right: 0; border-top: 1px solid {_pair(LINE)};
  text-decoration: none; }}
.shares .grid u b {{ position: absolute; right: calc(100% + .5rem); top: -.75em; font-weight: 400;
  white-space: nowrap; }}
.shares .marks {{ position: relative; }}
.shares .marks span {{ position: absolute; top: -.5rem; bottom: 0; box-sizing: border-box;
  border: solid transparent; border-width: 2px 1.5px 0; border-top-color: {_pair(MUTED)};
  background: color-mix(in srgb, {_pair(MUTED)} 12%, transparent) padding-box; }}
.shares .marks b {{ position: absolute; left: 50%; bottom: 100%; transform: translateX(-50%);
  padding-bottom: .15rem; font-weight: 400; white-space: nowrap; color: {_pair(TEXT)}; }}
.shares .marks .near {{ left: 0; transform: none; }}
.shares .marks .far {{ left: auto; right: 0; transform: none; }}
.shares .columns {{ display: flex; z-index: 1; }}
.shares .columns i {{ flex: 1 1 0; min-width: 0;
  background: linear-gradient(var(--kind), var(--kind)) center bottom / 84% var(--h) no-repeat; }}
.shares .columns i:hover {{ background-color: {_pair(LINE)}; }}
.shares .names {{ position: relative; height: 1.5em; margin: .35rem 0 0 3.1rem; }}
.shares .names span {{ position: absolute; transform: translateX(-50%); white-space: nowrap; }}
.shares .map {{ position: relative; margin-top: .6rem; height: clamp(300px, 36vw, 430px); }}
.shares .stage, .shares .stage i {{ position: absolute; box-sizing: border-box; }}
.shares .stage {{ container-type: size; overflow: hidden; border-radius: 5px;
  border: 1.5px solid {_pair(BACKGROUND)}; background: {_pair(LINE)}; color: {_pair(TEXT)}; }}
.shares .stage b {{ display: block; font-weight: 400; line-height: 1.3; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }}
.shares .stage > b {{ padding: .1rem .4rem 0; height: 1.4rem; }}
.shares .stage > div {{ position: absolute; inset: 1.4rem 2px 2px 2px; }}
.shares .stage i {{ container-type: size; font-style: normal; border: 1px solid {_pair(LINE)};
  border-radius: 4px; color: {_pair(BACKGROUND)}; background: var(--kind); }}
.shares .stage i b {{ padding: .15rem .35rem; }}
@container (width < 52px) or (height < 36px) {{ .shares .stage i b {{ display: none; }} }}
@container (width < 44px) or (height < 32px) {{ .shares .stage > b {{ display: none; }}
  .shares .stage > div {{ inset: 1px; }} }}
.shares .stage i:hover {{ filter: brightness(1.12); }}
</style>"""
