"""Starting what the form asks for, and what came of the last click."""

from __future__ import annotations

import time

import streamlit as st

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs.cluster import check_cluster
from cnnviz.runs.trainer.start import check_start, different
from cnnviz.ui.cache import run_data
from cnnviz.ui.look.recipe_words import refusal
from cnnviz.ui.train import compare
from cnnviz.ui.train.request import recipe_form
from cnnviz.ui.train.request.recipe_form import Form

_ERROR, _STARTED = "start-error", "train-started"
#: What was started last, and when.
_ASKED = "start-asked"
#: Who presses again within so many seconds of the answer has not seen it.
DOUBLE_CLICK = 1.0


def say_what_happened(said: str = "") -> None:
    """Write what the last click led to, but for an error that is `said` already."""
    state = st.session_state
    error = state.pop(_ERROR, said)
    if error != said:
        st.error(error)
    if _STARTED in state:
        st.toast(state.pop(_STARTED), icon=":material/playlist_add_check:")


def start() -> None:
    """Start the runs and show them: a callback, so that the picker of runs can still be set."""
    state = st.session_state
    try:
        form = recipe_form.form_now()
        recipes = form.recipes()
        if _again(form):
            return
        for recipe in different(recipes):
            check_start(recipe)
        if form.launcher == "ray":
            if not form.address:
                raise CnnvizError(
                    "Which Ray cluster? Write the address of its dashboard, under Recipe, Where."
                )
            check_cluster(form.address)  # before any folder is made
        made = runs.request_runs(
            recipes,
            _devices(form),
            name=form.title or None,
            launcher=form.launcher,
            address=form.address,
        )
        cloned = state.pop(recipe_form.CLONED, None)
        for run in made if cloned else ():
            run.write_about(run.about.model_copy(update={"cloned_from": cloned}))
    except CnnvizError as error:
        state[_ERROR] = refusal(error)
        return
    state[_ASKED] = (form, time.monotonic())
    state["run"] = made[0].id
    state["with"] = [run.id for run in made[1 : compare.MOST]]
    if len(made) > 1:
        state[_STARTED] = f"{len(made)} runs are in the queue."


def _again(form: Form) -> bool:
    """Whether this click is the second of a double click: the same seed repeats the same run."""
    asked, moment = st.session_state.get(_ASKED, (None, 0.0))
    return bool(asked == form and time.monotonic() - moment < DOUBLE_CLICK)


def _devices(form: Form) -> list[str]:
    if form.device != recipe_form.EVERY_GPU:
        return [form.device]
    return [d.name for d in run_data.free_devices() if d.name.startswith("cuda")]
