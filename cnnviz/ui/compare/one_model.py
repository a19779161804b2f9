"""One trained model of the comparison: how it errs, and links to the other pages."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.training.saved.card import Card
from cnnviz.ui.look import evaluation
from cnnviz.ui.look.refusals import left_out
from cnnviz.ui.pick import photo_picker
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import links, url

#: The chosen model in the session's state.
CLOSER = "compare_model"


def closer(frame: pd.DataFrame, cards: Mapping[str, Card], alone: Mapping[str, Card]) -> None:
    """How one trained network errs, once it was picked here or in the picture.

    Those of `alone` have no weights here to look into.
    """
    titles = dict(zip(frame["model"], frame["title"], strict=True))
    st.header("One of them", anchor=False)
    notes = st.container()
    name = url.follow("model", CLOSER, {"": None} | {name: name for name in titles})
    asked = url.read("model")
    if asked is not None and asked not in titles:
        notes.warning(left_out("compared network", [asked]))
    st.selectbox(
        "How it errs, and whether its confidence can be trusted",
        list(titles),
        index=None,
        key=CLOSER,
        format_func=lambda name: f"{titles[name]} · {name}",
        placeholder="Choose a trained network",
        width=480,
    )
    if name is None:
        return
    card = cards[name]
    with st.container(horizontal=True, gap="medium"):
        network = Selection(
            registry.get(card.variant), card.knobs, card.input_size, len(card.classes)
        )
        links.link("explore", "Look inside →", **network.to_query())
        if name not in alone:
            links.link("filters", "Its filters →", model=name)
            links.link("deconvnet", "What its units see →", model=name)
            shown = photo_picker.for_dataset(card.dataset)
            links.link("predict", "Ask it about a photo →", model=name, **shown)
    if not (card.confusion or card.calibration or card.per_class):
        st.info("Its card holds the accuracy alone: train it again to see how it errs.")
        return
    evaluation.evaluated(card)
