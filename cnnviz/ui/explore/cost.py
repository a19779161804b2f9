"""Where a network's cost sits: parameters, MACs or activations, by stage and by layer."""

from __future__ import annotations

from collections.abc import Hashable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.charts.costs import bars, cost_map
from cnnviz.charts.costs.by_layer import Cost
from cnnviz.ui.cache.anatomy import cost_charts
from cnnviz.ui.explore.portrait import idle_params, share_of
from cnnviz.ui.look.format import count, si
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

_TITLES: dict[Cost, str] = {
    "params": "Parameters",
    "macs": "Multiply–accumulates",
    "output_bytes": "Activations",
}
_HEADS: dict[Cost, str] = {"params": "Parameters", "macs": "MACs", "output_bytes": "Activations"}
_UNITS: dict[Cost, str] = {"params": "", "macs": "", "output_bytes": "B"}
#: What the URL says of each cost.
_NAMES: dict[str, Cost] = {"": "params", "macs": "macs", "activations": "output_bytes"}
CHOICES = ("parameters", "macs", "activations")


def cost(selection: Selection, trace: Trace) -> None:
    """Draw where the chosen cost sits: a map of all layers, stage by stage, bars by layer."""
    chosen = _pick()
    view = cost_charts.cost_view(selection.arguments, chosen)
    st.subheader(view.areas[1], anchor=False)
    st.html(bars.STYLE + view.areas[0])
    st.subheader(view.stage_sentence, anchor=False)
    st.html(_STYLE + _stages(view.stages, chosen))
    idle = idle_params(trace)
    if idle and chosen == "params":
        share = share_of(idle / trace.params)
        st.caption(
            f"The other {si(idle)} parameters ({share}) are in auxiliary classifiers, which only "
            "training runs."
        )
    st.subheader(view.layers[1], anchor=False)
    st.html(view.layers[0])


def _pick() -> Cost:
    """Write the control for the cost; the URL has it as ``cost``."""
    picked = url.follow("cost", "explore_cost", _NAMES)
    st.segmented_control(
        "Cost",
        cost_map.MAP_COSTS,
        format_func=lambda name: _TITLES[name],
        key="explore_cost",
        required=True,
        label_visibility="collapsed",
    )
    return picked


def _stages(stages: pd.DataFrame, chosen: Cost) -> str:
    """Return a table with a row a stage; the bars are the chosen cost's shares."""
    head = "".join(
        f'<th scope="col" class="{"chosen" if cost == chosen else "side"}">{_HEADS[cost]}</th>'
        for cost in cost_map.MAP_COSTS
    )
    rows = []
    for stage in stages.to_dict("records"):
        cells = "".join(_cell(stage, cost, cost == chosen) for cost in cost_map.MAP_COSTS)
        rows.append(
            f'<tr><th scope="row">{escape(stage["stage"])}</th><td>{stage["layers"]}</td>{cells}'
            "</tr>"
        )
    return (
        '<table class="stages"><thead><tr><th scope="col">Stage</th>'
        f'<th scope="col">Convolutional and fully connected layers</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(stage: dict[Hashable, Any], cost: Cost, chosen: bool) -> str:
    value, share = stage[cost], stage[f"{cost}_share"]
    bar = f'<i style="width:{100 * share:.2f}%"></i>' if chosen else ""
    return (
        f'<td class="{"chosen" if chosen else "side"}" title="{count(value)}">'
        f"<span>{si(value, _UNITS[cost])}</span><small>{escape(share_of(share))}</small>{bar}</td>"
    )


_STYLE = """<style>
.stages { border-collapse: collapse; width: 100%; margin-bottom: 1rem; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
.stages th, .stages td { border: 0; border-bottom: 1px solid var(--line); font-weight: 400;
  padding: .4rem .8rem; text-align: right; white-space: nowrap; position: relative; }
.stages th:first-child { text-align: left; padding-left: 0; }
.stages thead th { color: var(--muted); font-size: .85rem; white-space: normal; }
.stages thead .chosen { color: var(--ink); font-weight: 600; }
.stages small { display: inline-block; width: 4.2em; color: var(--muted); font-size: .85em; }
.stages td.side span { color: var(--muted); }
.stages td i { position: absolute; right: .8rem; bottom: 0; height: 3px;
  background: var(--accent); max-width: calc(100% - 1.6rem); }
@media (max-width: 640px) { .stages .side { display: none; }
  .stages th, .stages td { padding: .4rem .3rem; } }
</style>"""
