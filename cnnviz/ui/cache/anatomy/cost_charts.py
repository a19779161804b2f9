"""Charts of where a network's costs sit, and their sentences, kept between reruns."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from cnnviz.charts.costs import by_layer, cost_map
from cnnviz.ui.cache.anatomy.networks import Arguments, layer_frame


@st.cache_data(max_entries=256, show_spinner=False)
def cost_sentence(arguments: Arguments, cost: by_layer.Cost) -> str:
    """Say where a cost of a network sits, given as the arguments of `layer_frame`."""
    return by_layer.cost_sentence(layer_frame(*arguments), cost)


@st.cache_data(max_entries=256, show_spinner=False)
def layer_bars(arguments: Arguments, cost: by_layer.Cost) -> str:
    """Return the bars of a network's layers, given as the arguments of `layer_frame`."""
    return by_layer.cost_bars(layer_frame(*arguments), cost)


@dataclass(frozen=True)
class CostView:
    """Where one cost of a network sits: (chart, its sentence) twice, and a row a stage."""

    areas: tuple[str, str]
    layers: tuple[str, str]
    stages: pd.DataFrame
    stage_sentence: str


@st.cache_resource(max_entries=64, show_spinner=False)
def cost_view(arguments: Arguments, cost: by_layer.Cost) -> CostView:
    """Return the charts of a cost for a network, given as the arguments of `layer_frame`."""
    frame = layer_frame(*arguments)
    return CostView(
        (cost_map.cost_areas(frame, cost), cost_sentence(arguments, cost)),
        (layer_bars(arguments, cost), cost_map.layer_sentence(frame, cost)),
        cost_map.by_stage(frame),
        cost_map.stage_sentence(frame, cost),
    )
