"""Accuracy against cost, and where networks differ class by class."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from cnnviz.charts import labels
from cnnviz.charts.style import (
    ACCENT,
    BACKGROUND,
    FAMILY_COLOURS,
    FAMILY_SYMBOLS,
    MUTED,
    TEXT,
    Colour,
    mixed,
    readable_on,
    styled,
)

#: Costs that can be compared: column -> (axis title, unit under the pointer, divisor).
COSTS = {
    "params": ("parameters", "parameters", 1.0),
    "macs": ("multiply-accumulates (MACs) for one image", "MACs", 1.0),
    "latency_ms": ("latency of one image on this machine (ms)", "ms", 1.0),
    "weight_bytes": ("size of the weights' file (MB)", "MB", 1e6),
}
# How a network is to another that has several times as much of a cost: "4.4 × faster".
_CHEAPER = {
    "params": "{} × fewer parameters",
    "macs": "{} × fewer MACs",
    "latency_ms": "{} × faster",
    "weight_bytes": "{} × smaller on disk",
}

#: The plot's width and height in pixels on a phone and on a large screen.
_SIZES = ((280.0, 300.0), (900.0, 300.0))


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy measured on `images` images (Wilson 1927).

    It stays within 0 and 1, and has a width even where every image is right.
    """
    if not images:
        return 0.0, 1.0
    share = 1.96**2 / images
    middle = (accuracy + share / 2) / (1 + share)
    half = 1.96 * math.sqrt((accuracy * (1 - accuracy) + share / 4) / images) / (1 + share)
    return middle - half, middle + half


def margin(accuracy: float, images: int) -> float:
    """Half the width of that interval."""
    low, high = interval(accuracy, images)
    return (high - low) / 2


def accuracy_against(frame: pd.DataFrame, cost: str, dark: bool) -> go.Figure:
    """A point a row: accuracy against the column `cost` on a log scale, with an error bar.

    `frame` has columns model, title, family, family_title, accuracy, test_images and `cost`. The
    bar is the 95 % interval of the test images; where the columns ``seeds`` and ``sd`` say that
    the accuracy is a mean over several seeds, it is one standard deviation each way. A dotted line
    goes through the networks that no cheaper one is as accurate as.
    """
    axis, unit, divisor = COSTS[cost]
    axis_range = _span(frame[cost] / divisor)
    places = _places(frame[cost] / divisor, frame, axis_range)
    figure = go.Figure()
    for family, rows in frame.groupby("family", sort=False):
        colour = FAMILY_COLOURS.get(str(family), Colour(MUTED.light, MUTED.dark)).on(dark)
        figure.add_scatter(
            x=rows[cost] / divisor,
            y=rows["accuracy"],
            name=str(rows["family_title"].iloc[0]),
            mode="markers+text",
            text=[_name(row) for row in rows.to_dict("records")],
            # Beside the mark: above it stands the interval.
            texttemplate="  %{text}  ",
            textposition=list(places[rows.index]),
            # A halo: a grid line would strike the words through.
            textfont={"color": TEXT.on(dark), "size": 13, "shadow": _halo(BACKGROUND.on(dark))},
            cliponaxis=False,
            marker={
                "size": 13,
                "color": colour,
                "symbol": FAMILY_SYMBOLS.get(str(family), "circle"),
                "line": {"width": 1.5, "color": TEXT.on(dark)},
            },
            error_y=_error_bars(rows, dark),
            customdata=rows[["model"]],
            hovertemplate=f"%{{text}}<br>%{{y:.2%}} right<br>%{{x:,.4~s}} {unit}"
            "<br>%{customdata[0]}<extra></extra>",
        )
    _draw_frontier(figure, frontier(frame[cost] / divisor, frame["accuracy"]), axis_range, dark)
    styled(figure, dark, height=420)
    figure.update_layout(margin={"l": 8, "r": 24, "t": 44, "b": 8}, clickmode="event+select")
    figure.update_xaxes(
        title=axis,
        type="log",
        range=axis_range,
        tickvals=_ticks(axis_range),
        tickformat="~s" if divisor == 1 and cost != "latency_ms" else "~g",
    )
    figure.update_yaxes(title="test accuracy", tickformat=".0%", range=_room(frame["accuracy"]))
    return figure


def _error_bars(rows: pd.DataFrame, dark: bool) -> dict[str, Any]:
    """The bars of `_bounds` above and below each accuracy, as Plotly has them."""
    bounds = [_bounds(row) for row in rows.to_dict("records")]
    return {
        "array": [high - a for a, (_, high) in zip(rows["accuracy"], bounds, strict=True)],
        "arrayminus": [a - low for a, (low, _) in zip(rows["accuracy"], bounds, strict=True)],
        "color": MUTED.on(dark),
        "thickness": 1,
        "width": 4,
    }


def frontier(costs: pd.Series[float], accuracies: pd.Series[float]) -> list[tuple[float, float]]:
    """Return (cost, accuracy) of each point that none of at most its cost is as accurate as.

    They are the Pareto frontier, the cheapest first.
    """
    found: list[tuple[float, float]] = []
    for cost, accuracy in sorted(zip(costs, accuracies, strict=True), key=lambda p: (p[0], -p[1])):
        if not found or accuracy > found[-1][1]:
            found.append((float(cost), float(accuracy)))
    return found


def _draw_frontier(
    figure: go.Figure, points: list[tuple[float, float]], axis_range: list[float], dark: bool
) -> None:
    """Draw the frontier of two points or more as stairs that go on to the right edge."""
    if len(points) < 2:
        return
    line = {"color": MUTED.on(dark), "width": 1, "dash": "dot"}
    ends = [*(cost for cost, _ in points[1:]), 10 ** axis_range[1]]
    for (cost, accuracy), end in zip(points, ends, strict=True):
        figure.add_shape(
            type="line", x0=cost, x1=end, y0=accuracy, y1=accuracy, line=line, layer="below"
        )
    for (_, below), (cost, above) in pairwise(points):
        figure.add_shape(
            type="line", x0=cost, x1=cost, y0=below, y1=above, line=line, layer="below"
        )


def _bounds(row: Mapping[Hashable, Any]) -> tuple[float, float]:
    if _over_seeds(row):
        return row["accuracy"] - row["sd"], row["accuracy"] + row["sd"]
    return interval(row["accuracy"], row["test_images"])


def _over_seeds(row: Mapping[Hashable, Any]) -> bool:
    """Tell whether a row is the mean over several seeds."""
    return bool(row.get("seeds", 1) > 1)


def _name(row: Mapping[Hashable, Any]) -> str:
    """Return the name beside a mark: a width as a factor, so that it stays short."""
    name = str(row["title"]).replace(", width ", " × ")
    return f"{name}, {row['seeds']} seeds" if _over_seeds(row) else name


def _places(
    values: pd.Series[float], frame: pd.DataFrame, axis_range: list[float]
) -> pd.Series[str]:
    """The place of each row's name, by the frame's index."""
    low, high = _room(frame["accuracy"])
    x = [(math.log10(v) - axis_range[0]) / (axis_range[1] - axis_range[0]) for v in values]
    y = [(high - accuracy) / (high - low) for accuracy in frame["accuracy"]]
    names = [_name(row) for row in frame.to_dict("records")]
    return pd.Series(labels.place(list(zip(x, y, strict=True)), names, _SIZES), frame.index)


def _halo(colour: str) -> str:
    return ", ".join(f"{x}px {y}px 2px {colour}" for x in (-1, 0, 1) for y in (-1, 0, 1))


def _span(values: pd.Series[float]) -> list[float]:
    """The decimal logarithms of the axis' ends: the values with room for a name beside each."""
    if values.empty:
        return [0, 1]
    low, high = math.log10(values.min()), math.log10(values.max())
    margin = max(0.15 * (high - low), 0.3)
    return [low - margin, high + margin]


def _ticks(axis_range: list[float]) -> list[float]:
    """Powers of ten, and where there are few of them 2 and 5 times these too."""
    low, high = axis_range
    steps = (1,) if high - low > 2.5 else (1, 2, 5)
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return [tick for tick in ticks if low <= math.log10(tick) <= high]


def _room(accuracies: pd.Series[float]) -> list[float]:
    if accuracies.empty:
        return [0, 1]
    low, high = float(accuracies.min()), float(accuracies.max())
    return [max(low - 0.05, 0.0), min(high + 0.05, 1.005)]


def accuracy_by_class(frame: pd.DataFrame, dark: bool) -> go.Figure:
    """A row a model, a column a class: the fraction of the class's test images that are right.

    `frame` has an index of titles and a column for each class.
    """
    shares = frame.to_numpy(dtype=float)
    lowest = _floor(shares)
    low, high = BACKGROUND.on(dark), ACCENT.on(dark)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(frame.columns),
            y=list(frame.index),
            colorscale=[[0, low], [1, high]],
            zmin=lowest,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{y}<br>%{x}: %{z:.1%} right<extra></extra>",
        )
    )
    styled(figure, dark, height=90 + 44 * len(frame))
    # Without the sign, so that ten columns fit on a phone.
    figure.update_layout(
        annotations=[
            {
                "x": frame.columns[column],
                "y": frame.index[row],
                "text": _whole_percent(share),
                "showarrow": False,
                "font": {"color": readable_on(_tone(share, lowest, low, high), dark)},
            }
            for (row, column), share in np.ndenumerate(shares)
            if not math.isnan(share)
        ]
    )
    # Digits are names here, not numbers.
    figure.update_xaxes(title={"text": "% right"}, side="top", showgrid=False, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return figure


def _floor(shares: NDArray[np.float64]) -> float:
    """The share that the palest colour stands for: the lowest, rounded down to a twentieth.

    From zero up, 52 % and 98 % would have nearly the same colour.
    """
    known = shares[~np.isnan(shares)]
    return math.floor(20 * known.min()) / 20 if known.size and known.min() < 1 else 0.0


def _tone(share: float, lowest: float, low: str, high: str) -> str:
    return mixed((share - lowest) / (1 - lowest), low, high)


def _whole_percent(share: float) -> str:
    return f"{100 * share:.0f}"


def sentence(frame: pd.DataFrame, cost: str = "params") -> str:
    """What the comparison shows, as a title: the best network, and the cheapest beside it.

    `cost` is a key of `COSTS`. Of networks that are equally good none is called the best.
    """
    if frame.empty:
        return "No network to compare yet"
    leaders = frame[frame["accuracy"] == frame["accuracy"].max()]
    if leaders["title"].nunique() > 1:
        share = f"{leaders['accuracy'].iloc[0] * 100:.1f} %"
        return f"{len(leaders)} networks get {share} of the test images right, more than any other"
    best, cheap = leaders.iloc[0], frame.iloc[int(frame[cost].argmin())]
    reached = f"{best['accuracy'] * 100:.1f}"
    if _over_seeds(best.to_dict()):
        reached += f" ± {best['sd'] * 100:.1f}"
    text = f"{best['title']} gets {reached} % of the test images right"
    if _over_seeds(best.to_dict()):
        text += f" ({best['seeds']} seeds, mean ± sd)"
    ratio = best[cost] / cheap[cost]
    if ratio < 1.05:
        return text
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
    share = f"{cheap['accuracy'] * 100:.1f} %"
    return f"{text}; {cheap['title']}, {_CHEAPER[cost].format(times)}, {share}"


def class_sentence(table: pd.DataFrame) -> str:
    """Say which class is right least often, averaged over the networks (rows) of `table`."""
    means = table.mean()
    hardest = list(means.index[np.isclose(means, means.min(), rtol=1e-9, atol=0)])
    share = f"{means.min() * 100:.0f} % right on average"
    if len(hardest) == len(means):
        return f"All classes are equally hard: {share}"
    if len(hardest) > 1:
        return f"{len(hardest)} classes are equally hard: {share}"
    return f"Hardest of all classes: {hardest[0]}, {share}"
