"""The numbers behind the comparison: accuracy by class, and every cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cnnviz.charts import compare as charts
from cnnviz.ui.look import theme
from cnnviz.ui.look.panels import chart

_COLUMNS = {
    "title": st.column_config.TextColumn("network"),
    "accuracy": st.column_config.ProgressColumn(
        "test accuracy",
        format="percent",
        min_value=0,
        max_value=1,
        help="measured once, on all test images",
    ),
    "margin": st.column_config.NumberColumn(
        "± (95 %)",
        format="percent",
        help="what the number of test images alone leaves open",
    ),
    "params": st.column_config.NumberColumn("parameters", format="compact"),
    "macs": st.column_config.NumberColumn(
        "MACs",
        format="compact",
        help="multiply-accumulates for one image; FLOPs are twice that",
    ),
    "latency_ms": st.column_config.NumberColumn(
        "latency (ms)",
        format="%.2f",
        help="one image at a time, median, on this machine",
    ),
    "weight_bytes": st.column_config.NumberColumn("weights", format="bytes"),
    "seeds": st.column_config.NumberColumn(
        "seeds", help="runs that differ by their seed alone; the accuracy is their mean"
    ),
    "sd": st.column_config.NumberColumn(
        "sd over seeds",
        format="percent",
        help="sample standard deviation of the accuracy over the seeds",
    ),
    "activation_bytes": st.column_config.NumberColumn("activations", format="bytes"),
    "epochs": st.column_config.NumberColumn("epochs"),
    "training_seconds": st.column_config.NumberColumn("training (s)", format="%.0f"),
    "training_device": st.column_config.TextColumn("trained on"),
    "seed": st.column_config.NumberColumn("seed"),
    "model": st.column_config.TextColumn("checkpoint or run"),
}


def by_class(frame: pd.DataFrame) -> None:
    """Accuracy by class, a row a network."""
    frame = frame[frame["per_class"].map(bool)]
    if frame.empty:  # cards that give the whole accuracy alone
        return
    table = pd.DataFrame(list(frame["per_class"]), index=list(frame["label"]))
    chart(
        charts.accuracy_by_class(table, theme.is_dark()),
        charts.class_sentence(table),
        key="classes",
        alt=table.map(lambda v: f"{v:.0%}").to_string(),
    )


def table(frame: pd.DataFrame) -> None:
    """Everything behind the pictures."""
    st.subheader("The numbers", anchor=False)
    seeds = "seeds" in frame and (frame["seeds"] > 1).any()
    hidden = {"seed"} if seeds else {"seeds", "sd"}
    shown = frame[[name for name in _COLUMNS if name not in hidden]]
    if seeds:
        shown = shown.assign(model=frame["runs"])
    st.dataframe(
        shown,
        hide_index=True,
        column_config=_COLUMNS,
        placeholder="–",
        alt="Accuracy and every cost of each trained network.",
    )
    st.download_button(
        "Download as CSV",
        shown.to_csv(index=False),
        "comparison.csv",
        "text/csv",
        on_click="ignore",
    )


def say_cards_alone(frame: pd.DataFrame) -> None:
    """Name the networks of `frame` whose weights are not here."""
    names = list(frame.loc[frame["card_only"], "model"])
    if names:
        one = len(names) == 1
        card, theirs = ("its card", "its") if one else ("their card", "their")
        st.caption(
            f"{len(names)} of them by {card} alone: {', '.join(names)}; {theirs} latency and size "
            "are those of random weights."
        )
