"""What the Train page calls things: states, data sets, settings, runs, times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnviz import registry
from cnnviz.runs import Run, State
from cnnviz.training.recipe import Recipe
from cnnviz.ui.look.recipe_words import changes_text, setting_label, value_text, within
from cnnviz.ui.look.words import data_name

DATASET_TITLES = {"digits": "Digits (1,797, built in)", "cifar10": "CIFAR-10 (60,000 photos)"}


class StateWords(NamedTuple):
    """A state as a sign that needs no colour, in a word, and in words."""

    sign: str
    word: str
    text: str


STATES: dict[State, StateWords] = {
    "queued": StateWords("◷", "Queued", "Queued"),
    "starting": StateWords("▷", "Starting", "Starting: the trainer is loading"),
    "running": StateWords("▶", "Training", "Training"),
    "stalled": StateWords(
        "…",
        "Stalled",
        "Stalled: no sign of life for a minute. A stop ends it, a minute later by force",
    ),
    "stopping": StateWords(
        "◼",
        "Stopping",
        "Stopping: the batch is being finished and saved, for which it has a minute",
    ),
    "paused": StateWords("‖", "Paused", "Paused: it waits until it is resumed"),
    "interrupted": StateWords("⚠", "Interrupted", "Interrupted: its process is gone"),
    "stopped": StateWords("◻", "Stopped", "Stopped and saved"),
    "failed": StateWords("✕", "Failed", "Failed"),
    "done": StateWords("✓", "Done", "Done"),
}


def duration(seconds: float | None) -> str:
    """Write a time: 42 -> "42 s", 3661 -> "1 h 01 min", 300,000 -> "3 d 11 h"."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rate_text(value: float) -> str:
    """Write images a second: 12.34 -> "12.3", 3456.7 -> "3,457"."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def day_and_time(seconds: float) -> str:
    """Write a moment, given in seconds since 1970: "24 Nov 09:05"."""
    return time.strftime("%d %b %H:%M", time.localtime(seconds))


def run_label(run: Run) -> str:
    """What stays true of a run: Streamlit finds the chosen one by its label again."""
    recipe, status = run.recipe, run.status
    seed = f"seed {recipe.seed}" if recipe.seed else ""
    named = ", ".join(filter(None, (recipe.title, changes_text(recipe), seed)))
    data = data_name(recipe.dataset)
    return f"{named} · {data} · {day_and_time(status.created)} · {run.id[-4:]}"


def differences(runs: Sequence[Run]) -> dict[str, str]:
    """Name each run by what tells it from the others: network, then the settings that differ."""
    recipes = {run.id: run.recipe for run in runs}
    varied = [name for name in Recipe.model_fields if len(_values(recipes, name)) > 1]
    names = {}
    for run_id, recipe in recipes.items():
        parts = [registry.get(recipe.variant).title]
        for name in varied:
            if name == "dataset":
                parts.append(data_name(recipe.dataset))
            elif name == "knobs":
                parts += [f"{key.replace('_', ' ')} {value_text(v)}" for key, v in _turned(recipe)]
            elif name != "variant" and not _follows_network(recipes, name):
                label = within(setting_label(name))
                parts.append(f"{label} {value_text(getattr(recipe, name))}")
        names[run_id] = " · ".join(parts)
    doubles = {label for label in names.values() if list(names.values()).count(label) > 1}
    return {k: f"{label} · {k[-4:]}" if label in doubles else label for k, label in names.items()}


def _values(recipes: dict[str, Recipe], name: str) -> set[str]:
    return {repr(getattr(recipe, name)) for recipe in recipes.values()}


def _follows_network(recipes: dict[str, Recipe], name: str) -> bool:
    """Whether runs of one network on one data set agree on a setting: then that says it all."""
    seen: dict[tuple[str, str], str] = {}
    for recipe in recipes.values():
        value = repr(getattr(recipe, name))
        if seen.setdefault((recipe.variant, recipe.dataset), value) != value:
            return False
    return True


def _turned(recipe: Recipe) -> list[tuple[str, Any]]:
    """The knobs that are not as the network has them."""
    defaults = {knob.name: knob.default for knob in registry.get(recipe.variant).knobs}
    return [(name, value) for name, value in recipe.knobs.items() if value != defaults.get(name)]
