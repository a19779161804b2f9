"""A network's cost as a map and by stage: areas and bars that add up to the whole."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from cnnviz.charts.costs import KINDS, NOUN, Cost, shares_of, stage_names
from cnnviz.charts.style import BACKGROUND, LINE, TEXT, styled

MAP_COSTS: tuple[Cost, ...] = ("params", "macs", "output_bytes")


def by_stage(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a stage, in order of execution: ``layers``, each cost and its share (0 to 1).

    `frame` is `Trace.to_frame()` with ``params_share`` and ``macs_share``; ``layers`` counts the
    convolutions and fully connected layers.
    """
    parts = pd.DataFrame({"stage": stage_names(frame)})
    parts["layers"] = frame["kind"].isin(("conv", "linear")).astype(int)
    for cost in MAP_COSTS:
        parts[cost] = frame[cost].fillna(0).astype("int64")
        parts[f"{cost}_share"] = shares_of(frame, cost)
    return parts.groupby("stage", sort=False).sum().reset_index()


def stage_sentence(frame: pd.DataFrame, cost: Cost) -> str:
    """Say which two stages have most of `cost`, and how much."""
    stages = by_stage(frame).set_index("stage")[f"{cost}_share"]
    if stages.sum() == 0:
        return f"No stage has {NOUN[cost]}"
    most = stages[stages > 0].nlargest(2)
    names = " and ".join(name for name in stages.index if name in most.index)
    together = "together have" if len(most) == 2 else "has"
    return f"{names} {together} {most.sum() * 100:.0f} % of the {NOUN[cost]}"


def layer_sentence(frame: pd.DataFrame, cost: Cost) -> str:
    """Say which layer has most of `cost`, and how much."""
    shares = shares_of(frame, cost)
    if shares.sum() == 0:
        return f"No layer has {NOUN[cost]}"
    most = int(shares.to_numpy().argmax())
    share = shares.iloc[most] * 100
    return f"{frame['path'].iloc[most]} is the largest layer, with {share:.2g} %"


def cost_treemap(frame: pd.DataFrame, cost: Cost, dark: bool = False) -> go.Figure:
    """Draw each layer's `cost` as an area, inside the area of its stage."""
    stages = stage_names(frame)
    values = frame[cost].fillna(0).astype("int64")
    shares = shares_of(frame, cost)
    kept = values > 0
    kinds = frame["kind"].where(frame["kind"].isin(KINDS), "other")
    fills = [KINDS[kind][1].on(dark) for kind in kinds[kept]]
    totals = values[kept].groupby(stages[kept], sort=False).sum()
    part = shares[kept].groupby(stages[kept], sort=False).sum()
    figure = go.Figure(
        go.Treemap(
            ids=[f"stage {name}" for name in totals.index] + list(frame["path"][kept]),
            labels=[*totals.index, *_short(frame["path"][kept], stages[kept])],
            parents=[""] * len(totals) + [f"stage {name}" for name in stages[kept]],
            values=[*totals, *values[kept]],
            customdata=list(
                zip(
                    [*totals.index, *frame["path"][kept]],
                    [f"{value:,}" for value in (*totals, *values[kept])],
                    [f"{share * 100:.2f}" for share in (*part, *shares[kept])],
                    strict=True,
                )
            ),
            branchvalues="total",
            tiling={"packing": "squarify", "pad": 2},
            pathbar={"visible": False},
            marker={
                "colors": [LINE.on(dark)] * len(totals) + fills,
                "line": {"color": BACKGROUND.on(dark), "width": 1},
                "cornerradius": 3,
            },
            textfont={
                "color": [TEXT.on(dark)] * len(totals) + [BACKGROUND.on(dark)] * len(fills),
                "size": 13,
            },
            texttemplate="%{label}<br>%{customdata[2]} %",
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]} "
            + f"{NOUN[cost]} (%{{customdata[2]}} %)<extra></extra>",
        )
    )
    styled(figure, dark, height=440)
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 4, "b": 0}, uniformtext={"minsize": 11, "mode": "hide"}
    )
    return figure


def _short(paths: pd.Series, stages: pd.Series) -> list[str]:
    """Return the paths without the name of the stage that they stand in."""
    return [path.removeprefix(f"{stage}.") for path, stage in zip(paths, stages, strict=True)]


def stage_bars(frame: pd.DataFrame, cost: Cost, dark: bool = False) -> go.Figure:
    """Draw one bar a stage, from first to last: its share of `cost` in per cent."""
    stages = by_stage(frame)
    shares = stages[f"{cost}_share"] * 100
    figure = go.Figure(
        go.Bar(
            x=shares.tolist(),
            y=stages["stage"].tolist(),
            orientation="h",
            marker={"color": KINDS["conv"][1].on(dark), "line": {"width": 0}},
            text=[f"{share:.1f} %" for share in shares],
            textposition="outside",
            cliponaxis=False,
            customdata=[f"{value:,}" for value in stages[cost]],
            hovertemplate=f"<b>%{{y}}</b><br>%{{customdata}} {NOUN[cost]} (%{{x:.2f}} %)"
            "<extra></extra>",
        )
    )
    styled(figure, dark, height=90 + 26 * len(stages))
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(
        title=f"Share of {NOUN[cost]}", ticksuffix=" %", range=[0, max(shares.max() * 1.18, 1)]
    )
    return figure
