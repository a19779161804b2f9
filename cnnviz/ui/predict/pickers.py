"""The picker of the page Predict: which networks are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.look.refusals import left_out
from cnnviz.ui.state import url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

#: The picker of the networks that are asked.
_ASKED = "asked"


def only_digits(models: dict[str, Checkpoint]) -> bool:
    """Tell whether all models that the page is opened for, or all there are, read digits."""
    wanted = [name for name in url.read_all("model") if name in models]
    return all(models[name].card.dataset == "digits" for name in wanted or models)


def pick_models(models: dict[str, Checkpoint], notes: DeltaGenerator) -> dict[str, Checkpoint]:
    """Which models are asked: all of them unless some are chosen; the URL has those as ``model``.

    What a link asks for and is not there is said in `notes`.
    """
    state, asked = st.session_state, url.read_all("model")
    wanted = [name for name in asked if name in models]
    if len(wanted) < len(asked):
        notes.warning(left_out("trained network", [n for n in asked if n not in models]))
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
