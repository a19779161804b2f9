"""Learning curves: how loss and accuracy moved over a run's epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from cnnviz.charts.style import ACCENT, LINE_COLOURS, MUTED, RUN_COLOURS, TEXT, styled

Records = Sequence[dict[str, Any]]

#: Lines beyond the colours are told apart by these, in pixels of line and gap; "" is a whole line.
DASHES = ("", "8,4", "2,3")

#: More points than this are averaged in bins: an SVG of thousands of points is slow to draw.
MOST_POINTS = 400


def loss_curve(steps: Records, epochs: Records, total: int, dark: bool) -> go.Figure:
    """Loss against epoch: single batches faintly, each epoch's mean, and the held-out loss.

    `steps` have "epoch" and "loss", `epochs` "epoch", "train_loss" and perhaps "val_loss";
    `total` is the number of epochs asked for, which the axis shows from the start.
    """
    figure = go.Figure()
    batches = binned([(r["epoch"], r["loss"]) for r in steps])
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


def binned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `MOST_POINTS` points (x, y): the means of as many neighbours as that takes."""
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


@dataclass(frozen=True)
class Line:
    """A run among others on a chart: its name, its family (a key of `FAMILY_COLOURS`), its epochs.

    `epochs` are records as `accuracy_curve` takes them, `total` is the number asked for.
    """

    name: str
    family: str
    epochs: Records
    total: int


def line_styles(families: Sequence[str]) -> list[tuple[str, str]]:
    """Return for each line the name of its colour in `LINE_COLOURS`, and one of `DASHES`.

    The colour is the family's where each line has another family. Else runs of one family would
    differ by their dashes alone, which cannot be told on ragged curves: colours are then the runs'.
    """
    if len(set(families)) == len(families):
        return [(f"family-{family}", "") for family in families]
    count = len(RUN_COLOURS)
    return [
        (f"run-{place % count}", DASHES[place // count % len(DASHES)])
        for place in range(len(families))
    ]


def shared_part(lines: Sequence[Line]) -> Literal["val", "train"]:
    """The images that all runs were looked at with: the held-out ones where every run has any."""
    begun = [line for line in lines if line.epochs]
    held = all(line.epochs[-1].get("val_accuracy") is not None for line in begun)
    return "val" if begun and held else "train"


def several_accuracies(lines: Sequence[Line], dark: bool) -> go.Figure:
    """Accuracy against epoch of several runs: on held-out images, or on training ones without.

    Colours are those of `line_styles`; the page writes the legend.
    """
    figure = _several(lines, f"{shared_part(lines)}_accuracy", ".1%", dark)
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.02], dtick=0.2)
    return figure


def several_losses(lines: Sequence[Line], dark: bool) -> go.Figure:
    """Loss against epoch of several runs; see `several_accuracies`."""
    figure = _several(lines, f"{shared_part(lines)}_loss", ".3f", dark)
    figure.update_yaxes(title="cross-entropy (nats)", rangemode="tozero")
    return figure


def _several(lines: Sequence[Line], field: str, form: str, dark: bool) -> go.Figure:
    figure = go.Figure()
    styles = line_styles([line.family for line in lines])
    for line, (colour, dash) in zip(lines, styles, strict=True):
        points = [(r["epoch"], r[field]) for r in line.epochs if r.get(field) is not None]
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            name=line.name,
            mode="lines+markers" if len(points) == 1 else "lines",
            line={
                "color": LINE_COLOURS.get(colour, MUTED).on(dark),
                "width": 2,
                "dash": dash.replace(",", "px,") + "px" if dash else "solid",
            },
            cliponaxis=False,
            hovertemplate=f"%{{fullData.name}}<br>epoch %{{x}}: %{{y:{form}}}<extra></extra>",
        )
    styled(figure, dark)
    figure.update_xaxes(title="epoch", range=[0, max((line.total for line in lines), default=1)])
    figure.update_layout(showlegend=False, hovermode="closest")
    return figure


def several_sentences(lines: Sequence[Line]) -> tuple[str, str]:
    """Say which of several runs is ahead, as titles: of the accuracies and of the losses."""
    begun = [line for line in lines if line.epochs]
    if not begun:
        return "Accuracies appear after the first epoch", "Losses appear after the first epoch"
    part = shared_part(lines)
    where = {"val": "held-out", "train": "training"}[part]
    accuracies = [line.epochs[-1][f"{part}_accuracy"] for line in begun]
    best = [line.name for line, a in zip(begun, accuracies, strict=True) if a == max(accuracies)]
    ahead = "is ahead" if len(begun) > 1 else "is the first"
    leader = f"{best[0]} {ahead}" if len(best) == 1 else f"{len(best)} of them are level"
    losses = [line.epochs[-1][f"{part}_loss"] for line in begun]
    low = [line.name for line, loss in zip(begun, losses, strict=True) if loss == min(losses)]
    lowest = f"the {'lowest' if len(begun) > 1 else 'first'} {where} loss"
    holder = f"{low[0]} has" if len(low) == 1 else f"{len(low)} of them have"
    return (
        f"{leader}: {max(accuracies) * 100:.1f}\u00a0% of {where} images right",
        f"{holder} {lowest}: {min(losses):.3f}",
    )


def class_bars(per_class: dict[str, float], dark: bool) -> go.Figure:
    """The share right of each class (fractions of one), the best at the top, as bars from zero."""
    ordered = sorted(per_class.items(), key=lambda pair: pair[1])
    figure = go.Figure()
    figure.add_bar(
        x=[share for _, share in ordered],
        y=[name for name, _ in ordered],
        orientation="h",
        marker={"color": ACCENT.on(dark)},
        text=[f"{share * 100:.1f} %" for _, share in ordered],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.2%} right<extra></extra>",
    )
    styled(figure, dark, height=max(120, 24 * len(ordered) + 40))
    figure.update_xaxes(range=[0, 1.15], visible=False)
    figure.update_yaxes(type="category", showgrid=False, ticks="")
    return figure


def class_sentence(per_class: dict[str, float]) -> str:
    """Say which class is hardest, and how it differs from the easiest."""
    worst, best = min(per_class.values()), max(per_class.values())
    hard = [name for name, share in per_class.items() if share == worst]
    easy = [name for name, share in per_class.items() if share == best]
    if len(easy) == len(per_class):
        return f"Every class is right {best * 100:.1f} % of the time"
    easiest = f"“{easy[0]}” easiest" if len(easy) == 1 else f"{len(easy)} others"
    hardest = f"“{hard[0]}” is hardest" if len(hard) == 1 else f"{len(hard)} classes are hardest"
    return f"{hardest}, {worst * 100:.1f} % right; {easiest}, {best * 100:.1f} %"
