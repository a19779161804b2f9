"""How a trained network errs, and whether its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from cnnviz.charts.style import ACCENT, BACKGROUND, MUTED, mixed, readable_on, styled

Confusion = Sequence[Sequence[int]]

#: A gap between confidence and accuracy that a reader would not mind, as a fraction of one.
SMALL_GAP = 0.01
# Above this number of classes the numbers no longer fit into the cells.
_MOST_NUMBERS = 12
# Letters of a class's name that stand side by side above the cells.
_SHORT_NAME = 3


def confusion_sentence(confusion: Confusion, classes: Sequence[str]) -> str:
    """Say which class is most often taken for which other, by the share of the class's images.

    `confusion` counts images, rows by their true class and columns by the class they were given,
    both in the order of `classes`. Where several pairs share the largest rate none is singled out.
    """
    counts = np.asarray(confusion)
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    if not errors.any():
        total = int(counts.sum())
        return f"Not one of the {total:,} test images is taken for something else"
    images = counts.sum(1)
    rates = errors / np.maximum(images[:, None], 1)
    pairs = np.argwhere(np.isclose(rates, rates.max(), rtol=1e-9, atol=0))
    true, given = map(int, pairs[0])
    rate = f"{100 * rates[true, given]:.1f} %"
    if len(pairs) > 1:
        return f"{len(pairs)} pairs of classes are mixed up equally often, in {rate} of the images"
    return (
        f"“{classes[true]}” is taken for “{classes[given]}” most often: in {rate} of its "
        f"{int(images[true]):,} images"
    )


def confusion_heatmap(confusion: Confusion, classes: Sequence[str], dark: bool) -> go.Figure:
    """Draw the true class against the class given; the colour is the share of the true class.

    `confusion` is as for `confusion_sentence`. Counts stand in the cells, where they fit, and under
    the pointer in words.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = go.Figure()
    figure.add_heatmap(
        z=shares.tolist(),
        x=list(classes),
        y=list(classes),
        zmin=0,
        zmax=1,
        # A square root: the errors, a few per cent each, are what one looks for.
        colorscale=_root_scale(dark),
        xgap=1,
        ygap=1,
        showscale=False,
        text=_in_words(counts, classes),
        hovertemplate="%{text}<extra></extra>",
    )
    styled(figure, dark, height=max(320, 34 * len(classes) + 90))
    if len(classes) <= _MOST_NUMBERS:
        # All at once: with each one more, Plotly would check all those before it again.
        figure.update_layout(annotations=_counts(counts, shares, classes, dark))
    # Names of digits are names, not numbers; the first class is at the top, as in a table.
    # Upright where they are short, else standing: slanted names run into each other.
    angle = 0 if max(map(len, classes), default=0) <= _SHORT_NAME else -90
    figure.update_xaxes(
        title={"text": "the network says"},
        type="category",
        showgrid=False,
        side="top",
        tickangle=angle,
    )
    figure.update_yaxes(
        title={"text": "it is"}, type="category", showgrid=False, autorange="reversed", ticks=""
    )
    figure.update_layout(hovermode="closest")
    return figure


def _root_scale(dark: bool) -> list[tuple[float, str]]:
    """Plotly's colours of 0 to 1."""
    steps = [step / 20 for step in range(21)]
    return [(value, _cell(value, dark)) for value in steps]


def _cell(share: float, dark: bool) -> str:
    """The colour of a cell: the accent over the background, by the root of the share."""
    return mixed(share**0.5, BACKGROUND.on(dark), ACCENT.on(dark))


def _in_words(counts: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
    rows = []
    for name, row in zip(classes, counts, strict=True):
        images = max(int(row.sum()), 1)
        rows.append(
            [
                f"<b>{count:,}</b> of {images:,} “{name}” "
                f"{'are right' if given == name else f'are taken for “{given}”'}"
                f"<br>{100 * count / images:.1f} %"
                for given, count in zip(classes, row.tolist(), strict=True)
            ]
        )
    return rows


def _counts(
    counts: np.ndarray, shares: np.ndarray, classes: Sequence[str], dark: bool
) -> list[dict[str, Any]]:
    """Each count that is not zero, in its cell, in a colour that can be read there."""
    return [
        {
            "x": given,
            "y": name,
            "text": f"{counts[i, j]}",
            "showarrow": False,
            "font": {"size": 12, "color": readable_on(_cell(shares[i, j], dark), dark)},
        }
        for i, name in enumerate(classes)
        for j, given in enumerate(classes)
        if counts[i, j]
    ]


def reliability_sentence(bins: Sequence[dict[str, float | None]], ece: float) -> str:
    """Say how sure the network is on average, and how often it is right.

    `bins` are those of `reliability_diagram`, `ece` the expected calibration error, a fraction.
    """
    filled = _filled(bins)
    total = sum(count for count, _, _ in filled)
    if not total:
        return "There are no test images"
    sure = sum(count * confidence for count, confidence, _ in filled) / total
    right = sum(count * accuracy for count, _, accuracy in filled) / total
    figures = f"{100 * sure:.0f} % sure on average, right {100 * right:.0f} % of the time"
    if abs(sure - right) < 0.1:  # a whole per cent more or less would hide the difference
        figures = f"{100 * sure:.1f} % sure on average, right {100 * right:.1f} % of the time"
    if ece < 2 * SMALL_GAP and abs(sure - right) < SMALL_GAP:
        return f"Its confidence can be taken at its word: {figures}"
    if abs(sure - right) < SMALL_GAP:
        return f"Too sure here, not sure enough there: {figures}"
    return f"It is {'too sure of itself' if sure > right else 'better than it thinks'}: {figures}"


def reliability_diagram(bins: Sequence[dict[str, float | None]], dark: bool) -> go.Figure:
    """Draw accuracy against confidence over the line on which both are equal.

    `bins` have "count", "confidence" and "accuracy" (fractions; None where count is 0), in equal
    intervals from 0 to 1. A circle's area is its share of the images; a thin line leads from it
    to the diagonal: below it the network is too sure.
    """
    filled = _filled(bins)
    total = sum(count for count, _, _ in filled)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="as sure as right",
        line={"color": MUTED.on(dark), "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
    )
    gap_x: list[float | None] = []
    gap_y: list[float | None] = []
    for _, confidence, accuracy in filled:
        gap_x += [confidence, confidence, None]
        gap_y += [confidence, accuracy, None]
    figure.add_scatter(
        x=gap_x,
        y=gap_y,
        mode="lines",
        line={"color": ACCENT.on(dark), "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=[confidence for _, confidence, _ in filled],
        y=[accuracy for _, _, accuracy in filled],
        mode="markers",
        name="test images, by confidence",
        marker={
            "color": ACCENT.on(dark),
            "size": [8 + 26 * (count / total) ** 0.5 for count, _, _ in filled],
            "opacity": 0.85,
            "line": {"width": 1, "color": BACKGROUND.on(dark)},
        },
        cliponaxis=False,
        customdata=[f"{count:,} of {total:,} images" for count, _, _ in filled],
        hovertemplate="%{customdata}<br>%{x:.1%} sure, %{y:.1%} right<extra></extra>",
    )
    styled(figure, dark)
    figure.update_xaxes(title="confidence", tickformat=".0%", range=[0, 1.02], dtick=0.2)
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.02], dtick=0.2)
    figure.update_layout(hovermode="closest", legend={"itemsizing": "constant"})
    return figure


def _filled(bins: Sequence[dict[str, float | None]]) -> list[tuple[int, float, float]]:
    """Count, confidence and accuracy of the intervals that have images."""
    return [
        (int(part["count"]), part["confidence"], part["accuracy"])
        for part in bins
        if part["count"] and part["confidence"] is not None and part["accuracy"] is not None
    ]
