"""What new runs will cost, before they start: parameters, work, memory and time."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.runs.costs.estimate import Device
from cnnviz.ui.cache import run_data
from cnnviz.ui.look.panels import facts
from cnnviz.ui.look.recipe_words import refusal
from cnnviz.ui.train.request.cost_facts import count_sentence, facts_of
from cnnviz.ui.train.request.costs import ASKED, Cost, alike, cost_of, key_of, with_time
from cnnviz.ui.train.request.recipe_form import Form
from cnnviz.ui.train.words import rate_text

#: Recipes of a different speed that are measured at most in one go, two seconds or more each.
MOST_MEASURED = 12


def show(form: Form) -> str:
    """Write what the runs of `form` will cost, or the sentence that says why they cannot be.

    That sentence is returned.
    """
    try:
        recipes = form.recipes()
        device = _device(form)
        known = [cost_of(recipe) for recipe in alike(recipes)]
    except CnnvizError as error:
        problem = refusal(error)
        st.error(problem)
        return problem
    if device is not None:
        known = with_time(known, device)
    of_key = {key_of(cost.recipe): cost for cost in known}
    costs = [of_key[key_of(recipe)] for recipe in recipes]
    if len(recipes) > 1:
        st.caption(count_sentence(form, recipes))
    facts(facts_of(costs, device))
    _say_batches(known)
    if device is not None:
        _measure(known, device)
        _say_estimates(known, device)
    return ""


def _say_batches(costs: Sequence[Cost]) -> None:
    """Name the networks of which a batch would be more than there is."""
    for cost in costs:
        if (batch := cost.recipe.batch_size) > cost.images:
            st.warning(
                f"{cost.recipe.title}: a batch of {batch:,} is more than the {cost.images:,} "
                "images it trains on, so each epoch is a single step on all of them."
            )


def _device(form: Form) -> Device | None:
    """The device of this machine that is meant; None for a cluster's."""
    if form.launcher != "local":
        return None
    found = run_data.free_devices()
    return next((device for device in found if device.name == form.device), found[0])


def _measure(costs: Sequence[Cost], device: Device) -> None:
    """Offer to measure what is not measured yet."""
    open_ = {run_data.speed_key(c.recipe) for c in costs if c.estimate is None and not _bad(c)}
    if not open_:
        return
    keys = [(key, device.name) for key in sorted(open_)[:MOST_MEASURED]]
    seconds = 3 * len(keys)
    st.button(
        "Measure the time" if len(keys) == 1 else f"Measure the time of {len(keys)} recipes",
        icon=":material/timer:",
        type="tertiary",
        key="measure",
        help=f"Does a few real training steps on random images, which takes about {seconds} s; "
        "a run that trains there meanwhile slows it",
        on_click=_ask,
        args=(keys,),
    )


def _bad(cost: Cost) -> bool:
    """Whether it was tried to measure it, in vain."""
    return bool(cost.source) and cost.seconds is None


def _ask(keys: Sequence[tuple[str, str]]) -> None:
    st.session_state.setdefault(ASKED, set()).update(keys)


def _say_estimates(costs: Sequence[Cost], device: Device) -> None:
    """Write what was measured, and what will not fit."""
    for problem in dict.fromkeys(cost.source for cost in costs if _bad(cost) and not cost.estimate):
        st.error(problem)
    for notice in dict.fromkeys(c.estimate.notice for c in costs if c.estimate):
        if notice:
            st.warning(notice)
    if not any(cost.estimate for cost in costs):
        large = [c for c in costs if c.memory is not None and c.memory > device.free_bytes]
        if large:
            st.warning(
                f"It may need more memory than {device.name} has free: measure it, or choose a "
                "smaller batch."
            )
    if len(costs) == 1 and (estimate := costs[0].estimate) and (speed := estimate.speed):
        smaller = speed.batch_size < costs[0].recipe.batch_size
        st.caption(
            f"Measured on {speed.steps:,} step{'s' * (speed.steps > 1)} of {speed.batch_size:,} "
            f"images: {rate_text(speed.training)} images/s"
            + (", a smaller batch than the recipe's, which is a little slower." if smaller else ".")
        )
