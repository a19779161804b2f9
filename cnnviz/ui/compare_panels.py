"""The Compare page: every trained network by accuracy and cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.charts import compare as charts
from cnnviz.errors import CnnvizError
from cnnviz.training.checkpoints import Checkpoint
from cnnviz.ui import caches, links, theme, url
from cnnviz.ui.panels import chart

COST_LABELS = {
    "params": "Parameters",
    "macs": "MACs",
    "latency_ms": "Latency",
    "weight_bytes": "Weights",
}
DATASET_LABELS = {"cifar10": "CIFAR-10", "digits": "Digits"}
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
    "activation_bytes": st.column_config.NumberColumn("activations", format="bytes"),
    "epochs": st.column_config.NumberColumn("epochs"),
    "training_seconds": st.column_config.NumberColumn("training (s)", format="%.0f"),
    "training_device": st.column_config.TextColumn("trained on"),
    "seed": st.column_config.NumberColumn("seed"),
    "model": st.column_config.TextColumn("checkpoint or run"),
}


def frame_of(models: dict[str, Checkpoint]) -> pd.DataFrame:
    """One row a model whose accuracy was measured; a model that cannot be loaded is named."""
    rows = []
    for name, checkpoint in models.items():
        if checkpoint.card.accuracy is None:
            continue
        try:
            row = caches.comparison_row(name, checkpoint.path, checkpoint.card.sha256).to_dict()
        except CnnvizError as error:
            st.warning(str(error))
            continue
        row["family_title"] = registry.get_architecture(row["family"]).title
        row["margin"] = charts.margin(row["accuracy"], row["test_images"])
        rows.append(row)
    return pd.DataFrame(rows)


def pick(frame: pd.DataFrame) -> tuple[str, str]:
    """The data set and the cost to compare by."""
    datasets = sorted(frame["dataset"].unique())
    with st.container(horizontal=True):
        url.keep_choice("dataset", datasets, datasets[0])
        dataset = st.segmented_control(
            "Trained on",
            datasets,
            required=True,
            key="dataset",
            format_func=lambda name: DATASET_LABELS.get(name, name),
        )
        url.keep_choice("cost", COST_LABELS, "params")
        cost = st.segmented_control(
            "Cost",
            list(COST_LABELS),
            required=True,
            key="cost",
            format_func=lambda name: COST_LABELS[name],
        )
    return dataset or datasets[0], cost or "params"


def accuracy_and_cost(frame: pd.DataFrame, cost: str) -> None:
    """The scatter; a chosen point offers its network."""
    sentence = charts.sentence(frame)
    figure = charts.accuracy_against(frame, cost, theme.is_dark())
    listed = "; ".join(
        f"{row.title} {row.accuracy:.1%}, {row.params:,} parameters" for row in frame.itertuples()
    )
    event = chart(
        figure, sentence, key="scatter", alt=f"Accuracy against cost: {listed}.", select=True
    )
    st.caption(
        "Bars: the 95 % interval that the number of test images leaves. Accuracy was measured "
        "once on all test images; latency is of one image on this machine."
    )
    points = event["selection"]["points"] if event else []
    if points:
        model = points[0]["customdata"][0]
        row = frame[frame["model"] == model].iloc[0]
        with st.container(horizontal=True):
            links.link("explore", f"Look inside {row['title']} →", variant=row["variant"])
            links.link("predict", "Ask it about a photo →", model=model)


def by_class(frame: pd.DataFrame) -> None:
    """Accuracy by class, a row a network."""
    frame = frame[frame["per_class"].map(bool)]
    if frame.empty:  # cards that give the whole accuracy alone
        return
    table = pd.DataFrame(list(frame["per_class"]), index=list(frame["label"]))
    worst = table.mean().idxmin()
    chart(
        charts.accuracy_by_class(table, theme.is_dark()),
        f"Hardest of all classes: {worst}",
        key="classes",
        alt=table.map(lambda v: f"{v:.0%}").to_string(),
    )


def table(frame: pd.DataFrame) -> None:
    """Everything behind the pictures."""
    st.subheader("The numbers", anchor=False)
    shown = frame[list(_COLUMNS)]
    st.dataframe(
        shown,
        hide_index=True,
        column_config=_COLUMNS,
        alt="Accuracy and every cost of each trained network.",
    )
    st.download_button(
        "Download as CSV",
        shown.to_csv(index=False),
        "comparison.csv",
        "text/csv",
        on_click="ignore",
    )
