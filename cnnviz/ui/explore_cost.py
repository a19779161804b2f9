"""Where a network's cost sits: parameters, MACs or activations, by stage and by layer."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.charts import cost_map
from cnnviz.charts.costs import Cost
from cnnviz.ui import caches, panels, theme
from cnnviz.ui.explore_state import Selection

_TITLES: dict[Cost, str] = {
    "params": "Parameters",
    "macs": "Multiply–accumulates",
    "output_bytes": "Activations",
}
_NAMES = {"params": "params", "macs": "macs", "output_bytes": "activations"}  # in the URL


def cost(selection: Selection, _: Trace) -> None:
    """Draw where the chosen cost sits: a map of all layers, bars by stage, bars by layer."""
    chosen = _pick()
    view = caches.cost_view(selection.arguments, chosen, theme.is_dark())
    panels.chart(
        *view.areas,
        key="explore_map",
        alt="Areas by layer, inside their stages; the table below has the stages' numbers.",
    )
    st.caption("Blue: convolutions. Brown: fully connected layers. Grey: everything else.")
    stages, layers = st.columns(2, gap="large")
    with stages:
        panels.chart(
            *view.stages,
            key="explore_stages",
            alt="Bars by stage; the table below has every number.",
        )
    with layers:
        panels.chart(
            *view.layers,
            key="explore_layers",
            alt="Bars by layer; the table of the view Layers has every number.",
        )
    _table(view.table)


def _pick() -> Cost:
    """Write the control for the cost; the URL has it as ``cost``."""
    by_name = {name: key for key, name in _NAMES.items()}
    asked = st.query_params.get("cost", "params")
    if "explore_cost" not in st.session_state:
        st.session_state["explore_cost"] = by_name.get(asked, "params")
    chosen = st.segmented_control(
        "Cost",
        cost_map.MAP_COSTS,
        format_func=lambda name: _TITLES[name],
        key="explore_cost",
        required=True,
        label_visibility="collapsed",
    )
    picked: Cost = chosen or "params"
    if picked != "params":
        st.query_params["cost"] = _NAMES[picked]
    elif "cost" in st.query_params:
        del st.query_params["cost"]
    return picked


def _table(stages: pd.DataFrame) -> None:
    columns = st.column_config
    shown = {
        "stage": columns.TextColumn("Stage", pinned=True),
        "layers": columns.NumberColumn("Layers with weights"),
        "params": columns.NumberColumn("Parameters", format="localized"),
        "params_share": columns.NumberColumn("of all", format="percent"),
        "macs": columns.NumberColumn("MACs", format="localized"),
        "macs_share": columns.NumberColumn("of all MACs", format="percent"),
        "output_bytes": columns.NumberColumn("Bytes of activations", format="localized"),
        "output_bytes_share": columns.NumberColumn("of all bytes", format="percent"),
    }
    st.dataframe(
        stages,
        column_order=list(shown),
        column_config=shown,
        hide_index=True,
        key="explore_stage_table",
        alt=f"{len(stages)} stages with layers, parameters, MACs and bytes of activations",
    )
