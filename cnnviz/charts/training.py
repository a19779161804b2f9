"""Learning curves: how loss and accuracy moved over a run's epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from cnnviz.charts.style import ACCENT, MUTED, TEXT, styled

Records = Sequence[dict[str, Any]]

#: More points than this are averaged in bins: an SVG of thousands of points is slow to draw.
MOST_POINTS = 400


def loss_curve(steps: Records, epochs: Records, total: int, dark: bool) -> go.Figure:
    """Loss against epoch: single batches faintly, each epoch's mean, and the held-out loss.

    `steps` have "epoch" and "loss", `epochs` "epoch", "train_loss" and perhaps "val_loss";
    `total` is the number of epochs asked for, which the axis shows from the start.
    """
    figure = go.Figure()
    batches = _binned([(r["epoch"], r["loss"]) for r in steps])
    figure.add_scatter(
        x=[x for x, _ in batches],
        y=[y for _, y in batches],
        name="single batches",
        mode="lines",
        line={"color": MUTED.on(dark), "width": 1},
        opacity=0.45,
        hovertemplate="epoch %{x:.2f}<br>batch loss %{y:.3f}<extra></extra>",
    )
    _add_epochs(figure, epochs, "train_loss", "training", dark, held=False, form=".3f")
    _add_epochs(figure, epochs, "val_loss", "held out", dark, held=True, form=".3f")
    styled(figure, dark)
    figure.update_xaxes(title="epoch", range=[0, total])
    figure.update_yaxes(title="cross-entropy (nats)", rangemode="tozero")
    return figure


def accuracy_curve(epochs: Records, total: int, dark: bool) -> go.Figure:
    """Accuracy against epoch, on the training and the held-out images, in per cent.

    `epochs` have "epoch", "train_accuracy" and perhaps "val_accuracy", fractions of one.
    """
    figure = go.Figure()
    _add_epochs(figure, epochs, "train_accuracy", "training", dark, held=False, form=".1%")
    _add_epochs(figure, epochs, "val_accuracy", "held out", dark, held=True, form=".1%")
    styled(figure, dark)
    figure.update_xaxes(title="epoch", range=[0, total])
    figure.update_layout(showlegend=True)
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.02], dtick=0.2)
    return figure


def _add_epochs(
    figure: go.Figure, epochs: Records, field: str, name: str, dark: bool, *, held: bool, form: str
) -> None:
    """Add one value an epoch; held-out data is told by dashes and open marks, not by colour."""
    points = [(r["epoch"], r[field]) for r in epochs if r.get(field) is not None]
    if not points:
        return
    figure.add_scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        name=name,
        mode="lines+markers" if len(points) <= 60 else "lines",
        line={
            "color": (ACCENT if held else TEXT).on(dark),
            "width": 2,
            "dash": "solid" if held else "dot",
        },
        marker={"size": 6, "symbol": "circle" if held else "circle-open"},
        cliponaxis=False,  # the last mark stands on the edge
        hovertemplate=f"epoch %{{x}}<br>{name} %{{y:{form}}}<extra></extra>",
    )


def _binned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    size = -(-len(points) // MOST_POINTS)
    bins = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in bins]


def sentence(epochs: Records) -> tuple[str, str]:
    """What the two charts show so far, as titles: of the accuracy's and of the loss's."""
    if not epochs:
        return "Accuracy appears after the first epoch", "The loss, batch by batch"
    last = epochs[-1]
    held = last.get("val_accuracy")
    where = "held-out" if held is not None else "training"
    accuracy = last["train_accuracy"] if held is None else held
    loss = last["train_loss"] if last.get("val_loss") is None else last["val_loss"]
    return (
        f"{accuracy * 100:.1f} % of {where} images right after epoch {last['epoch']}",
        f"{where.capitalize()} loss {loss:.3f} after epoch {last['epoch']}",
    )
