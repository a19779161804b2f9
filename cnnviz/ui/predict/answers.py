"""What each network answers to a photo, and what it saw of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from html import escape

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.images import decode
from cnnviz.prediction import Prediction
from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.cache import trained
from cnnviz.ui.look import theme
from cnnviz.ui.look.format import milliseconds, percent, plain
from cnnviz.ui.look.words import data_name, without_data
from cnnviz.ui.pick import photo_picker
from cnnviz.ui.pick.photo_picker import Picked
from cnnviz.ui.predict.seen import seen

TOP = 3
#: Answers drawn below a photo, by data set; a sweep leaves hundreds of models.
_MOST = 12
_STYLE = """<style>
.seen { display: flex; gap: 1rem; flex-wrap: wrap; }
.seen figure { margin: 0; }
.seen img { width: 128px; image-rendering: pixelated; display: block; border-radius: 4px; }
.seen figcaption { font-size: .85rem; color: var(--muted); margin-top: .3rem; }
.answer { border-left: 3px solid var(--family); padding: .1rem 0 .1rem 1rem; margin: 0 0 1.4rem; }
.answer header { display: flex; gap: .1rem .8rem; align-items: baseline; flex-wrap: wrap; }
.answer header .muted { font-size: .9rem; }
.answer ol { list-style: none; margin: .4rem 0 0; padding: 0; }
.answer li { display: grid; grid-template-columns: 6.5rem 1fr 4rem; gap: .8rem;
  align-items: center; margin: 0; padding: .12rem 0; }
.answer .bar { height: .6rem; border-radius: 2px; background: var(--line); overflow: hidden; }
.answer .bar i { display: block; height: 100%; background: var(--family); }
.answer .value { text-align: right; font-variant-numeric: tabular-nums; }
.answer li:not(:first-child) { color: var(--muted); }
</style>"""


def answers(place: int, picked: Picked, models: dict[str, Checkpoint]) -> None:
    """The photo at `place` among those shown, what the networks saw of it, and what each says."""
    try:
        decode(picked.data, picked.name)
    except CnnvizError as error:
        st.error(str(error))
        return
    found = []
    for model_name, checkpoint in models.items():
        try:
            found.append(_ask(model_name, checkpoint, picked.data))
        except CnnvizError as error:
            st.warning(str(error))
    st.html(_STYLE)
    st.header(plain(picked.title), anchor=False)
    left, right = st.columns([1, 2.2], gap="large")
    with left:
        st.image(picked.data, width="stretch", alt=f"The photo {picked.name}")
        photo_picker.drop_button(picked, named=True)
        seen(found, picked.notes)
    with right:
        by_data: dict[str, list[Prediction]] = {}
        for prediction in found:
            by_data.setdefault(prediction.dataset, []).append(prediction)
        for dataset in sorted(by_data):
            _answers_of(dataset, by_data[dataset], models)
    _table(found, place)


def _ask(name: str, checkpoint: Checkpoint, data: bytes) -> Prediction:
    digest = hashlib.sha256(data).hexdigest()
    return trained.prediction(name, checkpoint.path, checkpoint.card.sha256, digest, data)


def _answers_of(dataset: str, found: list[Prediction], models: dict[str, Checkpoint]) -> None:
    """The answers of the networks trained on a data set, the most accurate first."""
    classes = models[found[0].model].card.classes
    title = {"digits": "Trained on handwritten digits"}
    st.subheader(title.get(dataset, f"Trained on {data_name(dataset)}"), anchor=False)
    st.caption(f"It can only answer with one of: {', '.join(classes)}.")
    ranked = sorted(found, key=lambda p: -(p.accuracy or 0))
    drawn = _some(ranked)
    titles = without_data([p.title for p in drawn], dataset)
    st.html("".join(map(_answer, drawn, titles)))
    if len(drawn) < len(found):
        st.caption(
            f"Drawn: {len(drawn)} of {len(found)} models, the most accurate of each network first. "
            "All are in the table below; Networks, above, chooses others."
        )


def _some(ranked: list[Prediction]) -> list[Prediction]:
    """Return those to draw, in their order: the best of each network, then the second best."""
    turns: Counter[str] = Counter()
    order = []
    for place, prediction in enumerate(ranked):
        order.append((turns[prediction.title], place))
        turns[prediction.title] += 1
    return [ranked[place] for place in sorted(place for _, place in sorted(order)[:_MOST])]


def _answer(prediction: Prediction, title: str) -> str:
    """One network's answer as bars. Lengths are probabilities; every number is written too."""
    variant = registry.get(prediction.variant)
    bars = "".join(
        f'<li><span class="name">{escape(name)}</span><span class="bar">'
        f'<i style="width:{value:.2%}"></i></span><span class="value">{percent(value)}</span></li>'
        for name, value in zip(
            prediction.classes[:TOP], prediction.probabilities[:TOP], strict=True
        )
    )
    accuracy = "" if prediction.accuracy is None else f"{percent(prediction.accuracy)} on test · "
    own = "" if prediction.model == variant.name else f" · {escape(prediction.model)}"
    colour = theme.family_variable(variant.architecture)
    return (
        f'<section class="answer" style="--family:{colour}" '
        f'data-model="{escape(prediction.model)}">'
        f"<header><strong>{escape(title)}</strong> "
        f'<span class="muted">{accuracy}{milliseconds(prediction.latency_ms)}{own}</span></header>'
        f"<ol>{bars}</ol></section>"
    )


def _table(found: list[Prediction], place: int) -> None:
    if not found:
        return
    rows = [
        {
            "model": p.model,
            "rank": rank,
            "class": name,
            "probability": value,
            "latency_ms": p.latency_ms,
        }
        for p in found
        for rank, (name, value) in enumerate(zip(p.classes, p.probabilities, strict=True), 1)
    ]
    frame = pd.DataFrame(rows)
    with st.expander("Every class and probability", icon=":material/table_rows:"):
        st.dataframe(
            frame,
            hide_index=True,
            column_config={
                "probability": st.column_config.ProgressColumn(format="percent", max_value=1.0),
                "latency_ms": st.column_config.NumberColumn("latency (ms)", format="%.2f"),
            },
            alt="Every class and its probability, by network.",
        )
        st.download_button(
            "Download as CSV",
            frame.to_csv(index=False),
            "predictions.csv",
            "text/csv",
            on_click="ignore",
            key=f"csv-{place}",
        )
