"""All runs on the Train page: a table that leads to each, and the seeds of a recipe together."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cnnviz import registry, runs
from cnnviz.runs import Run, Summary
from cnnviz.settings import runs_dir
from cnnviz.ui.cache import run_data
from cnnviz.ui.look.recipe_words import setting_label, value_text, within
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.look.words import data_name
from cnnviz.ui.state import url
from cnnviz.ui.train import actions, compare
from cnnviz.ui.train.words import STATES, day_and_time, duration

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.column_types import ColumnConfig

#: Seconds between two looks at all runs while one of them is active.
LOOK = 3.0
_VIEWS = {"runs": "Every run", "recipes": "Seeds together"}
#: Rows in sight at once.
_ROWS = 7
#: Columns that are left out while no run has anything in them.
_IF_ANY = ("position", "changes", "held", "accuracy", "note")
_TABLE, _ALL, _SELECTED = "all-runs", "every request", "run-selected"


def broken(problems: dict[str, str]) -> None:
    """Name each run that cannot be read, and offer to delete it."""
    for run_id, problem in problems.items():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(problem)
            st.button(
                "Delete it",
                key=f"delete-{run_id}",
                on_click=actions.act,
                args=(runs.delete_run, Run(runs_dir() / run_id)),
            )


def ask_clusters(found: Sequence[Run]) -> None:
    """Ask each Ray cluster that trains one of the runs how it is, and say where it is silent."""
    jobs = tuple(run.id for run in found if run.status.launcher == "ray" and run.is_active)
    for problem in run_data.cluster_problems(runs_dir(), jobs) if jobs else ():
        st.warning(problem)


def show(found: Sequence[Run]) -> None:
    """Write the table of all runs, newest first, which is drawn again while any is active."""
    st.header(f"{len(found):,} runs", anchor=False)
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        unknown = url.keep_choice("list", _VIEWS, "runs")
        view = st.segmented_control(
            "Show",
            list(_VIEWS),
            format_func=_VIEWS.__getitem__,
            key="list",
            required=True,
            label_visibility="collapsed",
        )
        chosen = _pick_request(found, notes)
    if unknown:
        notes.warning(unknown)
    if chosen is not None:
        _request_buttons(chosen)
        found = chosen
    if view == "recipes":
        _recipes(found)
        return
    live = any(run.is_active for run in found)
    st.fragment(_table, run_every=LOOK if live else None)([run.id for run in found])


def _pick_request(found: Sequence[Run], notes: DeltaGenerator) -> list[Run] | None:
    """Write the filter by request, where one asked for several runs; None for all of them."""
    of_run = {run.id: run.about.request for run in found}
    counts = Counter(request for request in of_run.values() if request)
    several = [request for request, count in counts.items() if count > 1]
    asked = url.read("request")
    if asked is not None and asked not in several:
        notes.warning(f"There is no request {quoted(asked)} of several runs: all are shown.")
    if not several:
        url.write("request", "")
        return None
    options = [_ALL, *several]
    url.keep_choice("request", options, _ALL)
    created = {of_run[run.id]: run.status.created for run in found}
    chosen = st.selectbox(
        "Request",
        options,
        format_func=lambda name: _request_label(name, created.get(name, 0.0)),
        key="request",
        label_visibility="collapsed",
        width=340,
    )
    if chosen == _ALL:
        url.write("request", "")
        return None
    return [run for run in found if of_run[run.id] == chosen]


def _request_label(name: str, created: float) -> str:
    """What stays true of a request: Streamlit finds the chosen one by its label again."""
    if name == _ALL:
        return "Every request"
    return (
        f"{name} · {day_and_time(created)}"
        if not name.startswith("request-")
        else (f"Request of {day_and_time(created)} · {name[-4:]}")
    )


def _request_buttons(chosen: list[Run]) -> None:
    """Write what can be done with all runs of a request at once."""
    active = [run for run in chosen if run.is_active or run.state == "paused"]
    with st.container(horizontal=True):
        st.button(
            "Watch together",
            key="together",
            icon=":material/monitoring:",
            on_click=_together,
            args=([run.id for run in reversed(chosen)],),
            help=f"The first {compare.MOST} on one chart",
        )
        if active:
            st.button(
                f"Stop all {len(active)}" if len(active) > 1 else "Stop the last",
                key="stop-all",
                icon=":material/stop:",
                on_click=_stop_all,
                args=(active,),
            )


def _together(ids: list[str]) -> None:
    st.session_state["run"] = ids[0]
    st.session_state["with"] = ids[1 : compare.MOST]


def _stop_all(active: list[Run]) -> None:
    for run in sorted(active, key=lambda run: run.is_training):  # or the next one would start
        actions.act(runs.stop_run, run)


def _table(ids: Sequence[str]) -> None:
    """Write the rows; choosing one watches that run."""
    state = st.session_state
    if state.pop(_SELECTED, False):
        url.rerun()
    here = [run for run in (Run(runs_dir() / run_id) for run_id in ids) if run.exists]
    rows = [_row(row) for row in sorted(runs.rows(here), key=_order)]
    shown = [row["id"] for row in rows]
    # Rows change places as runs start and end: a new order, or another watched run, is a new table
    # to Streamlit, so that the number of a row never means another run than the one in sight.
    key = f"{_TABLE}-{zlib.crc32(','.join([state.get('run', ''), *shown]).encode())}"
    rows_chosen = [shown.index(state["run"])] if state.get("run") in shown else []
    table = pd.DataFrame(rows)
    empty = [name for name in _IF_ANY if table[name].isin(["", None]).all()]
    st.dataframe(
        table.drop(columns=empty),
        hide_index=True,
        height=min(len(rows), _ROWS) * 35 + 38,
        placeholder="",
        column_config=_columns(),
        key=key,
        on_select=lambda: _select(shown, key),
        selection_mode="single-row",
        selection_default={"selection": {"rows": rows_chosen}},
        alt="Every run: state, network, data set, changes, seed, epochs, accuracies, time, note. "
        "Choosing a row watches that run.",
    )


def _order(row: dict[str, Any]) -> tuple[int, int]:
    """What trains comes first, then what waits in its order, then the others as they are."""
    if row["state"] in ("starting", "running", "stalled", "stopping"):
        return 0, 0
    return (1, row["position"] or 0) if row["state"] == "queued" else (2, 0)


def _select(shown: Sequence[str], key: str) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and shown[rows[0]] != st.session_state.get("run"):
        st.session_state["run"] = shown[rows[0]]
        st.session_state[_SELECTED] = True


def _row(row: dict[str, Any]) -> dict[str, Any]:
    words = STATES[row["state"]]
    return {
        "state": f"{words.sign} {words.word}",
        "position": row["position"],
        "network": registry.get(row["variant"]).titled(row["knobs"]),
        "dataset": data_name(row["dataset"]),
        "changes": run_data.changes_of_run(Run(runs_dir() / row["id"])),
        "seed": row["seed"],
        "epoch": f"{row['epoch']:,} / {row['epochs']:,}",
        "held": row["val_accuracy"],
        "accuracy": row["accuracy"],
        "time": duration(row["seconds"]) if row["seconds"] else "",
        "device": row["device"],
        "id": row["id"],
        "note": row["note"],
    }


def _columns() -> dict[str, ColumnConfig]:
    columns = st.column_config
    return {
        "state": columns.TextColumn("State", width=110, pinned=True),
        "position": columns.NumberColumn(
            "Place", width=55, help="In the queue of its device; 1 is the next to start"
        ),
        "network": columns.TextColumn("Network", width=200),
        "dataset": columns.TextColumn("Data", width=80),
        "changes": columns.TextColumn("Changes", width=150, help="Beside the network's own recipe"),
        "seed": columns.NumberColumn("Seed", width=50, format="%d"),
        "epoch": columns.TextColumn("Epoch", width=100),
        "held": columns.NumberColumn(
            "Held out", width=80, format="percent", help="Accuracy on held-out training images"
        ),
        "accuracy": columns.NumberColumn(
            "Test", width=75, format="percent", help="Accuracy on all test images, once"
        ),
        "time": columns.TextColumn("Trained for", width=95),
        "device": columns.TextColumn("Device", width=65),
        "id": columns.TextColumn("Run", width=260, help="Its name on the command line"),
        "note": columns.TextColumn("Note", width=180),
    }


def _recipes(found: Sequence[Run]) -> None:
    """Write a row for each recipe: what its seeds reached together."""
    rows = [_summary_row(summary) for summary in runs.summarise(found)]
    columns = st.column_config
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "network": columns.TextColumn("Network", pinned=True),
            "dataset": columns.TextColumn("Data"),
            "changes": columns.TextColumn("Beside its own recipe"),
            "done": columns.NumberColumn("Seeds", help="That are done; each counts once"),
            "reached": columns.TextColumn(
                "Test accuracy", help="Mean ± sample standard deviation over the seeds"
            ),
            "span": columns.TextColumn("Lowest – highest"),
            "pending": columns.NumberColumn("Not done", help="Training, waiting, or ended early"),
        },
        alt="Every recipe: network, data set, what it changes, and mean and standard deviation of "
        "the test accuracy over its seeds.",
    )


def _summary_row(summary: Summary) -> dict[str, Any]:
    changes = ", ".join(
        f"{within(setting_label(name))} {value_text(v)}" for name, v in summary.changes.items()
    )
    mean, sd, low, high = (
        None if value is None else 100 * value
        for value in (summary.mean, summary.sd, summary.low, summary.high)
    )
    reached = "–" if mean is None else f"{mean:.2f} %" if sd is None else f"{mean:.2f} ± {sd:.2f} %"
    return {
        "network": registry.get(summary.variant).title,
        "dataset": data_name(summary.dataset),
        "reached": reached,
        "done": summary.n,
        "span": "–" if low is None or sd is None else f"{low:.2f} – {high:.2f} %",
        "pending": summary.pending,
        "changes": changes,
    }
