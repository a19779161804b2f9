"""The Predict page: photos in, every trained network's answer out."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from html import escape

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.images import decode, display_name, encode_png, enlarge, sample_photos
from cnnviz.prediction import Prediction, survey_models
from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.cache import networks
from cnnviz.ui.look import theme
from cnnviz.ui.look.format import milliseconds, percent
from cnnviz.ui.look.words import data_name, without_data
from cnnviz.ui.state import links, url

FILE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"]
UPLOAD_MB = 10
TOP = 3
#: Answers drawn below a photo, by data set; a sweep leaves hundreds of models.
_MOST = 12
#: The picker of the networks that are asked.
_ASKED = "asked"

Image = tuple[str, bytes]

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


def trained_models() -> dict[str, Checkpoint]:
    """The trained models; broken ones are named. Without any, says how to get one and stops."""
    models, problems = survey_models()
    known = {variant.name for variant in registry.list_variants()}
    for name in [name for name, model in models.items() if model.card.variant not in known]:
        variant = models.pop(name).card.variant
        problems[name] = f"{name} is a {variant}, which this cnnviz does not know: update cnnviz."
    for problem in problems.values():
        st.warning(problem)
    if not models:
        st.info("No network has been trained yet. LeNet on the digits takes seconds.")
        links.link("train", "Train LeNet on digits →", variant="lenet5", dataset="digits")
        url.stop()
    return models


def samples() -> dict[str, bytes]:
    """The sample pictures by what they show."""
    return {**sample_photos(), "handwritten digit": networks.sample_digit()}


def pick_images() -> list[Image]:
    """Uploaded photos, or a sample where none was uploaded."""
    upload, sample = st.columns([3, 2], gap="large")
    with upload:
        files = st.file_uploader(
            "Your photos",
            type=FILE_TYPES,
            accept_multiple_files=True,
            max_upload_size=UPLOAD_MB,
            key="photos",
            help="They stay on this machine, in memory, for as long as this page is open.",
        )
    photos = samples()
    with sample:
        first, *others = photos
        notes = st.container()
        chosen = url.follow("sample", "sample", {"": first} | {name: name for name in others})
        st.selectbox(
            "Or a sample photo",
            list(photos),
            key="sample",
            disabled=bool(files),
            help="Photos that scikit-image ships, and a digit that no network was trained on",
        )
        for problem in url.problems({"sample": [*photos]}):
            notes.warning(problem)
    if files:
        return [(file.name, file.getvalue()) for file in files]
    return [(chosen, photos[chosen])]


def pick_models(models: dict[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Which models are asked: all of them unless some are chosen."""
    state, asked = st.session_state, url.read_all("model")
    wanted = [name for name in asked if name in models]
    notes = st.container()
    if len(wanted) < len(asked):
        notes.warning(url.left_out("trained network", [n for n in asked if n not in models]))
    if len(models) == 1:
        return models
    url.chosen_by(_ASKED)
    if _ASKED not in state or asked != url.seen().get(_ASKED):
        state[_ASKED] = wanted
    # Assigned in any case: Streamlit forgets a picker's value with the page that it stood on.
    state[_ASKED] = [name for name in state[_ASKED] if name in models]
    chosen = st.multiselect(
        "Networks",
        list(models),
        format_func=lambda name: label(name, models[name]),
        placeholder=f"All {len(models)} trained networks",
        key=_ASKED,
    )
    with url.collected():
        if chosen != wanted:
            url.write("model", ",".join(chosen))
            asked = chosen
        url.seen()[_ASKED] = asked
    return {name: models[name] for name in chosen} or models


def label(name: str, checkpoint: Checkpoint) -> str:
    """What a model is called in a picker."""
    card = checkpoint.card
    return f"{card.title} · {card.dataset if name == card.variant else name}"


def answers(place: int, image: Image, models: dict[str, Checkpoint]) -> None:
    """The photo at `place` among those shown, what the networks saw of it, and what each says."""
    name, data = image
    try:
        photo = decode(data, name)
    except CnnvizError as error:
        st.error(str(error))
        return
    found = []
    for model_name, checkpoint in models.items():
        try:
            found.append(_ask(model_name, checkpoint, data))
        except CnnvizError as error:
            st.warning(str(error))
    st.html(_STYLE)
    left, right = st.columns([1, 2.2], gap="large")
    with left:
        st.image(
            data if not photo.notes else photo.pixels,
            caption=display_name(name),
            width="stretch",
            alt=f"The photo {display_name(name)}",
        )
        _seen(found)
    with right:
        by_data: dict[str, list[Prediction]] = {}
        for prediction in found:
            by_data.setdefault(prediction.dataset, []).append(prediction)
        for dataset in sorted(by_data):
            _answers_of(dataset, by_data[dataset], models)
    _table(found, place)


def _ask(name: str, checkpoint: Checkpoint, data: bytes) -> Prediction:
    digest = hashlib.sha256(data).hexdigest()
    return networks.prediction(name, checkpoint.path, checkpoint.card.sha256, digest, data)


def _seen(found: list[Prediction]) -> None:
    """What is left of the photo at the networks' input size, pixel by pixel."""
    shown: dict[bytes, Prediction] = {p.seen.tobytes(): p for p in found}
    if not shown:
        return
    st.caption("What the networks see of it")
    cells = []
    for prediction in shown.values():
        side = prediction.seen.shape[0]
        picture = encode_png(enlarge(prediction.seen, max(1, 192 // side)))
        source = base64.b64encode(picture).decode()
        kind = "grey" if prediction.seen.shape[2] == 1 else "colour"
        cells.append(
            f'<figure><img src="data:image/png;base64,{source}" alt="The photo at {side} by {side} '
            f'pixels, {kind}"><figcaption>{side} × {side}, {kind}</figcaption></figure>'
        )
    st.html(f'<div class="seen">{"".join(cells)}</div>')
    for note in dict.fromkeys(note for p in found for note in p.notes):
        st.caption(f"Note: {note}.")


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
    own = "" if prediction.model == variant.name else f" · run {escape(prediction.model)}"
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
