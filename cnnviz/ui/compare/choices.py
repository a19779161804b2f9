"""What is compared: the data set, the cost, and whether seeds are taken together."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.look.words import data_name
from cnnviz.ui.state import url

COST_LABELS = {
    "params": "Parameters",
    "macs": "MACs",
    "latency_ms": "Latency",
    "weight_bytes": "Weights",
}


def pick(frame: pd.DataFrame, *, repeated: bool) -> tuple[str, str, bool]:
    """The data set and the cost to compare by, and whether the runs of a recipe are one row.

    That is asked where some are `repeated`.
    """
    datasets = sorted(frame["dataset"].unique())
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        said = [url.keep_choice("dataset", datasets, datasets[0])]
        dataset = st.segmented_control(
            "Trained on",
            datasets,
            required=True,
            key="dataset",
            format_func=data_name,
        )
        said.append(url.keep_choice("cost", COST_LABELS, "params"))
        cost = st.segmented_control(
            "Cost",
            list(COST_LABELS),
            required=True,
            key="cost",
            format_func=lambda name: COST_LABELS[name],
        )
        single = False
        if repeated:
            single = url.follow("runs", "compare_runs", {"": False, "each": True})
            st.toggle(
                "Every run by itself",
                key="compare_runs",
                help="Runs that differ by their seed alone are one point: their mean",
            )
    asked = url.read("runs")
    if asked not in (None, "each"):
        said.append(f"There is no runs={quoted(asked or '')}; it can be each.")
    for problem in filter(None, said):
        notes.warning(problem)
    return dataset or datasets[0], cost or "params", not single
