"""Learning curves of a run that trains, as HTML that a page can replace without a flicker.

Streamlit puts a Plotly chart that has changed into the page anew, which blinks each second; of
HTML only what differs is touched. So a run that trains is drawn here, in the colours and dashes of
`cnnviz.charts.training`, which draws it once it rests, with values under the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cnnviz.charts.training import Line, Records, binned, line_styles, shared_part

#: Ticks at most on an axis.
_MOST_TICKS = 7

STYLE = """<style>
.live { margin: 0 0 2rem; font-size: 13px; color: var(--muted); }
.live .key { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; min-height: 1.5em; }
.live .key span { display: inline-flex; align-items: center; gap: .5em; }
.live .key i { display: inline-block; width: 26px; height: 0; border-top: 2px solid; }
.live .plot { position: relative; height: 240px; margin: .6rem 12px 44px 52px; }
.live svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.live svg * { fill: none; vector-effect: non-scaling-stroke; }
.live .grid { stroke: var(--line); stroke-width: 1; }
.live .end { stroke-linecap: round; stroke-width: 7; }
.live .x, .live .y { position: absolute; font-variant-numeric: tabular-nums; line-height: 1; }
.live .x { top: calc(100% + 8px); transform: translateX(-50%); }
.live .y { right: calc(100% + 8px); transform: translateY(50%); }
.live .title { position: absolute; line-height: 1; top: calc(100% + 28px); left: 50%;
  transform: translateX(-50%); }
</style>"""


@dataclass(frozen=True)
class Series:
    """A line: its name, its colour as CSS, its dashes (pixels, "" for none), points (epoch, value).

    One that is `faint` is a background to the others.
    """

    name: str
    colour: str
    dash: str
    points: Sequence[tuple[float, float]]
    faint: bool = False


def accuracies(epochs: Records) -> list[Series]:
    """The lines of `charts.training.accuracy_curve`."""
    return _parts(epochs, "accuracy")


def losses(steps: Records, epochs: Records) -> list[Series]:
    """The lines of `charts.training.loss_curve`."""
    batches = binned([(r["epoch"], r["loss"]) for r in steps])
    return [Series("single batches", "var(--muted)", "", batches, True), *_parts(epochs, "loss")]


def _parts(epochs: Records, what: str) -> list[Series]:
    training = Series("training", "var(--ink)", "2,3", _points(epochs, f"train_{what}"))
    held = Series("held out", "var(--accent)", "", _points(epochs, f"val_{what}"))
    return [series for series in (training, held) if series.points]


def _points(epochs: Records, field: str) -> list[tuple[float, float]]:
    return [(r["epoch"], r[field]) for r in epochs if r.get(field) is not None]


def several(lines: Sequence[Line], what: str) -> list[Series]:
    """The lines of `charts.training.several_accuracies` ("accuracy") or `several_losses` ("loss").

    The page writes their legend.
    """
    field = f"{shared_part(lines)}_{what}"
    styles = line_styles([line.family for line in lines])
    return [
        Series(line.name, f"var(--{colour}, var(--muted))", dash, points)
        for line, (colour, dash) in zip(lines, styles, strict=True)
        if (points := _points(line.epochs, field))
    ]


def accuracy_html(series: Sequence[Series], total: int, alt: str, legend: bool = True) -> str:
    """Draw accuracies (fractions of one) over `total` epochs; `alt` says what is seen."""
    ticks = [(share / 5, f"{20 * share}%") for share in range(6)]
    return _draw(series, total, 1.0, ticks, "accuracy", alt, legend)


def loss_html(series: Sequence[Series], total: int, alt: str, legend: bool = True) -> str:
    """Draw losses (nats) over `total` epochs; `alt` says what is seen."""
    top = max((y for one in series for _, y in one.points if math.isfinite(y)), default=1.0)
    top = max(top, 1e-9) * 1.03
    ticks = [(value, f"{value:g}") for value in _ticks(top)]
    return _draw(series, total, top, ticks, "cross-entropy (nats)", alt, legend)


def _ticks(top: float) -> list[float]:
    """Round values from 0 up to `top`, their steps 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(top / _MOST_TICKS))
    step = next(s * power for s in (1, 2, 5, 10) if s * power * _MOST_TICKS >= top)
    return [round(step * i, 12) for i in range(int(top / step + 1e-9) + 1)]


def _draw(
    series: Sequence[Series],
    total: int,
    top: float,
    ticks: Sequence[tuple[float, str]],
    title: str,
    alt: str,
    legend: bool,
) -> str:
    rows = "".join(
        f'<span class="y" style="bottom:{100 * value / top:.2f}%">{text}</span>'
        for value, text in ticks
    )
    epochs = [tick for tick in _ticks(total) if tick == int(tick)]
    columns = "".join(
        f'<span class="x" style="left:{100 * tick / total:.2f}%">{tick:,.0f}</span>'
        for tick in epochs
    )
    grid = "".join(
        f'<line class="grid" x1="0" x2="1000" y1="{y:.1f}" y2="{y:.1f}"/>'
        for y in (1000 - 1000 * value / top for value, _ in ticks)
    )
    drawn = "".join(_line(one, total, top) for one in series)
    key = "".join(_key(one) for one in series) if legend else ""
    return (
        f'<div class="live" role="img" aria-label="{escape(alt)}">'
        f'<div class="key" aria-hidden="true"><span>{title}</span>{key}</div>'
        '<div class="plot" aria-hidden="true">'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none">{grid}{drawn}</svg>'
        f'{rows}{columns}<span class="title">epoch</span></div></div>'
    )


def _line(one: Series, total: int, top: float) -> str:
    """A line, and a dot where it has got to."""
    points = [
        (1000 * x / total, 1000 - 1000 * min(y, 1.2 * top) / top)
        for x, y in one.points
        if math.isfinite(y)
    ]
    if not points:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    width, opacity = (1, 0.45) if one.faint else (2, 1)
    dash = f' stroke-dasharray="{one.dash}"' if one.dash else ""
    line = (
        f'<polyline points="{path}" stroke-width="{width}" stroke-opacity="{opacity}"{dash} '
        f'style="stroke:{one.colour}"/>'
    )
    x, y = points[-1]
    end = f'<path class="end" d="M{x:.1f} {y:.1f}h0" style="stroke:{one.colour}"/>'
    return line if one.faint else line + end


def _key(one: Series) -> str:
    kind = "dotted" if one.dash else "solid"
    width = 1 if one.faint else 2
    return (
        f'<span><i style="border-top:{width}px {kind} {one.colour}"></i>{escape(one.name)}</span>'
    )
