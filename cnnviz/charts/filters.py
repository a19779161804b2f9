"""Kernels and feature maps whose numbers can be read under the pointer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from cnnviz.charts.style import ACCENT, HEAT, MUTED, TEXT, lay_below, styled

Array = NDArray[np.floating[Any]]

# From the most negative to the most positive, zero in the middle: the diverging colours of
# .streamlit/config.toml around a neutral tone of the background.
_SIGNED_LIGHT = (
    *("#8c1d2f", "#b5404a", "#d3706f", "#e8a39c", "#f5d3cc", "#f3f2ee"),
    *("#cfe0ee", "#9cbfdd", "#6496c5", "#356ea8", "#174a80"),
)
_SIGNED_DARK = (
    *("#f2a49c", "#df7b76", "#bd5558", "#8c3a40", "#55292f", "#23262c"),
    *("#233a54", "#2f5a85", "#4a80b5", "#76a6d6", "#a9cdf0"),
)
_IN_ONE_ROW = 4  # slices
#: Most cells in a row that leave room for the channels' numbers between the rows.
_NUMBERED_CELLS = 38


class Spread(NamedTuple):
    """How a map lies on the picture: pixels between neighbouring positions, the first one's."""

    step: float
    top: float
    left: float


def signed_colours(dark: bool) -> tuple[str, ...]:
    """Return the colours of signed numbers as #rrggbb: red below zero, blue above."""
    return _SIGNED_DARK if dark else _SIGNED_LIGHT


def signed_stops(dark: bool) -> NDArray[np.uint8]:
    """Return the colours of signed numbers as an array (K, 3); the middle one is zero."""
    rows = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in signed_colours(dark)]
    return np.array(rows, dtype=np.uint8)


def _scale(dark: bool, *, signed: bool = True) -> list[list[Any]]:
    colours = signed_colours(dark)
    colours = colours if signed else colours[len(colours) // 2 :]
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]


def slices_figure(slices: Array, channels: list[str], limit: float, dark: bool) -> go.Figure:
    """Draw the slices (N, height, width) of one filter side by side, around zero.

    `channels` names the N slices, and ± `limit` has the strongest colours. Under the pointer are
    channel, row, column and weight.
    """
    count, height, width = slices.shape
    columns = count if count <= _IN_ONE_ROW else math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = (rows * (height + 1) - 1, columns * (width + 1) - 1)
    z, where = np.full(shape, np.nan, np.float32), np.full(shape, "", object)
    labels = []
    for place, (name, tile) in enumerate(zip(channels, slices, strict=True)):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        z[top : top + height, left : left + width] = tile
        where[top : top + height, left : left + width] = [
            [f"{name}, row {row}, column {column}" for column in range(width)]
            for row in range(height)
        ]
        labels.append((left + (width - 1) / 2, top - 0.5, name.removeprefix("channel ")))
    figure = go.Figure(
        go.Heatmap(
            z=z,
            text=where,
            colorscale=_scale(dark),
            zmin=-limit,
            zmax=limit,
            showscale=False,
            hoverongaps=False,
            hovertemplate="%{text}<br><b>%{z:.4g}</b><extra></extra>",
        )
    )
    if count > 1 and shape[1] <= _NUMBERED_CELLS:
        font = {"size": 11 if count <= 16 else 9, "color": MUTED.on(dark)}
        shared = {"showarrow": False, "yanchor": "bottom", "borderpad": 0, "font": font}
        # All at once: with each one more, Plotly would check all those before it again.
        figure.update_layout(
            annotations=[{"x": x, "y": y, "text": label, **shared} for x, y, label in labels]
        )
    _pixels(figure, shape, dark, tallest=440 if count > 1 else 220)
    figure.update_layout(margin={"t": 18 if count > 1 else 0})
    return figure


def _pixels(figure: go.Figure, shape: tuple[int, int], dark: bool, tallest: int = 360) -> go.Figure:
    """Make cells square, without axes, the first row at the top."""
    styled(figure, dark, height=round(min(tallest, 20 + 440 * shape[0] / shape[1])))
    hidden = {"visible": False, "fixedrange": True, "constrain": "domain"}
    figure.update_xaxes(range=[-0.5, shape[1] - 0.5], constraintoward="left", **hidden)
    figure.update_yaxes(
        range=[shape[0] - 0.5, -0.5], constraintoward="top", scaleanchor="x", **hidden
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})
    return figure


def matrix_figure(
    weights: Array, units: list[int], chosen: int, marked: set[int], limit: float, dark: bool
) -> go.Figure:
    """Draw 1 × 1 kernels as what they are: a matrix (filters, input channels) around zero.

    `units` are the rows' numbers. The dots at the left are points whose customdata is the unit, so
    that a click chooses a row; those of `marked` units are diamonds. The row of `chosen` is framed.
    """
    count, channels = weights.shape
    figure = go.Figure(
        go.Heatmap(
            z=weights,
            customdata=np.repeat(np.array(units)[:, None], channels, axis=1),
            colorscale=_scale(dark),
            zmin=-limit,
            zmax=limit,
            showscale=False,
            hovertemplate="filter %{customdata}, channel %{x}<br><b>%{z:.4g}</b><extra></extra>",
        )
    )
    handle = -0.5 - max(channels * 0.02, 0.5)
    _add_handles(figure, handle, units, chosen, marked, dark)
    if chosen in units:
        row = units.index(chosen)
        figure.add_shape(
            type="rect",
            x0=-0.5,
            x1=channels - 0.5,
            y0=row - 0.5,
            y1=row + 0.5,
            line={"color": TEXT.on(dark), "width": 2},
        )
    styled(figure, dark, height=min(90 + 15 * count, 760))
    figure.update_layout(showlegend=False, hovermode="closest", dragmode=False)
    figure.update_xaxes(
        title="Input channel", range=[2 * handle + 0.5, channels - 0.5], showgrid=False
    )
    step = 1 if count <= 40 else 4
    figure.update_yaxes(
        title="Filter",
        range=[count - 0.5, -0.5],
        showgrid=False,
        tickvals=list(range(0, count, step)),
        ticktext=[str(unit) for unit in units[::step]],
        tickfont={"size": 11},
    )
    return figure


def _add_handles(
    figure: go.Figure, x: float, units: list[int], chosen: int, marked: set[int], dark: bool
) -> None:
    """Add a point for each row that can be pressed; a heat map's cells cannot."""
    symbols = ["diamond" if unit in marked else "circle" for unit in units]
    figure.add_scatter(
        x=[x] * len(units),
        y=list(range(len(units))),
        mode="markers",
        marker={
            "symbol": [
                symbol if unit == chosen else f"{symbol}-open"
                for symbol, unit in zip(symbols, units, strict=True)
            ],
            "size": 9,
            "color": ACCENT.on(dark),
        },
        customdata=units,
        cliponaxis=False,
        hovertemplate="choose filter %{customdata}<extra></extra>",
        # A click reruns the page; what is chosen shall not dim the others in between.
        unselected={"marker": {"opacity": 1}},
    )


def weights_figure(weights: Array, dark: bool) -> go.Figure:
    """Draw the weights (channels,) of one 1 × 1 filter as bars, by input channel."""
    colours = signed_colours(dark)
    figure = go.Figure(
        go.Bar(
            x=list(range(len(weights))),
            y=weights,
            marker={
                "color": [colours[-2] if weight >= 0 else colours[1] for weight in weights],
                "line": {"width": 0},
            },
            hovertemplate="channel %{x}<br><b>%{y:.4g}</b><extra></extra>",
        )
    )
    styled(figure, dark, height=280)
    figure.update_layout(bargap=0.1 if len(weights) <= 128 else 0)
    figure.update_xaxes(title="Input channel", showgrid=False)
    figure.update_yaxes(title="Weight", zeroline=True)
    return figure


def map_figure(values: Array, dark: bool) -> go.Figure:
    """Draw one feature map (height, width) with its scale; red and blue where it has both signs."""
    limit = float(np.abs(values).max()) or 1.0
    signed = bool((values < 0).any())
    figure = go.Figure(
        go.Heatmap(
            z=values.astype(np.float32),
            colorscale=_scale(dark, signed=signed),
            zmin=-limit if signed else 0,
            zmax=limit,
            colorbar={
                "orientation": "h",
                "thickness": 8,
                "len": 0.6,
                "outlinewidth": 0,
                "x": 0,
                "xanchor": "left",
                "y": 0,
                "yanchor": "top",
                "ypad": 8,
                "xpad": 10,  # room for the numbers at the ends
                "tickfont": {"size": 11},
                "nticks": 5,
            },
            hovertemplate="row %{y}, column %{x}<br><b>%{z:.4g}</b><extra></extra>",
        )
    )
    _pixels(figure, (values.shape[0], values.shape[1]), dark)
    figure.update_layout(height=figure.layout.height + 40, margin={"b": 40})
    return figure


def overlay_figure(
    photo: bytes, shape: tuple[int, int], values: Array, spread: Spread, dark: bool
) -> go.Figure:
    """Draw what is positive in a map (rows, columns) over the photo that it was computed from.

    `photo` is a PNG of `shape` (height, width) pixels, and `spread` says where the map's positions
    lie on it.
    """
    height, width = shape
    rows, columns = values.shape
    figure = go.Figure()
    lay_below(figure, photo, (height, width))
    where = np.indices((rows, columns)).transpose(1, 2, 0)
    figure.add_heatmap(
        z=np.clip(values, 0, None).astype(np.float32),
        customdata=np.concatenate([where, values[..., None]], axis=-1).astype(np.float32),
        x0=spread.left,
        dx=spread.step,
        y0=spread.top,
        dy=spread.step,
        colorscale=[
            [0, f"rgba({HEAT}, 0)"],
            [0.4, f"rgba({HEAT}, .15)"],
            [0.8, f"rgba({HEAT}, .65)"],
            [1, "#fff3c4"],
        ],
        zmin=0,
        zmax=float(values.max()) if values.max() > 0 else 1.0,
        showscale=False,
        hovertemplate="row %{customdata[0]}, column %{customdata[1]}<br>"
        "<b>%{customdata[2]:.4g}</b><extra></extra>",
    )
    return _pixels(figure, shape, dark)
