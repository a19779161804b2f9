"""Accuracy against cost: the main picture of the page Compare."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cnnviz.charts import compare as charts
from cnnviz.ui.compare.one_model import CLOSER
from cnnviz.ui.look import theme
from cnnviz.ui.look.panels import chart

_CLICKED = "compare_clicked"


def accuracy_and_cost(frame: pd.DataFrame, cost: str) -> None:
    """The scatter; a chosen point offers its network."""
    sentence = charts.sentence(frame, cost)
    figure = charts.accuracy_against(frame, cost, theme.is_dark())
    listed = "; ".join(
        f"{row.title} {row.accuracy:.1%}, {row.params:,} parameters"
        + (f", mean of {row.seeds} seeds" if getattr(row, "seeds", 1) > 1 else "")
        for row in frame.itertuples()
    )
    event = chart(
        figure, sentence, key="scatter", alt=f"Accuracy against cost: {listed}.", select=True
    )
    bars = "the 95 % interval that the number of test images leaves"
    if "seeds" in frame and (frame["seeds"] > 1).any():
        bars = f"one standard deviation over the seeds; for a single run {bars}"
    line = " Dotted: the best accuracy for a cost." if len(frame) > 1 else ""
    if frame["title"].str.contains(", width ").any():
        line += " × 0.5: half as many channels."
    st.caption(
        f"Bars: {bars}.{line} Accuracy was measured once on all test images; latency is of one "
        "image on this machine. A click on a point opens its network below."
    )
    points = event["selection"]["points"] if event else []
    clicked = points[0]["customdata"][0] if points else None
    if clicked != st.session_state.get(_CLICKED):
        st.session_state[_CLICKED] = clicked
        if clicked:
            st.session_state[CLOSER] = clicked
