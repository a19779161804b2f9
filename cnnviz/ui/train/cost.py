"""What new runs will cost, before they start: parameters, work, memory and time."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from cnnviz import registry, runs
from cnnviz.errors import CnnvizError
from cnnviz.runs.costs.estimate import Device, Estimate
from cnnviz.runs.costs.plan import IMAGES, STEP, images_of_work
from cnnviz.training.recipe import Recipe
from cnnviz.ui.cache import networks, run_data
from cnnviz.ui.look.format import count, counted, si
from cnnviz.ui.look.panels import Fact, facts
from cnnviz.ui.train.recipe_form import Form
from cnnviz.ui.train.words import (
    day_and_time,
    duration,
    rate_text,
    refusal,
    setting_label,
    value_text,
    within,
)

#: Recipes of which each step was asked to be measured, with the device.
_ASKED = "train-measured"
#: Recipes of a different speed that are measured at most in one go, two seconds or more each.
MOST_MEASURED = 12


@dataclass(frozen=True)
class Cost:
    """What one run will cost. `seconds` and where they come from, if anything is known of them."""

    recipe: Recipe
    params: int
    macs: int
    images: int
    work: int
    memory: int | None
    seconds: float | None = None
    source: str = ""
    estimate: Estimate | None = None


def show(form: Form) -> str:
    """Write what the runs of `form` will cost, or the sentence that says why they cannot be.

    That sentence is returned.
    """
    try:
        recipes = form.recipes()
        device = _device(form)
        known = [_cost(recipe) for recipe in _alike(recipes)]
    except CnnvizError as error:
        problem = refusal(error)
        st.error(problem)
        return problem
    if device is not None:
        known = _with_time(known, device)
    of_key = {_key(cost.recipe): cost for cost in known}
    costs = [of_key[_key(recipe)] for recipe in recipes]
    if len(recipes) > 1:
        st.caption(_count_sentence(form, recipes))
    facts(_facts(costs, device))
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


def _key(recipe: Recipe) -> str:
    """All of a recipe that its cost depends on: seeds cost the same."""
    return recipe.model_copy(update={"seed": 0}).model_dump_json()


def _alike(recipes: Sequence[Recipe]) -> list[Recipe]:
    return list({_key(recipe): recipe for recipe in recipes}.values())


def _cost(recipe: Recipe) -> Cost:
    """Return what follows from the recipe by arithmetic."""
    variant = registry.get(recipe.variant)
    knobs = tuple(sorted(recipe.knobs.items()))
    size = (variant.input_size[0], *recipe.input_size)
    trace = networks.traced(recipe.variant, knobs, size, 10)
    train, test = IMAGES[recipe.dataset]
    held = min(recipe.holdout, train)
    images = train - held
    step = 1 if recipe.freeze else STEP
    work = step * trace.macs * images * recipe.epochs
    memory = None
    if trace.training_bytes is not None:
        # Weights, gradients, the optimiser's state, the average; and both copies of the images.
        states = {"adamw": 2, "sgd": int(recipe.momentum > 0)}[recipe.optimizer]
        weights = 4 * trace.params * (2 + states + bool(recipe.ema))
        pixels = (3 * 32 * 32 + 8) * (2 * train + test)
        memory = weights + trace.training_bytes * min(recipe.batch_size, images) + pixels
    return Cost(recipe, trace.params, trace.macs, images, work, memory)


def _with_time(costs: list[Cost], device: Device) -> list[Cost]:
    """Add the time where it was measured, or where a run of the same speed has been before."""
    asked: set[tuple[str, str]] = st.session_state.setdefault(_ASKED, set())
    before = _past_speeds({cost.recipe.variant for cost in costs}, device)
    found = []
    for cost in costs:
        key = run_data.speed_key(cost.recipe)
        if (key, device.name) in asked:
            cost = _estimated(cost, key, device)
        elif key in before:
            rate, created = before[key]
            seconds = images_of_work(cost.recipe) / rate
            source = f"as fast as the run of {day_and_time(created)}"
            cost = replace(cost, seconds=seconds, source=source)
        found.append(cost)
    return found


def _estimated(cost: Cost, key: str, device: Device) -> Cost:
    title = registry.get(cost.recipe.variant).title
    try:
        with st.spinner(f"Measuring a few training steps of {title} …"):
            short = run_data.measured(key, device.name)
    except CnnvizError as error:
        return replace(cost, source=str(error))
    train, _ = IMAGES[cost.recipe.dataset]
    full = replace(short, recipe=cost.recipe, device=device, images=cost.images)
    full = replace(full, held=train - cost.images)
    seconds = full.seconds[0] if full.seconds else None
    return replace(
        cost, memory=full.memory.total, seconds=seconds, source="measured", estimate=full
    )


def _past_speeds(variants: set[str], device: Device) -> dict[str, tuple[float, float]]:
    """What finished runs of `variants` on `device` say of the speed of recipes like theirs.

    By `speed_key`: images a second, and when the newest such run was asked for.
    """
    found: dict[str, tuple[float, float]] = {}
    for run in runs.survey_runs(heads_only=True).runs:
        if run.head.variant not in variants:
            continue
        status = run.status
        rate = status.images_per_second
        if not rate or status.device != device.name or status.state != "done":
            continue
        with contextlib.suppress(CnnvizError):  # the page names a run that cannot be read
            found.setdefault(run_data.speed_key(run.recipe), (rate, status.created))
    return found


def _count_sentence(form: Form, recipes: Sequence[Recipe]) -> str:
    """Say how many runs that makes, and of what."""
    factors = []
    if len(form.names) > 1:
        factors.append(f"{len(form.names)} networks")
    for name, values in form.varied.items():
        listed = ", ".join(value_text(value) for value in values)
        factors.append(f"{within(setting_label(name))} {listed}")
    if form.seeds > 1:
        factors.append(f"{form.seeds} seeds")
    return f"**{len(recipes)} runs**: {' × '.join(factors)}, one after the other on each device."


def _facts(costs: Sequence[Cost], device: Device | None) -> list[Fact]:
    return [
        _parameters(costs),
        _work(costs),
        _memory(costs, device),
        _time(costs, device),
    ]


def _parameters(costs: Sequence[Cost]) -> Fact:
    low, high = min(c.params for c in costs), max(c.params for c in costs)
    macs = sorted({cost.macs for cost in costs})
    an_image = f"{si(macs[0], 'MACs')} an image"
    if low == high:
        return Fact("Parameters", si(low), an_image, count(low))
    an_image = f"{si(macs[0])} to {si(macs[-1], 'MACs')} an image"
    return Fact("Parameters", f"{si(low)} – {si(high)}", an_image, f"{count(low)} – {count(high)}")


def _work(costs: Sequence[Cost]) -> Fact:
    total = sum(cost.work for cost in costs)
    note = "forward, and twice that backward, of all runs"
    if len(costs) == 1:
        (cost,) = costs
        passes = 1 if cost.recipe.freeze else STEP
        note = (
            f"{passes} × {si(cost.macs, 'MACs')} × {counted(cost.images, 'image')} × "
            f"{counted(cost.recipe.epochs, 'epoch')}"
        )
    return Fact("Work", si(total, "MACs"), note, f"{count(total)} multiply-accumulates")


def _memory(costs: Sequence[Cost], device: Device | None) -> Fact:
    known = [cost.memory for cost in costs if cost.memory is not None]
    free = f"of {si(device.free_bytes, 'B')} free" if device else "on the cluster's device"
    if not known:
        return Fact("Memory", "–", free)
    largest = max(costs, key=lambda cost: cost.memory or 0)
    about = "" if largest.estimate else "≈ "
    several = "the largest, " if len(costs) > 1 else ""
    batch = f"with {counted(min(largest.recipe.batch_size, largest.images), 'image')} in a batch"
    return Fact("Memory", f"{about}{si(max(known), 'B')}", f"{several}{free}, {batch}")


def _time(costs: Sequence[Cost], device: Device | None) -> Fact:
    known = [cost.seconds for cost in costs if cost.seconds is not None]
    if device is None:
        return Fact("Time", "–", "is not known for a cluster")
    if len(known) < len(costs):
        part = f"{len(known)} of {len(costs)} runs are known" if known else "not measured yet"
        return Fact("Time", "–", part)
    sources = Counter(cost.source for cost in costs)
    if len(costs) == 1 and (estimate := costs[0].estimate) and estimate.seconds:
        _, low, high = estimate.seconds
        note = f"measured: {duration(low)} to {duration(high)} on {device.name}"
    else:
        note = next(iter(sources)) if len(sources) == 1 else "measured, or as runs before"
        note += f" on {device.name}"
        note += ", all runs one after the other" if len(costs) > 1 else ""
    return Fact("Time", f"≈ {duration(sum(known))}", note)


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
    st.session_state.setdefault(_ASKED, set()).update(keys)


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
