"""Charts of one unit: how strongly the test images excite it, and of which classes they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from cnnviz.charts.style import ACCENT, MUTED, styled

Values = NDArray[np.floating[Any]]
_BINS = 40


def histogram_sentence(unit: int, values: Values) -> str:
    """Say how many images leave the unit silent, and what the strongest brings it to.

    `values` (N,) are each image's strongest activation of the unit.
    """
    silent, top = float((values <= 0).mean()), float(values.max())
    if top <= 0:
        return f"None of {len(values):,} images brings unit {unit} above zero"
    if silent == 0:
        return (
            f"Every one of {len(values):,} images excites unit {unit}, the strongest to {top:.3g}"
        )
    zero = "at zero" if float(values.min()) == 0 else "at or below zero"
    return (
        f"{silent * 100:.1f} % of {len(values):,} images leave unit {unit} {zero}; "
        f"the strongest brings it to {top:.3g}"
    )


def activation_histogram(values: Values, strongest: Values, dark: bool = False) -> go.Figure:
    """Draw how many images excite a unit how strongly; those that do not at all are left out.

    `values` (N,) are each image's strongest activation of the unit, of which only what is above
    zero is drawn, unless nothing is; `strongest` (k,) stand as marks on the axis.
    """
    above = values[values > 0]
    counts, edges = np.histogram(above if len(above) else values, bins=_BINS)
    ranges = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    figure = go.Figure()
    figure.add_bar(
        x=((edges[:-1] + edges[1:]) / 2).tolist(),
        y=counts.tolist(),
        width=np.diff(edges).tolist(),
        marker={"color": ACCENT.on(dark), "line": {"width": 0}},
        customdata=ranges,
        hovertemplate="%{customdata}: %{y:,} images<extra></extra>",
    )
    figure.add_scatter(
        x=strongest.tolist(),
        y=[0] * len(strongest),
        mode="markers",
        marker={
            "symbol": "line-ns",
            "size": 18,
            "line": {"width": 2, "color": MUTED.on(dark)},
        },
        cliponaxis=False,
        hovertemplate="one of the strongest: %{x:.4g}<extra></extra>",
    )
    styled(figure, dark, height=240)
    figure.update_layout(showlegend=False, bargap=0.04)
    figure.update_xaxes(title="strongest activation in an image", showgrid=False)
    figure.update_yaxes(title="images")
    return figure


def mix_sentence(shares: Sequence[float], classes: Sequence[str], count: int) -> str:
    """Say of which class most of a unit's `count` strongest images are; `shares` sum to 1."""
    number = round(max(shares) * count)
    if number <= 1:
        return f"No two of its {count} strongest images are of one class"
    most = [name for name, share in zip(classes, shares, strict=True) if share == max(shares)]
    if len(most) > 1:
        each = " and ".join(f"“{name}”" for name in most)
        return f"Of its {count} strongest images {number} each are of the classes {each}"
    return f"{number} of its {count} strongest images are of the class “{most[0]}”"


def class_bars(
    shares: Sequence[float], classes: Sequence[str], count: int, dark: bool = False
) -> go.Figure:
    """Draw how many of a unit's `count` strongest images are of each class, the most first.

    Classes without any are left out; the number is written at each bar.
    """
    numbers = [(round(share * count), name) for share, name in zip(shares, classes, strict=True)]
    shown = sorted(((n, name) for n, name in numbers if n), key=lambda pair: pair[0])
    figure = go.Figure()
    figure.add_bar(
        x=[n for n, _ in shown],
        y=[name for _, name in shown],
        orientation="h",
        marker={"color": ACCENT.on(dark), "line": {"width": 0}},
        text=[str(n) for n, _ in shown],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x} of its strongest images<extra></extra>",
    )
    styled(figure, dark, height=max(110, 30 * len(shown) + 40))
    figure.update_xaxes(visible=False, range=[0, count * 1.08])
    figure.update_yaxes(showgrid=False, type="category")
    return figure
