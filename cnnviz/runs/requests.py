"""Many runs at once: a grid of networks × changes of the recipe × seeds, asked for together."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from cnnviz.errors import CnnvizError
from cnnviz.registry import list_variants
from cnnviz.runs.folder import About, Run, list_runs
from cnnviz.runs.launch import create_run
from cnnviz.runs.queue import MOST_WAITING, enqueue, enqueue_all
from cnnviz.training.recipe import Recipe, default_recipe, settings
from cnnviz.training.saved.files import safe_name

#: Seeds of one request: with more, write them out.
MOST_SEEDS = 100


def parse_seeds(given: Sequence[int]) -> list[int]:
    """The seeds that are meant: one number N is the N seeds 0 … N − 1, several are themselves."""
    if len(given) == 1:
        if not 1 <= given[0] <= MOST_SEEDS:
            raise CnnvizError(f"seeds: {given[0]} is no number of seeds from 1 to {MOST_SEEDS}.")
        return list(range(given[0]))
    if len(set(given)) < len(given):
        raise CnnvizError("seeds: one of them is named twice; the same seed repeats the same run.")
    return list(given)


def parse_vary(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read ``["lr=0.05,0.1", "width=0.5,1"]`` into the values to try of each setting or knob."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, separator, values = text.partition("=")
        name, listed = name.strip().replace("-", "_"), [v.strip() for v in values.split(",")]
        if not (separator and name and all(listed)):
            raise CnnvizError(f"vary takes NAME=VALUE,VALUE…, as in lr=0.05,0.1, not {text!r}.")
        if name in found or name in ("seed", "variant", "dataset"):
            advice = "name it once" if name in found else "that is chosen by itself"
            raise CnnvizError(f"vary: {name!r} cannot be varied like this: {advice}.")
        if len(set(listed)) < len(listed):
            raise CnnvizError(f"vary: a value of {name} is named twice in {text!r}.")
        found[name] = listed
    return found


def matching_variants(patterns: Sequence[str]) -> list[str]:
    """The variants that are named, or that a pattern such as ``*_cifar`` fits, each once."""
    known = [variant.name for variant in list_variants()]
    found: dict[str, None] = {}
    for pattern in patterns:
        is_pattern = any(mark in pattern for mark in "*?[")
        names = [n for n in known if fnmatchcase(n, pattern)] if is_pattern else [pattern]
        if not names:
            raise CnnvizError(f"No variant fits {pattern!r}: `python -m cnnviz list` shows all.")
        found |= dict.fromkeys(names)
    return list(found)


def grid(
    names: Sequence[str],
    dataset: str = "cifar10",
    seeds: Sequence[int] | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    knobs: Mapping[str, Any] | None = None,
    recipe: str = "default",
    **fields: Any,  # noqa: ANN401 - fields of several types
) -> list[Recipe]:
    """Return every combination: networks, then the varied settings or knobs, then seeds.

    `names` are variants or patterns, `vary` the values to try of each field of the recipe or
    knob of the network, `fields` what all have in common beside the named `recipe` that they
    begin with. Without `seeds`, the recipe's one. Raises `CnnvizError` for the first that cannot
    be, before any run is made.
    """
    varied = dict(vary or {})
    of_recipe = {item.name for item in settings()}
    recipes = []
    for name in matching_variants(names):
        for values in itertools.product(*varied.values()):
            chosen = dict(zip(varied, values, strict=True))
            changes = {key: value for key, value in chosen.items() if key in of_recipe}
            turned = {key: value for key, value in chosen.items() if key not in of_recipe}
            together = {**fields, **changes, "knobs": {**(knobs or {}), **turned} or None}
            made = default_recipe(name, dataset, recipe, **together)
            recipes += [made] if seeds is None else [made.changed(seed=s) for s in seeds]
    if len(recipes) > MOST_WAITING:
        raise CnnvizError(
            f"That is {len(recipes):,} runs, and the queue holds {MOST_WAITING:,}: ask for fewer."
        )
    return recipes


def request_runs(
    recipes: Sequence[Recipe],
    devices: Sequence[str] = ("auto",),
    name: str | None = None,
    note: str = "",
    launcher: str = "local",
    address: str = "",
) -> list[Run]:
    """Make a run of each recipe and queue them in their order, on several devices in turn.

    `name` is the request's, by default one with the time; the same name again adds to it.
    Returns the runs; a failure half-way leaves those that were made out of the queue and says so.
    """
    request = safe_name(name or _new_name())
    about = About(request=request, note=note)
    made: list[Run] = []
    try:
        made.extend(create_run(recipe, about) for recipe in recipes)
        turns = list(zip(made, itertools.cycle(devices)))
        if launcher == "local":
            enqueue_all(turns)
        else:
            for run, device in turns:
                enqueue(run, device, launcher, address)
    except CnnvizError as error:
        queued = sum(run.state == "queued" for run in made)
        raise CnnvizError(
            f"{error} Of the request {request!r}, {len(made)} of {len(recipes)} runs were made and "
            f"{queued} queued."
        ) from error
    return made


def _new_name() -> str:
    return f"request-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def runs_of(request: str) -> list[Run]:
    """The runs of a request, in the order in which they were asked for."""
    return [run for run in reversed(list_runs()) if run.about.request == request]
