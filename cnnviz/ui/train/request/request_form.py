"""New runs on the Train page: pickers in one row, the recipe on demand, the button that starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz import registry
from cnnviz.networks.subjects import published_subject
from cnnviz.training.data import DATASETS, is_available
from cnnviz.training.recipe import RECIPE_TITLES, settings
from cnnviz.ui.look.format import plain, si
from cnnviz.ui.look.recipe_words import setting_label, value_text, within
from cnnviz.ui.look.refusals import left_out
from cnnviz.ui.state import url
from cnnviz.ui.train.request import cost, recipe_form
from cnnviz.ui.train.request.controls import write_knobs, write_number, write_settings
from cnnviz.ui.train.request.recipe_form import KNOB, Form
from cnnviz.ui.train.request.starting import say_what_happened, start
from cnnviz.ui.train.request.where import pick_device, pick_launcher, pick_several
from cnnviz.ui.train.words import DATASET_TITLES

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
        messages.warning(left_out("network", missing))
    if unknown:
        messages.warning(unknown)
    if not names:
        with messages:
            say_what_happened()
        st.info("Choose one or several networks to train.")
        return
    with messages:
        form, changes = _named_form(tuple(names), dataset)
    own = recipe_form.own_values(form)
    epochs = next(item for item in settings() if item.name == "epochs")
    write_number(row[2], epochs, own["epochs"], form.scope, changes)
    pick_device(row[3])
    row[4].button("Start training", type="primary", width="stretch", on_click=start)
    place = st.container()
    _recipe(place, form, own, changes)
    problem = cost.show(recipe_form.form_now())
    with messages:
        say_what_happened(problem)
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
                write_settings([*shown, *rest], own, form.scope, changes)
        if knobs:
            with tabs["Network"]:
                write_knobs(knobs, form.scope, changes)
        with tabs["Several runs"]:
            pick_several()
        with tabs["Where"]:
            pick_launcher()


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
