"""The trained models that a page can show, and what it says where there are none."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.prediction import survey_models
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.state import links, url


def trained_models(asked: bool = True) -> tuple[dict[str, Checkpoint], dict[str, Card]]:
    """The trained models, and the cards of those whose weights are not here.

    Broken ones are named. Without any (to be `asked`: any with weights) it says how to get one and
    stops.
    """
    models, problems, cards = survey_models()
    for problem in problems.values():
        st.warning(problem)
    if cards and asked:
        known = "is known by its card" if len(cards) == 1 else "are known by their card"
        st.caption(f"{_listed(list(cards))} {known} alone and cannot be asked.")
    if not models and (asked or not cards):
        st.info("No network has been trained yet. LeNet on the digits takes seconds.")
        links.link("train", "Train LeNet on digits →", variant="lenet5", dataset="digits")
        url.stop()
    return models, cards


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
