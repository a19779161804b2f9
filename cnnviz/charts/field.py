"""Receptive fields: one on a picture, and how they grow with depth."""

from __future__ import annotations

import base64
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from cnnviz.charts.style import ACCENT, MUTED, styled


class Frame(NamedTuple):
    """A rectangle of pixels to draw: its top, left, height and width."""

    top: float
    left: float
    height: float
    width: float


# On a photo the colours stay the same in both themes: what they stand on does not change.
_HEAT = "255, 106, 0"
_OUTER, _INNER = "#ffffff", "#ffd9b0"


def field_picture(
    photo: bytes, density: NDArray[np.float64], box: Frame, core: Frame | None, dark: bool = False
) -> go.Figure:
    """Draw the heat map of `density` (H, W; sums to 1) over a picture, and its boxes.

    `photo` is a PNG or JPEG stretched over the H × W pixels, `box` the theoretical field clipped at
    the border (a solid line), `core` the square with half of the gradient (dashed; None without
    one). The map's strength goes by the square root, since most of a field is faint.
    """
    height, width = density.shape
    figure = go.Figure()
    figure.add_layout_image(
        source="data:image/png;base64," + base64.b64encode(photo).decode(),
        x=-0.5,
        y=-0.5,
        sizex=width,
        sizey=height,
        xref="x",
        yref="y",
        sizing="stretch",
        layer="below",
    )
    strongest = float(density.max()) or 1.0
    rows, columns = _used(density)
    inside = density[rows, columns]  # all else is zero: it need not go to the browser
    figure.add_heatmap(
        z=np.sqrt(inside / strongest).astype(np.float32),
        customdata=(100 * inside).astype(np.float32),
        x0=columns.start,
        y0=rows.start,
        colorscale=[[0, f"rgba({_HEAT}, 0)"], [0.5, f"rgba({_HEAT}, .45)"], [1, "#fff3c4"]],
        zmin=0,
        zmax=1,
        showscale=False,
        hovertemplate="row %{y}, column %{x}: %{customdata:.3g} % of the gradient<extra></extra>",
    )
    _outline(figure, box, _OUTER, "solid")
    if core is not None:
        _outline(figure, core, _INNER, "dot")
    styled(figure, dark, height=400)
    hidden = {"visible": False, "fixedrange": True, "constrain": "domain"}
    # Left and at the top, so that a narrow screen leaves no gap under the title.
    figure.update_xaxes(range=[-0.5, width - 0.5], constraintoward="left", **hidden)
    figure.update_yaxes(
        range=[height - 0.5, -0.5], constraintoward="top", scaleanchor="x", **hidden
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})
    return figure


def _used(density: NDArray[np.float64]) -> tuple[slice, slice]:
    """Return the rows and columns from the first to the last that is not zero, at least one."""
    spans = []
    for axis in (1, 0):
        filled = np.flatnonzero(density.any(axis=axis)).tolist() or [0]
        spans.append(slice(filled[0], filled[-1] + 1))
    return spans[0], spans[1]


def _outline(figure: go.Figure, frame: Frame, colour: str, dash: str) -> None:
    """Draw a rectangle, dark beneath light so that it shows on any photo."""
    edges = {
        "x0": frame.left - 0.5,
        "x1": frame.left + frame.width - 0.5,
        "y0": frame.top - 0.5,
        "y1": frame.top + frame.height - 0.5,
    }
    figure.add_shape(type="rect", line={"color": "rgba(0,0,0,.55)", "width": 4}, **edges)
    figure.add_shape(type="rect", line={"color": colour, "width": 2, "dash": dash}, **edges)


def growth_sentence(frame: pd.DataFrame, side: int) -> str:
    """Say at which layer the field first spans the picture, `side` pixels wide, or that none does.

    `frame` has the columns path and receptive_field, in order of execution.
    """
    spans = frame[frame["receptive_field"] >= side]
    if spans.empty:
        return f"No layer's field spans the {side} pixels of the picture"
    place = frame["path"].tolist().index(spans["path"].iloc[0]) + 1
    return f"From {spans['path'].iloc[0]} on ({place} of {len(frame)}) a field spans the picture"


def field_growth(frame: pd.DataFrame, side: int, chosen: str, dark: bool = False) -> go.Figure:
    """Draw the receptive field, in pixels, of each layer in order of execution.

    `frame` has the columns path and receptive_field; the layer `chosen` has the large dot, and a
    dashed line stands at `side`, the picture's own size.
    """
    rows = frame.reset_index(drop=True)
    sizes = rows["receptive_field"].astype(int)
    shared = {"hovertemplate": "<b>%{customdata}</b><br>%{y} px<extra></extra>"}
    figure = go.Figure()
    # The line is the largest so far: branches with smaller fields would make it a saw.
    figure.add_scatter(
        x=rows.index.tolist(),
        y=sizes.cummax().tolist(),
        mode="lines",
        line={"color": ACCENT.on(dark), "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    for part, size in ((rows.index, 5), (rows.index[rows["path"] == chosen], 14)):
        figure.add_scatter(
            x=part.tolist(),
            y=sizes[part].tolist(),
            mode="markers",
            marker={"color": ACCENT.on(dark), "size": size, "line": {"width": 0}},
            customdata=rows["path"][part].tolist(),
            cliponaxis=False,
            **shared,
        )
    figure.add_hline(y=side, line={"color": MUTED.on(dark), "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=0,
        y=side,
        text=f"the picture, {side} px",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"size": 12, "color": MUTED.on(dark)},
    )
    styled(figure, dark, height=300)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(
        title="Layers in order of execution", showticklabels=False, showgrid=False, ticks=""
    )
    figure.update_yaxes(title="Receptive field", ticksuffix=" px", rangemode="tozero")
    return figure
