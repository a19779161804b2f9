"""Where the evidence lies: occlusion maps, Grad-CAM, invariance curves, correspondence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from cnnviz.charts.style import ACCENT, HEAT, LINE, MUTED, TEXT, Colour, lay_below, styled

Array = NDArray[np.floating[Any]]
Classes = NDArray[np.integer[Any]]

# The sequential colours of .streamlit/config.toml, from little to much.
SEQUENTIAL_LIGHT = (
    *("#e8f0fa", "#cfdff3", "#b2cbea", "#93b5df", "#749ed3"),
    *("#5687c5", "#3b70b5", "#255a9f", "#144583", "#0a3163"),
)
SEQUENTIAL_DARK = (
    *("#12253d", "#163453", "#1c456d", "#255888", "#336da3"),
    *("#4883bb", "#649ad0", "#86b3e1", "#accdef", "#d6e7f9"),
)
# Answers other than the one to the whole photo. Their names are written on the map as well.
_ANSWERS = (
    Colour("#f2c9a1", "#7a4a1e"),
    Colour("#bcd9ef", "#1f4f78"),
    Colour("#cde3b4", "#41602a"),
    Colour("#e8bcd6", "#74315a"),
    Colour("#d8cdf2", "#4b3c85"),
    Colour("#f1e3a4", "#6b5c17"),
)
#: Maps of probabilities that stay below this are drawn up to their own largest value.
_FAINT = 0.2
#: Regions smaller than this share of the map go without a name on them.
_NAMED_SHARE = 0.03
# The width of a name, in heights.
_NAME_FORM = 3.0
_LINES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
_COLOURS = (
    Colour("#1f5aa8", "#8ab8f5"),
    Colour("#b5532a", "#f0a57f"),
    Colour("#2e7d4f", "#7fcf9f"),
    Colour("#8a3f8f", "#d79bdc"),
    Colour("#8a6d00", "#d9bf5a"),
    Colour("#5d626b", "#a3a7af"),
)


class Places(NamedTuple):
    """Where a square was put: its first rows and columns, and its side, in pixels."""

    rows: Sequence[int]
    columns: Sequence[int]
    size: int

    def centres(self) -> tuple[list[float], list[float]]:
        """Return the rows and columns of the squares' centres."""
        half = (self.size - 1) / 2
        return [row + half for row in self.rows], [column + half for column in self.columns]


def occlusion_map(
    values: Array, places: Places, what: str, dark: bool, *, percent: bool = False
) -> go.Figure:
    """Draw `values` (rows, columns) at the places of the square.

    `what` is said under the pointer. With `percent`, values are fractions of one, and the colours
    span all of 0 to 100 %, so that maps of different photos can be compared; only where all values
    are below 20 % do they end at the largest.
    """
    rows, columns = places.centres()
    colours = SEQUENTIAL_DARK if dark else SEQUENTIAL_LIGHT
    largest = max(float(values.max()), 1e-12)
    top = 1.0 if percent and largest >= _FAINT else largest
    figure = go.Figure()
    figure.add_heatmap(
        z=values,
        x=columns,
        y=rows,
        zmin=0 if percent else min(0.0, float(values.min())),
        zmax=top,
        colorscale=[[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)],
        colorbar={
            "thickness": 10,
            "outlinewidth": 0,
            "tickformat": ".2~%" if percent else ".3~s",
            "nticks": 5,
            "xpad": 6,
        },
        hovertemplate="square around row %{y:.0f}, column %{x:.0f}<br>"
        f"{what} %{{z:{'.1%' if percent else '.4~g'}}}<extra></extra>",
    )
    return _map_form(figure, dark)


def answer_map(
    best: Classes, places: Places, names: Sequence[str], whole: int, dark: bool
) -> go.Figure:
    """Draw the most probable class (rows, columns) at the places of the square, names on it.

    `names` are all classes; the class `whole`, the answer to the whole photo, is in quiet grey.
    """
    rows, columns = places.centres()
    shares = answer_shares(best)
    others = [number for number in shares if number != whole]
    colour = {whole: LINE.on(dark)}
    for place, number in enumerate(others):
        shade = _ANSWERS[place].on(dark) if place < len(_ANSWERS) else MUTED.on(dark)
        colour[number] = shade
    used = [whole, *others]
    index = np.vectorize({number: place for place, number in enumerate(used)}.get)(best)
    steps = []
    for place, number in enumerate(used):
        steps += [[place / len(used), colour[number]], [(place + 1) / len(used), colour[number]]]
    figure = go.Figure()
    figure.add_heatmap(
        z=index,
        x=columns,
        y=rows,
        zmin=-0.5,
        zmax=len(used) - 0.5,
        colorscale=steps,
        showscale=False,
        customdata=np.vectorize(lambda number: names[number])(best),
        hovertemplate="square around row %{y:.0f}, column %{x:.0f}<br>answer: %{customdata}"
        "<extra></extra>",
    )
    for number, row, column in _labels(best):
        figure.add_annotation(
            x=columns[column],
            y=rows[row],
            text=names[number],
            showarrow=False,
            font={"size": 12, "color": TEXT.on(dark)},
        )
    return _map_form(figure, dark)


def answer_shares(best: Classes) -> dict[int, float]:
    """Return the share of the places at which each class is the answer, the largest first."""
    numbers, counts = np.unique(best, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {int(numbers[i]): float(counts[i] / best.size) for i in order}


def _labels(best: Classes) -> Iterator[tuple[int, int, int]]:
    """Yield class, row and column of the innermost place of each region that has room."""
    for region in _regions(best):
        if len(region) < max(2, _NAMED_SHARE * best.size):
            continue
        places = np.array(sorted(region))
        inside = np.zeros((best.shape[0] + 2, best.shape[1] + 2), dtype=bool)
        inside[places[:, 0] + 1, places[:, 1] + 1] = True
        near = [np.roll(inside, step, axis) for axis in (0, 1) for step in (1, -1)]
        beyond = np.argwhere(np.logical_or.reduce(near) & ~inside) - 1
        # A name is wider than it is high, so room to its sides counts for less.
        apart = (places[:, None] - beyond) * np.array([1.0, 1 / _NAME_FORM])
        row, column = places[int((apart**2).sum(2).min(1).argmax())]
        yield int(best[row, column]), int(row), int(column)


def _regions(best: Classes) -> list[list[tuple[int, int]]]:
    """Return connected places (four neighbours) of one class each."""
    seen = np.zeros(best.shape, dtype=bool)
    regions = []
    for start in zip(*np.indices(best.shape).reshape(2, -1).tolist(), strict=True):
        if seen[start]:
            continue
        seen[start] = True
        region, waiting = [], [start]
        while waiting:
            row, column = waiting.pop()
            region.append((row, column))
            for place in (
                (row - 1, column),
                (row + 1, column),
                (row, column - 1),
                (row, column + 1),
            ):
                inside = 0 <= place[0] < best.shape[0] and 0 <= place[1] < best.shape[1]
                if inside and not seen[place] and best[place] == best[start]:
                    seen[place] = True
                    waiting.append(place)
        regions.append(region)
    return regions


def heat_on_photo(photo: bytes, heat: Array, dark: bool) -> go.Figure:
    """Draw `heat` (H, W; 0 or more) over a picture, the PNG `photo` stretched over H × W pixels.

    The hottest place has the strongest colour; under the pointer is the share of that.
    """
    height, width = heat.shape
    strongest = float(heat.max()) or 1.0
    figure = go.Figure()
    lay_below(figure, photo, (height, width))
    figure.add_heatmap(
        z=(heat / strongest).astype(np.float32),
        colorscale=[
            [0, f"rgba({HEAT}, 0)"],
            [0.5, f"rgba({HEAT}, .5)"],
            [1, "rgba(255, 236, 170, .85)"],
        ],
        zmin=0,
        zmax=1,
        showscale=False,
        hovertemplate="row %{y}, column %{x}: %{z:.0%} of the largest<extra></extra>",
    )
    return _map_form(figure, dark, bounds=(height, width))


def half_area(heat: Array) -> float:
    """Return the smallest share of the places that holds half of `heat`; 0 where there is none."""
    ordered = np.sort(heat.ravel())[::-1].cumsum(dtype=np.float64)
    if ordered[-1] <= 0:
        return 0.0
    return float((np.searchsorted(ordered, ordered[-1] / 2) + 1) / ordered.size)


def _map_form(figure: go.Figure, dark: bool, bounds: tuple[int, int] | None = None) -> go.Figure:
    styled(figure, dark, height=290)
    hidden = {"visible": False, "fixedrange": True, "constrain": "domain", "showgrid": False}
    figure.update_xaxes(constraintoward="left", **hidden)
    figure.update_yaxes(constraintoward="top", scaleanchor="x", autorange="reversed", **hidden)
    if bounds is not None:
        height, width = bounds
        figure.update_xaxes(range=[-0.5, width - 0.5])
        figure.update_yaxes(range=[height - 0.5, -0.5], autorange=None)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False)
    return figure


class Axis(NamedTuple):
    """What an amount is called and measured in: "turned by", "°".

    `form` is how a number is written, and `step` what lies between two ticks, None for any.
    """

    title: str
    unit: str
    form: str = ".0f"
    step: float | None = None


def invariance_lines(
    amounts: Sequence[float],
    values: Array,
    names: Sequence[str],
    axis: Axis,
    what: str,
    dark: bool,
    *,
    percent: bool = False,
) -> go.Figure:
    """Draw one line for each image, `values` (images, amounts), told apart by dash and mark too."""
    figure = go.Figure()
    for place, (name, line) in enumerate(zip(names, values, strict=True)):
        colour = _COLOURS[place % len(_COLOURS)].on(dark)
        figure.add_scatter(
            x=list(amounts),
            y=line.tolist(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 1.8, "dash": _LINES[place % len(_LINES)]},
            marker={"size": 5, "symbol": _MARKS[place % len(_MARKS)], "color": colour},
            cliponaxis=False,
            hovertemplate=f"{name}, {axis.title} %{{x:{axis.form}}}{axis.unit}<br>{what} "
            f"%{{y:{'.1%' if percent else '.3~g'}}}<extra></extra>",
        )
    styled(figure, dark, height=300)
    figure.update_xaxes(title=axis.title, ticksuffix=axis.unit, nticks=6, dtick=axis.step)
    figure.update_yaxes(rangemode="tozero", title="")
    if percent:
        figure.update_yaxes(range=[0, 1.03], tickformat=".0%")
    figure.update_layout(legend={"font": {"size": 12}, "itemwidth": 30})
    return figure


def correspondence_strip(
    part: Sequence[float], groups: Mapping[str, Sequence[float]], dark: bool
) -> go.Figure:
    """Draw Δ of the part against Δ of random boxes, all fractions of signs that differ.

    `part` has one value for each pair of images, and its mean is the part's Δ, with ± one standard
    deviation; `groups` names lists of Δ, one value for each random draw.
    """
    figure = go.Figure()
    mean = float(np.mean(part))
    figure.add_vline(x=mean, line={"color": ACCENT.on(dark), "width": 1, "dash": "dot"})
    for name, values in groups.items():
        figure.add_scatter(
            x=list(values),
            y=[name] * len(values),
            mode="markers",
            marker={"size": 8, "color": MUTED.on(dark), "opacity": 0.45},
            hovertemplate=f"{name}: Δ %{{x:.1%}}<extra></extra>",
        )
        _mean_and_deviation(figure, name, values, MUTED.on(dark), "line-ns-open")
    _mean_and_deviation(figure, "the part", part, ACCENT.on(dark), "diamond")
    styled(figure, dark, height=210)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title="Δ: signs that differ", tickformat=".1~%", rangemode="tozero")
    figure.update_yaxes(
        showgrid=False, categoryorder="array", categoryarray=[*reversed(list(groups)), "the part"]
    )
    return figure


def _mean_and_deviation(
    figure: go.Figure, name: str, values: Sequence[float], colour: str, symbol: str
) -> None:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    figure.add_scatter(
        x=[float(np.mean(values))],
        y=[name],
        error_x={"type": "data", "array": [deviation], "thickness": 2, "width": 5},
        mode="markers",
        marker={"size": 13, "color": colour, "symbol": symbol, "line": {"width": 2}},
        hovertemplate=f"{name}: Δ %{{x:.2%}} ± {deviation:.2%}<extra></extra>",
    )
