"""Where a network's parameters and multiplications sit: bars in the order of execution."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from cnnviz.charts.style import ACCENT, MUTED, Colour, styled

Cost = Literal["params", "macs"]
COSTS: tuple[Cost, ...] = ("params", "macs")

_NOUN = {"params": "parameters", "macs": "multiplications"}
_KINDS = {
    "conv": ("Convolution", ACCENT),
    "linear": ("Fully connected", Colour("#b9702a", "#e3a15f")),
    "other": ("Everything else", MUTED),
}

_LETTER = 0.025  # width of a letter, as a fraction of the axis on a phone


def costly_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a trace's frame that have parameters or MACs, in order of execution."""
    macs = frame["macs"].fillna(0)
    return frame[(frame["params"] > 0) | (macs > 0)].reset_index(drop=True)


def cost_sentence(frame: pd.DataFrame, cost: Cost) -> str:
    """Say where `cost` sits: in one layer, in one stage, or in the fewest layers that hold half."""
    shares = frame[f"{cost}_share"].fillna(0).astype(float)
    if shares.sum() == 0:
        return f"No layer has {_NOUN[cost]}"
    ordered = shares.sort_values(ascending=False)
    stages = shares.groupby(frame["path"].str.split(".").str[0]).sum()
    needed = int((ordered.cumsum() < 0.5).sum()) + 1
    held = ordered.iloc[:needed].sum()
    amount = f"{held * 100:.0f} % of the {_NOUN[cost]}"
    if needed == 1:
        return f"{frame['path'][ordered.index[0]]} alone holds {amount}"
    if 0.3 <= stages.max() <= 0.9:
        return f"{stages.idxmax()} holds {stages.max() * 100:.0f} % of the {_NOUN[cost]}"
    return f"{needed} of {int((shares > 0).sum())} layers hold {amount}"


def cost_bars(frame: pd.DataFrame, cost: Cost, dark: bool = False) -> go.Figure:
    """Draw one bar a layer: its share of all parameters or MACs, in per cent.

    `frame` is `Trace.to_frame()` with the columns ``params_share`` and ``macs_share`` (0 to 1).
    Bars stand in order of execution; the exact number is under the pointer.
    """
    rows = costly_layers(frame)
    kinds = rows["kind"].where(rows["kind"].isin(_KINDS), "other")
    figure = go.Figure()
    for kind, (label, colour) in _KINDS.items():
        chosen = rows[kinds == kind]
        if not chosen[cost].fillna(0).any():
            continue
        exact = [f"{int(value):,}" for value in chosen[cost].fillna(0)]
        figure.add_bar(
            x=chosen.index,
            y=(chosen[f"{cost}_share"].fillna(0).astype(float) * 100).tolist(),
            name=label,
            marker={"color": colour.on(dark), "line": {"width": 0}},
            customdata=list(
                zip(chosen["path"], exact, chosen["output_shape"], chosen["op"], strict=True)
            ),
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]} "
            + f"{_NOUN[cost]} (%{{y:.2f}} %)<br>%{{customdata[3]}} → %{{customdata[2]}}"
            + "<extra></extra>",
        )
    starts = _stage_starts(rows["path"])
    styled(figure, dark, height=280)
    figure.update_layout(barmode="overlay", bargap=0.15)
    figure.update_xaxes(
        tickvals=list(starts),
        ticktext=list(starts.values()),
        title="Layers in order of execution",
        tickangle=0,
        showgrid=False,
        range=[-0.7, len(rows) - 0.3],
    )
    figure.update_yaxes(title=f"Share of {_NOUN[cost]}", ticksuffix=" %", rangemode="tozero")
    return figure


def _stage_starts(paths: pd.Series) -> dict[int, str]:
    """Return the index and name of each stage's first layer that has room on a narrow screen."""
    stages = paths.str.split(".").str[0].tolist()
    starts: dict[int, str] = {}
    free = 0.0  # the first index at which a label touches none before it
    for index, stage in enumerate(stages):
        half = _LETTER * (len(stage) + 2) / 2 * len(stages)
        new = index == 0 or stage != stages[index - 1]
        if new and (not starts or index - half >= free):
            starts[index] = stage
            free = index + half
    return starts
