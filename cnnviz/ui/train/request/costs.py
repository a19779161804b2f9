"""What one run will cost: by arithmetic, by a past run of the same speed, or measured."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from cnnviz import registry, runs
from cnnviz.errors import CnnvizError
from cnnviz.runs.costs.estimate import Device, Estimate
from cnnviz.runs.costs.plan import IMAGES, STEP, images_of_work
from cnnviz.training.recipe import Recipe
from cnnviz.ui.cache import run_data
from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.train.words import day_and_time

#: Recipes of which each step was asked to be measured, with the device.
ASKED = "train-measured"


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


def key_of(recipe: Recipe) -> str:
    """All of a recipe that its cost depends on: seeds cost the same."""
    return recipe.model_copy(update={"seed": 0}).model_dump_json()


def alike(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Return one of the recipes that cost the same, of each kind."""
    return list({key_of(recipe): recipe for recipe in recipes}.values())


def cost_of(recipe: Recipe) -> Cost:
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


def with_time(costs: list[Cost], device: Device) -> list[Cost]:
    """Add the time where it was measured, or where a run of the same speed has been before."""
    asked: set[tuple[str, str]] = st.session_state.setdefault(ASKED, set())
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
