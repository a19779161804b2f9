"""What can be done to a run on the Train page: stop, pause, resume, move, clone, note, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import Run, State
from cnnviz.runs.launch import LONGEST_NOTE
from cnnviz.ui.train.request import recipe_form
from cnnviz.ui.train.words import run_label

_ERROR = "act-error"
#: The run that the visitor deleted just now, by its id.
GONE = "train-gone"


def act(action: Callable[..., Any], run: Run, *arguments: Any) -> None:  # noqa: ANN401 - of any
    """Do something to `run`, in a callback; `say_refusal` says why it could not be done."""
    try:
        if not run.exists:
            raise CnnvizError(f"The run {run.id} was deleted already.")
        action(run, *arguments)
    except CnnvizError as error:
        st.session_state[_ERROR] = str(error)


def _delete(run: Run) -> None:
    """Delete a run; the page then goes on with another one and says so in passing."""
    label = run_label(run)
    act(runs.delete_run, run)
    if _ERROR not in st.session_state:
        st.session_state[GONE] = run.id
        st.toast(f"Deleted: {label}", icon=":material/delete:")


def say_refusal() -> None:
    """Write why the last click could not be done, if it could not."""
    if _ERROR in st.session_state:
        st.error(st.session_state.pop(_ERROR))


def buttons(run: Run, state: State) -> None:
    """Write what can be done to `run`, which is in `state`."""
    with st.container(horizontal=True, key="train-actions"):
        if run.is_active or state == "paused":
            _running(run, state)
        if state in ("paused", "interrupted", "stopped", "failed"):
            st.button(
                "Resume",
                key="resume",
                type="primary",
                icon=":material/play_arrow:",
                on_click=act,
                args=(runs.resume_run, run),
            )
        st.button(
            "Clone with changes",
            key="clone",
            icon=":material/content_copy:",
            help="Puts its recipe into the form above",
            on_click=_clone,
            args=(run,),
        )
        _note(run)
        if not run.is_training:
            # Its own for each run: one that stays open would ask of the next run in its place.
            with st.popover("Delete", icon=":material/delete:", key=f"deleting-{run.id}"):
                st.write(f"Delete {run_label(run)} and all it has learnt?")
                st.button(
                    "Delete for good",
                    key=f"delete-{run.id}",
                    on_click=_delete,
                    args=(run,),
                )


def _running(run: Run, state: State) -> None:
    """Write the buttons of a run that trains or waits."""
    waits = state in ("queued", "paused")
    st.button(
        "Take out of the queue" if waits else "Stop and save",
        key="stop",
        disabled=state == "stopping",
        on_click=act,
        args=(runs.stop_run, run),
        icon=":material/stop:",
    )
    if state != "paused":
        st.button(
            "Pause",
            key="pause",
            disabled=state == "stopping",
            on_click=act,
            args=(runs.pause_run, run),
            icon=":material/pause:",
            help="Saves, and lets the next in the queue go on; it keeps its place until resumed",
        )
    place = runs.position(run)
    if place is None:
        return
    last = len(runs.waiting(run.status.device))
    for key, label, to in (("up", "Move up", place - 1), ("down", "Move down", place + 1)):
        if 1 <= to <= last:
            icon = f":material/arrow_{key}ward:"
            st.button(label, key=key, on_click=act, args=(runs.move_run, run, to), icon=icon)


def _clone(run: Run) -> None:
    act(recipe_form.fill_from, run)
    if _ERROR not in st.session_state:
        st.toast("Its recipe is in the form above: change it and start.", icon=":material/north:")


def _note(run: Run) -> None:
    """Write the button that opens the run's note."""
    key = f"note-{run.id}"
    with st.popover("Note", icon=":material/edit_note:", key=f"noting-{run.id}"):
        st.session_state.setdefault(key, run.about.note)
        st.text_area(
            "What is to be known of this run",
            key=key,
            max_chars=LONGEST_NOTE,
            placeholder="why it was asked for, what came out of it",
        )
        st.button("Save", key="save-note", on_click=_save_note, args=(run, key))


def _save_note(run: Run, key: str) -> None:
    act(runs.note_run, run, st.session_state[key])
