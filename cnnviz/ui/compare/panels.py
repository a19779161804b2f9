"""The Compare page: every trained network by accuracy and cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.charts import compare as charts
from cnnviz.compare import group_seeds
from cnnviz.errors import CnnvizError
from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.cache import networks
from cnnviz.ui.look import theme
from cnnviz.ui.look.panels import chart
from cnnviz.ui.look.words import data_name, without_data
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import links, url
from cnnviz.ui.train import result

COST_LABELS = {
    "params": "Parameters",
    "macs": "MACs",
    "latency_ms": "Latency",
    "weight_bytes": "Weights",
}
_CLOSER, _CLICKED = "compare_model", "compare_clicked"
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


def frame_of(models: dict[str, Checkpoint]) -> pd.DataFrame:
    """One row a model whose accuracy was measured; a model that cannot be loaded is named."""
    rows = []
    for name, checkpoint in models.items():
        if checkpoint.card.accuracy is None:
            continue
        try:
            row = networks.comparison_row(name, checkpoint.path, checkpoint.card.sha256).to_dict()
        except CnnvizError as error:
            st.warning(str(error))
            continue
        row["family_title"] = registry.get_architecture(row["family"]).title
        row["margin"] = charts.margin(row["accuracy"], row["test_images"])
        rows.append(row)
    return pd.DataFrame(rows)


def together(frame: pd.DataFrame, models: dict[str, Checkpoint]) -> pd.DataFrame:
    """One row a recipe: the means over its seeds, with their number and standard deviation.

    `frame` is that of `frame_of`; what is not measured is the newest run's.
    """
    by_name = frame.set_index("model", drop=False)
    rows = []
    for names in group_seeds({name: models[name] for name in frame["model"]}):
        group = by_name.loc[names]
        row = group.iloc[-1].to_dict()
        for measured in ("accuracy", "latency_ms", "training_seconds"):
            row[measured] = group[measured].mean()
        tables = [table for table in group["per_class"] if table]
        row["per_class"] = pd.DataFrame(tables).mean().to_dict() if tables else {}
        row |= {"seeds": len(names), "sd": group["accuracy"].std()}
        row["runs"] = ", ".join(names)
        rows.append(row)
    return pd.DataFrame(rows)


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
        said.append(f"There is no runs={url.quoted(asked or '')}; it can be each.")
    for problem in filter(None, said):
        notes.warning(problem)
    return dataset or datasets[0], cost or "params", not single


def named(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Shorten the titles of networks compared on `dataset` and tell equal ones apart.

    The column ``label`` has runs' names where two runs or recipes of one network are compared.
    """
    short = pd.Series(without_data(list(frame["title"]), dataset), frame.index, dtype=str)
    return frame.assign(
        title=short, label=short.where(~short.duplicated(keep=False), frame["model"])
    )


def accuracy_and_cost(frame: pd.DataFrame, cost: str) -> None:
    """The scatter; a chosen point offers its network."""
    sentence = charts.sentence(frame)
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
            st.session_state[_CLOSER] = clicked


def closer(frame: pd.DataFrame, models: dict[str, Checkpoint]) -> None:
    """How one trained network errs, once it was picked here or in the picture."""
    titles = dict(zip(frame["model"], frame["title"], strict=True))
    st.header("One of them", anchor=False)
    notes = st.container()
    name = url.follow("model", _CLOSER, {"": None} | {name: name for name in titles})
    asked = url.read("model")
    if asked is not None and asked not in titles:
        notes.warning(url.left_out("compared network", [asked]))
    st.selectbox(
        "How it errs, and whether its confidence can be trusted",
        list(titles),
        index=None,
        key=_CLOSER,
        format_func=lambda name: f"{titles[name]} · {name}",
        placeholder="Choose a trained network",
        width=480,
    )
    if name is None:
        return
    card = models[name].card
    with st.container(horizontal=True, gap="medium"):
        network = Selection(
            registry.get(card.variant), card.knobs, card.input_size, len(card.classes)
        )
        links.link("explore", "Look inside →", **network.to_query())
        links.link("filters", "Its filters →", model=name)
        links.link("deconvnet", "What its units see →", model=name)
        links.link("predict", "Ask it about a photo →", model=name)
    if not (card.confusion or card.calibration or card.per_class):
        st.info("Its card holds the accuracy alone: train it again to see how it errs.")
        return
    result.evaluated(card)


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
