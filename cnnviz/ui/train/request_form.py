"""New runs on the Train page: pickers in one row, the recipe on demand, the button that starts."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz import registry, runs
from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import published_subject
from cnnviz.registry import Knob
from cnnviz.runs.cluster import check_cluster
from cnnviz.runs.costs.estimate import Device
from cnnviz.runs.requests import MOST_SEEDS
from cnnviz.runs.trainer.start import check_start, different
from cnnviz.training.data import DATASETS, is_available
from cnnviz.training.recipe import RECIPE_TITLES, Setting, settings
from cnnviz.ui.cache import run_data
from cnnviz.ui.look.format import plain, si
from cnnviz.ui.state import url
from cnnviz.ui.train import compare, cost, recipe_form
from cnnviz.ui.train.recipe_form import KNOB, Form, control_key
from cnnviz.ui.train.words import (
    DATASET_TITLES,
    knob_text,
    refusal,
    setting_label,
    value_text,
    within,
)

#: The settings by what they are about; any other is with the last.
_GROUPS = {
    "Optimisation": (
        *("batch_size", "optimizer", "lr", "momentum", "weight_decay", "warmup_epochs"),
        *("label_smoothing", "grad_clip", "ema"),
    ),
    "Images": ("crop_padding", "flip", "cutout", "mixup", "resize", "crop", "holdout"),
    "First weights": ("weights", "freeze"),
    "Running": ("precision", "compile", "snapshots", "tensorboard", "seed"),
}
#: Devices of a cluster's jobs.
_ON_CLUSTER = {"auto": "one GPU of the cluster", "cpu": "CPU cores of the cluster"}
_ERROR, _STARTED = "start-error", "train-started"
#: What was started last, and when.
_ASKED = "start-asked"
#: Who presses again within so many seconds of the answer has not seen it.
DOUBLE_CLICK = 1.0


def new_runs() -> None:
    """Write the form of new runs, what they will cost, and the button that starts them."""
    known = recipe_form.networks()
    row = st.columns([3.1, 2.2, 1.65, 2.45, 1.6], vertical_alignment="bottom")
    first, most = [recipe_form.FIRST], recipe_form.MOST_NETWORKS
    missing = recipe_form.keep_names("variant", list(known), first, most)
    names = row[0].multiselect(
        "Networks",
        list(known),
        format_func=lambda name: known[name].title,
        key="variant",
        max_selections=recipe_form.MOST_NETWORKS,
        select_all=False,
        wrap=True,
        placeholder="Choose one or several",
    )
    recipe_form.say_names("variant", names)
    unknown = url.keep_choice("dataset", DATASETS, "digits")
    dataset = row[1].selectbox(
        "Data set",
        sorted(DATASETS, reverse=True),  # the one that needs no download first
        format_func=lambda name: DATASET_TITLES[name],
        key="dataset",
    )
    messages = st.container()  # one that comes or goes moves nothing below into another place
    if missing:
        messages.warning(url.left_out("network", missing))
    if unknown:
        messages.warning(unknown)
    if not names:
        with messages:
            _say_what_happened()
        st.info("Choose one or several networks to train.")
        return
    with messages:
        form, changes = _named_form(tuple(names), dataset)
    own = recipe_form.own_values(form)
    epochs = next(item for item in settings() if item.name == "epochs")
    _number(row[2], epochs, own["epochs"], form.scope, changes)
    _device(row[3])
    row[4].button("Start training", type="primary", width="stretch", on_click=_start)
    place = st.container()
    _recipe(place, form, own, changes)
    problem = cost.show(recipe_form.form_now())
    with messages:
        _say_what_happened(problem)
    if not is_available(dataset):
        st.info(
            "CIFAR-10 is not on this machine yet: the run will first download 170 MB, or say how "
            "to get it where there is no network."
        )
    if "imagenet" in (changes.get("weights"), *own["weights"]):
        _say_downloads(names)


def _say_downloads(names: Sequence[str]) -> None:
    """Name the published weights that a run will have to download first."""
    published = [registry.get(name) for name in names if registry.get(name).weights]
    missing = [s for s in map(published_subject, published) if not s.is_here]
    if missing:
        titles = ", ".join(subject.variant.title for subject in missing)
        size = si(1e6 * sum(subject.megabytes for subject in missing), "B")
        st.info(
            f"The ImageNet weights of {titles} are not on this machine yet: the run will first "
            f"download {size}, or say where to put them where there is no network."
        )


def _say_what_happened(said: str = "") -> None:
    """Write what the last click led to, but for an error that is `said` already."""
    state = st.session_state
    error = state.pop(_ERROR, said)
    if error != said:
        st.error(error)
    if _STARTED in state:
        st.toast(state.pop(_STARTED), icon=":material/playlist_add_check:")


def _named_form(names: tuple[str, ...], dataset: str) -> tuple[Form, dict[str, Any]]:
    """Return the form as far as it is known before the recipe is drawn, and its changes."""
    state = st.session_state
    if state.get("named") not in recipe_form.shared_recipes(names, dataset):
        if state.get("named"):
            title = RECIPE_TITLES[state["named"]]
            st.warning(f"Not all of them can “{title}” on this data: each has its own recipe now.")
        state["named"] = "default"
    state["named"] = state["named"]  # kept while its picker is not drawn
    recipe_form.settle(names, dataset, state["named"])
    form = Form(names, dataset, state["named"])
    for problem in recipe_form.take_knobs(form):
        st.warning(plain(problem))
    return form, recipe_form.read_changes(form)


def _device(where: DeltaGenerator) -> None:
    """Write the picker of the device, each with the memory that is free on it."""
    state = st.session_state
    if state.get("launcher", "local") == "ray":
        options = _ON_CLUSTER
    else:
        options = _device_options(run_data.free_devices())
    chosen = recipe_form.device_name(state.get("device"))
    state["device"] = chosen if chosen in options else "auto"
    where.selectbox(
        "Device",
        list(options),
        format_func=lambda name: options.get(name, name),
        key="device",
        help="auto takes a GPU if there is one. The memory is what is free on it now",
    )


def _device_options(found: Sequence[Device]) -> dict[str, str]:
    named = {d.name: f"{d.name} · {si(d.free_bytes, 'B')} free · {d.title}" for d in found}
    best = found[0]  # CUDA before MPS before the CPU, as "auto" has it
    options = {"auto": f"auto: {best.name} · {si(best.free_bytes, 'B')} free", **named}
    if sum(device.name.startswith("cuda") for device in found) > 1:
        options[recipe_form.EVERY_GPU] = recipe_form.EVERY_GPU
    return options


def _recipe(
    where: DeltaGenerator, form: Form, own: dict[str, list[Any]], changes: dict[str, Any]
) -> None:
    """Write every setting of the recipe but the epochs, folded away."""
    count = len(changes)
    label = "Recipe: how they will be trained" if len(form.names) > 1 else "Recipe"
    changed = f" · {count} setting{'s' * (count > 1)} changed" if count else ""
    with where.expander(f"{label}{changed}", icon=":material/tune:", key="train-recipe"):
        with st.container():  # so that the tabs stay in their place, and the open one open
            _pick_named(form)
            if count:
                _say_changes(form, changes)
        knobs = recipe_form.shared_knobs(form.names)
        titles = [*_GROUPS, *(["Network"] if knobs else []), "Several runs", "Where"]
        tabs = dict(zip(titles, st.tabs(titles), strict=True))
        placed = {name for group in _GROUPS.values() for name in group} | {"epochs"}
        for title, names in _GROUPS.items():
            rest = [i for i in settings() if title == "Running" and i.name not in placed]
            shown = [item for item in settings() if item.name in names]
            shown.sort(key=lambda item: names.index(item.name))
            with tabs[title]:
                _settings([*shown, *rest], own, form.scope, changes)
        if knobs:
            with tabs["Network"]:
                _knobs(knobs, form.scope, changes)
        with tabs["Several runs"]:
            _several()
        with tabs["Where"]:
            _where()


def _pick_named(form: Form) -> None:
    offered = recipe_form.shared_recipes(form.names, form.dataset)
    if len(offered) > 1:
        st.selectbox(
            "Start from",
            offered,
            format_func=lambda name: RECIPE_TITLES[name].capitalize(),
            key="named",
            help="A recipe with a name: it sets what is below, which can still be changed",
        )


def _say_changes(form: Form, changes: dict[str, Any]) -> None:
    said = ", ".join(
        f"{within(setting_label(name.removeprefix(KNOB)))} {value_text(value)}"
        for name, value in changes.items()
    )
    cloned = st.session_state.get(recipe_form.CLONED)
    origin = f"A copy of the run {cloned}. " if cloned else ""
    several = "each network's" if len(form.names) > 1 else "the network's"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{origin}Beside {several} own recipe: {said}.", width="content")
        st.button("Undo", type="tertiary", on_click=recipe_form.forget, icon=":material/undo:")


def _settings(
    items: Sequence[Setting], own: dict[str, list[Any]], scope: str, changes: dict[str, Any]
) -> None:
    for start in range(0, len(items), 4):
        columns = st.columns(4)
        for place, item in zip(columns, items[start : start + 4], strict=False):
            _setting(place, item, own[item.name], scope, changes)


def _setting(
    where: DeltaGenerator, item: Setting, own: list[Any], scope: str, changes: dict[str, Any]
) -> None:
    """Write the control that fits a setting; empty where each network has its own value."""
    if item.kind is bool or item.choices:
        choices = [True, False] if item.kind is bool else list(item.choices)
        _choice(where, item.name, item.help, choices, own, scope, changes)
    elif item.kind is str:
        key = _begin(item.name, own, scope, changes)
        placeholder = _own_text(own)
        label = setting_label(item.name)
        where.text_input(label, None, key=key, help=item.help, placeholder=placeholder)
    else:
        _number(where, item, own, scope, changes)


def _begin(name: str, own: list[Any], scope: str, changes: dict[str, Any]) -> str:
    """Return the key of a control that holds what was changed, or what the networks share."""
    key = control_key(name, scope)
    if key not in st.session_state:
        st.session_state[key] = changes.get(name, recipe_form.common(own))
    return key


def _own_text(own: list[Any]) -> str:
    if recipe_form.common(own) is not None:
        return value_text(own[0])
    return "own: " + ", ".join(dict.fromkeys(map(value_text, own)))


def _number(
    where: DeltaGenerator, item: Setting, own: list[Any], scope: str, changes: dict[str, Any]
) -> None:
    """Write the control of a number. What is out of its limits is refused with the costs.

    With limits of its own the control would keep such a number to itself, in red, and the run
    would start with the one before.
    """
    number = int if item.kind is int else float
    where.number_input(
        setting_label(item.name),
        value=None,
        step=1 if number is int else None,
        key=_begin(item.name, own, scope, changes),
        help=f"{item.help}; from {item.low:,g} to {item.high:,g}",
        format="%d" if number is int else "%g",
        placeholder=_own_text(own),
    )


def _choice(
    where: DeltaGenerator,
    name: str,
    explained: str,
    choices: list[Any],
    own: list[Any],
    scope: str,
    changes: dict[str, Any],
) -> None:
    where.selectbox(
        setting_label(name.removeprefix(KNOB)),
        choices,
        index=None if recipe_form.common(own) is None else 0,
        key=_begin(name, own, scope, changes),
        help=explained,
        format_func=value_text,
        placeholder=_own_text(own),
    )


def _knobs(knobs: Sequence[Knob], scope: str, changes: dict[str, Any]) -> None:
    """Write the controls of what the network itself offers, such as a width."""
    columns = st.columns(4)
    for place, knob in enumerate(knobs):
        where, name = columns[place % 4], f"{KNOB}{knob.name}"
        if isinstance(knob.default, bool) or knob.choices:
            choices = list(knob.choices) or [True, False]
            _choice(where, name, knob.help, choices, [knob.default], scope, changes)
            continue
        number = int if isinstance(knob.default, int) else float
        where.number_input(
            knob_text(knob),
            value=None,
            key=_begin(name, [knob.default], scope, changes),
            step=number(1) if number is int else 0.25,
            help=knob.help,
            placeholder=value_text(knob.default),
        )


def _several() -> None:
    """Write what makes many runs of one: seeds, and values to try."""
    state = st.session_state
    for key, first in (("seeds", 1), ("vary", ""), ("title", "")):
        said = state.get(key)
        state[key] = first if said is None else said  # kept while the page shows no network
    seeds, vary, title = st.columns([1, 2, 1])
    seeds.number_input(
        "Seeds",
        step=1,
        key="seeds",
        help="Runs that differ by chance alone: they give a mean and its spread; at most "
        f"{MOST_SEEDS}",
    )
    vary.text_input(
        "Values to try",
        key="vary",
        placeholder="lr=0.05,0.1  cutout=0,8",
        help="Settings or knobs of the network, each with values; every combination is a run. "
        "Names are those of the command line",
    )
    title.text_input(
        "Name of the request",
        key="title",
        placeholder="the time",
        help="Under which the runs can be found together; the same name again adds to it",
    )


def _where() -> None:
    """Write on which machine it trains."""
    state = st.session_state
    state["launcher"] = state.get("launcher") or "local"
    state["address"] = state.get("address") or os.environ.get("RAY_API_SERVER_ADDRESS", "")
    launcher, address = st.columns([1, 2])
    chosen = launcher.selectbox(
        "Trains on",
        ["local", "ray"],
        format_func={"local": "this machine", "ray": "a Ray cluster"}.__getitem__,
        key="launcher",
    )
    address.text_input(
        "Address of its dashboard",
        key="address",
        placeholder="http://head:8265",
        disabled=chosen == "local",
        help="Each run becomes a job of the cluster; the folder of the runs must be on storage "
        "that its nodes see",
    )


def _start() -> None:
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
