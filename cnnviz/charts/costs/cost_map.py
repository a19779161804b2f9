"""A network's cost as a map and by stage: areas and bars that add up to the whole."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from cnnviz.charts.costs import bars
from cnnviz.charts.costs.by_layer import (
    NOUN,
    Cost,
    cost_sentence,
    layer_items,
    shares_of,
    stage_names,
    whole_layers,
    whole_percent,
)

MAP_COSTS: tuple[Cost, ...] = ("params", "macs", "output_bytes")


def by_stage(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a stage, in order of execution: ``layers``, each cost and its share (0 to 1).

    `frame` is `Trace.to_frame()` with ``params_share`` and ``macs_share``; ``layers`` counts the
    convolutions and fully connected layers.
    """
    frame = whole_layers(frame)
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
    return f"{names} {together} {whole_percent(most.sum())} of the {NOUN[cost]}"


def layer_sentence(frame: pd.DataFrame, cost: Cost) -> str:
    """Say which layer has most of `cost`, or how many have as much, and how much."""
    frame = whole_layers(frame)
    shares = shares_of(frame, cost)
    if shares.sum() == 0:
        return f"No layer has {NOUN[cost]}"
    most = int(shares.to_numpy().argmax())
    written = [f"{share * 100:.2g} %" for share in shares]
    share, equal = written[most], written.count(written[most])
    noun = "operator" if cost == "output_bytes" else "layer"
    if equal > 1:
        return f"{equal} {noun}s are the largest, with {share} each"
    return f"{frame['path'].iloc[most]} is the largest {noun}, with {share}"


def _inside(path: str, stage: str) -> str:
    """Return what a layer is called inside its stage; a number alone would say nothing."""
    name = path.removeprefix(f"{stage}.")
    return path if name.isdigit() else name


def cost_areas(frame: pd.DataFrame, cost: Cost) -> str:
    """Write each layer's share of `cost` as an area inside that of its stage, as HTML."""
    frame = whole_layers(frame)
    rows = frame.assign(share=shares_of(frame, cost), stage=stage_names(frame))
    rows = rows[rows[cost].fillna(0) > 0]
    groups = []
    for stage, inside in rows.groupby("stage", sort=False):
        items = [
            replace(item, label=_inside(item.label, str(stage)))
            for item in layer_items(inside, cost)
        ]
        total, share = int(inside[cost].sum()), inside["share"].sum() * 100
        groups.append((str(stage), f"{stage}: {total:,} {NOUN[cost]} ({share:.2f} %)", items))
    return bars.areas(
        groups,
        f"Share of {NOUN[cost]}, layers inside their stages",
        f"{cost_sentence(frame, cost)}. Areas by layer, inside their stages; the table has the "
        "stages' numbers.",
    )
