"""The Train page: ask for a run, watch one, see them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry, runs
from cnnviz.charts import training as charts
from cnnviz.errors import CnnvizError
from cnnviz.runs import Run
from cnnviz.training.data import DATASETS, is_available
from cnnviz.training.recipe import Recipe, Setting, default_recipe, settings
from cnnviz.ui import caches, links, theme, url
from cnnviz.ui.format import percent, si
from cnnviz.ui.panels import Fact, chart, facts

DATASET_TITLES = {"digits": "Digits (1,797, built in)", "cifar10": "CIFAR-10 (60,000 photos)"}
#: Training images of each data set before any are held out.
TRAIN_IMAGES = {"digits": 1_437, "cifar10": 50_000}
LABELS = {"lr": "Learning rate", "ema": "Weight averaging", "grad_clip": "Gradient clip"}
STATES = {
    "queued": "Queued",
    "starting": "Starting: the trainer is loading",
    "running": "Training",
    "stalled": "Stalled: no sign of life for a minute",
    "stopping": "Stopping: the batch is being finished and saved",
    "interrupted": "Interrupted: its process is gone",
    "stopped": "Stopped and saved",
    "failed": "Failed",
    "done": "Done",
}


def new_run() -> None:
    """The pickers of a new run in one row, what it will cost, and the button that starts it."""
    # Those made for small images first; the others train too, more slowly.
    road = sorted(registry.list_variants(), key=lambda v: v.input_size[1] > 32)
    variants = {variant.name: variant for variant in road}
    network, dataset, epochs, start = st.columns([3, 2.4, 1.2, 1.4], vertical_alignment="bottom")
    url.keep_choice("variant", variants, "lenet5")
    name = network.selectbox(
        "Network", list(variants), format_func=lambda n: variants[n].title, key="variant"
    )
    url.keep_choice("dataset", DATASETS, "digits")
    data = dataset.selectbox(
        "Data set",
        sorted(DATASETS, reverse=True),  # the one that needs no download first
        format_func=lambda d: DATASET_TITLES[d],
        key="dataset",
    )
    default = default_recipe(name, data)
    scope = f"{name}-{data}"
    count = epochs.number_input("Epochs", 1, 10_000, default.epochs, key=f"epochs-{scope}")
    holdout = _recipe_editor(default, scope)
    start.button("Start training", type="primary", width="stretch", on_click=_start)
    _cost_line(name, data, int(count), holdout)
    if "start_error" in st.session_state:
        st.error(st.session_state.pop("start_error"))
    if not is_available(data):
        st.info(
            "CIFAR-10 is not on this machine yet: the run will first download 170 MB, or say how "
            "to get it where there is no network."
        )


def _recipe_editor(default: Recipe, scope: str) -> int:
    """Every setting of the recipe but the epochs, folded away; returns the images held out."""
    with st.expander("Recipe: how it will be trained", icon=":material/tune:"):
        columns = st.columns(4)
        shown = [item for item in settings() if item.name != "epochs"]
        for place, item in enumerate(shown):
            _setting(columns[place % 4], item, getattr(default, item.name), scope)
        columns[len(shown) % 4].selectbox(
            "Device", caches.devices(), key="device", help="auto takes a GPU if there is one"
        )
    return int(st.session_state[f"holdout-{scope}"])


def _setting(where: DeltaGenerator, item: Setting, default: Any, scope: str) -> None:  # noqa: ANN401
    """Write the control that fits a setting."""
    label = LABELS.get(item.name, item.name.replace("_", " ").capitalize())
    key = f"{item.name}-{scope}"
    number = int if item.kind is int else float
    if item.kind is bool:
        where.selectbox(
            label,
            [True, False],
            0 if default else 1,
            key=key,
            help=item.help,
            format_func=lambda on: "yes" if on else "no",
        )
    elif item.choices:
        index = item.choices.index(default)
        where.selectbox(label, item.choices, index, key=key, help=item.help)
    else:
        where.number_input(
            label,
            number(item.low),
            number(item.high),
            number(default),
            key=key,
            help=item.help,
            format="%d" if number is int else "%g",
        )


def _start() -> None:
    """Start a run and show it: a callback, so that the picker of runs can still be set.

    It reads what the pickers hold now: a number typed just before the click is not yet known to
    the script that drew the button.
    """
    state = st.session_state
    variant, dataset = state["variant"], state["dataset"]
    keys = {item.name: f"{item.name}-{variant}-{dataset}" for item in settings()}
    fields = {name: state[key] for name, key in keys.items() if key in state}
    try:
        run = runs.create_run(default_recipe(variant, dataset, **fields))
        runs.enqueue(run, state["device"])
        state["run"] = run.id
    except CnnvizError as error:
        st.session_state["start_error"] = str(error)


def _cost_line(variant: str, dataset: str, epochs: int, holdout: int) -> None:
    trace = caches.traced(variant, num_classes=10)
    images = max(TRAIN_IMAGES[dataset] - holdout, 0)
    # A backward pass does each product twice more: for the inputs and for the weights.
    total = 3 * trace.macs * images * epochs
    st.caption(
        f"{si(trace.params)} parameters · {si(trace.macs, 'MACs')} an image · {epochs} epochs of "
        f"{images:,} images: about {si(total, 'MACs')}, the backward pass counted twice the "
        "forward."
    )


def watch_runs() -> None:
    """Pick a run and watch it; without any, say how to get one."""
    readable, problems = runs.survey_runs()
    for run_id, problem in problems.items():
        _broken_run(run_id, problem)
    found = {run.id: run for run in readable}
    if not found:
        st.session_state.pop("run", None)
        st.info("No run yet. Press **Start training**: LeNet on the digits takes seconds.")
        return
    url.keep_choice("run", found, next(iter(found)))
    chosen = st.selectbox(
        "Run",
        list(found),
        format_func=lambda run_id: _label(found[run_id]),
        key="run",
    )
    run = found[chosen]
    active = run.is_active
    st.fragment(_run_panel, run_every=1.0 if active else None)(run, active)
    _all_runs(list(found.values()))


def _broken_run(run_id: str, problem: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(problem)
        run = runs.find_run(run_id)
        st.button("Delete it", key=f"delete-{run_id}", on_click=_act, args=(runs.delete_run, run))


def _label(run: Run) -> str:
    """What stays true of a run: Streamlit finds the chosen one by its label again."""
    recipe, status = run.recipe, run.status
    when = time.strftime("%d %b %H:%M", time.localtime(status.created))
    title = registry.get(recipe.variant).title
    return f"{title} on {recipe.dataset} · {when} · {run.id[-4:]}"


def _run_panel(run: Run, was_active: bool) -> None:
    """One run, drawn again each second while it trains."""
    if not run.path.is_dir() or run.is_active != was_active:
        st.rerun()  # the whole page once more: the panel's clock, and the lists
    state, status, recipe = run.state, run.status, run.recipe
    if "act_error" in st.session_state:
        st.error(st.session_state.pop("act_error"))
    metrics = run.metrics()
    st.html(
        f'<p aria-live="polite">{theme.badge(registry.get(recipe.variant).family)}'
        f"<span> — {STATES[state]}{_position(run) if state == 'queued' else ''}</span></p>"
    )
    if status.message:
        (st.error if state == "failed" else st.warning)(status.message)
    st.progress(min(status.step / status.steps, 1.0) if status.steps else 0.0)
    facts(_facts(run, metrics.epochs))
    _buttons(run)
    accuracy, loss = charts.sentence(metrics.epochs)
    left, right = st.columns(2, gap="large")
    dark = theme.is_dark()
    with left:
        chart(
            charts.accuracy_curve(metrics.epochs, recipe.epochs, dark),
            accuracy,
            key=f"accuracy-{run.id}",
            alt="A line of accuracy by epoch.",
        )
    with right:
        chart(
            charts.loss_curve(metrics.steps, metrics.epochs, recipe.epochs, dark),
            loss,
            key=f"loss-{run.id}",
            alt="A line of the loss by epoch.",
        )
    if metrics.damaged:
        st.caption(f"{metrics.damaged} damaged lines of the metrics were skipped.")


def _position(run: Run) -> str:
    """Where a queued run stands; whoever looks also wakes a queue whose last trainer was killed."""
    runs.start_next()
    device = run.status.device
    before = [other.id for other in runs.waiting(device)]
    place = before.index(run.id) if run.id in before else 0
    ahead = f"{place} queued before it" if place else "next"
    return f" for {device}: {ahead}, a run is training there now"


def _facts(run: Run, epochs: list[dict[str, Any]]) -> list[Fact]:
    status, recipe = run.status, run.recipe
    last = epochs[-1] if epochs else {}
    if status.accuracy is not None:
        first = Fact(
            "Test accuracy",
            percent(status.accuracy, 2),
            "on all test images, once",
            f"{status.accuracy:.6f}",
        )
    elif "val_accuracy" in last:
        first = Fact("Held-out accuracy", percent(last["val_accuracy"]), f"epoch {last['epoch']}")
    else:
        first = Fact(
            "Training accuracy",
            percent(last["train_accuracy"]) if last else "–",
            f"epoch {last['epoch']}" if last else "after the first epoch",
        )
    rate = status.images_per_second
    return [
        first,
        Fact("Epoch", f"{status.epoch:.1f} / {recipe.epochs}", f"step {status.step:,}"),
        Fact(
            "Images a second",
            f"{rate:,.0f}" if rate else "–",
            f"{status.device} {status.precision}".strip(),
        ),
        Fact(
            "Time left" if run.is_active else "Time trained",
            duration(status.eta if run.is_active else status.seconds),
            f"{duration(status.seconds)} so far" if run.is_active else "",
        ),
    ]


def duration(seconds: float | None) -> str:
    """Write a time: 42 -> "42 s", 3661 -> "1 h 01 min"."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _buttons(run: Run) -> None:
    with st.container(horizontal=True):
        if run.is_active:
            st.button(
                "Stop and save",
                key="stop",
                disabled=run.state == "stopping",
                on_click=_act,
                args=(runs.stop_run, run),
                icon=":material/stop:",
            )
            return
        if run.can_resume:
            st.button(
                "Resume",
                key="resume",
                type="primary",
                icon=":material/play_arrow:",
                on_click=_act,
                args=(runs.resume_run, run),
            )
        if run.state == "done":
            links.link("predict", "Ask it about a photo →", model=run.id)
            links.link("deconvnet", "See what its units see →", model=run.id)
            links.link("compare", "Find it in the comparison →", dataset=run.recipe.dataset)
        with st.popover("Delete", icon=":material/delete:"):
            st.write("Delete this run and all it has learnt?")
            st.button("Delete for good", key="delete", on_click=_act, args=(runs.delete_run, run))


def _act(action: Callable[[Run], None], run: Run) -> None:
    """Do something to a run; what is refused is said in its panel."""
    try:
        action(run)
    except CnnvizError as error:
        st.session_state["act_error"] = str(error)


def _all_runs(found: list[Run]) -> None:
    with st.expander(f"All runs ({len(found)})", icon=":material/list:"):
        rows = [run.summary() for run in found]
        columns = ["id", "variant", "dataset", "state", "epoch", "epochs", "accuracy", "seconds"]
        st.dataframe(
            pd.DataFrame(rows)[columns],
            hide_index=True,
            column_config={
                "accuracy": st.column_config.NumberColumn("test accuracy", format="percent"),
                "seconds": st.column_config.NumberColumn("seconds", format="%.0f"),
            },
            alt="Every run: its network, data set, state, epochs, test accuracy and time.",
        )


def log(run_id: str | None) -> None:
    """What the trainer printed, folded away."""
    if run_id is None:
        return
    text = runs.find_run(run_id).log_tail()
    if text:
        with st.expander("Log", icon=":material/terminal:"):
            st.code(text, language=None)
