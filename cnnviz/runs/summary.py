"""Runs that differ by their seed alone, together: mean ± sd of what they reached."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import Run
from cnnviz.training.recipe import RESULT_FREE, Recipe, default_recipe


@dataclass(frozen=True)
class Summary:
    """A recipe, and what the runs with it reached on the test images.

    Accuracies are fractions. `n` counts the seeds that are done (a seed that ran twice counts
    once, with its newest run, since the same seed repeats the same run); `mean`, `low` and
    `high` are None without any, and `sd`, the sample standard deviation (n − 1 in its
    denominator), needs two. `pending` counts the runs that train, wait or ended early, and
    `changes` names what departs from the network's own recipe.
    """

    variant: str
    dataset: str
    changes: dict[str, Any]
    n: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    seeds: tuple[int, ...]
    pending: int
    requests: tuple[str, ...]
    runs: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return asdict(self)


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """Group `runs` by all of their recipe but the seed; most accurate first, unfinished last.

    Runs whose recipe cannot be read are left out.
    """
    groups: dict[str, list[tuple[Run, Recipe]]] = {}
    for run in runs:
        try:
            recipe = run.recipe
        except CnnvizError:
            continue
        fields = recipe.model_dump(exclude={"seed", *RESULT_FREE})
        groups.setdefault(json.dumps(fields, sort_keys=True), []).append((run, recipe))
    found = [_summary(members) for members in groups.values()]
    return sorted(found, key=lambda s: (s.mean is None, -(s.mean or 0.0), s.variant))


def _summary(members: list[tuple[Run, Recipe]]) -> Summary:
    reached: dict[int, float] = {}
    pending = 0
    for run, recipe in sorted(members, key=lambda pair: pair[0].status.created):
        status = run.status
        if status.state == "done" and status.accuracy is not None:
            reached[recipe.seed] = status.accuracy
        else:
            pending += 1
    values = list(reached.values())
    recipe = members[0][1]
    return Summary(
        variant=recipe.variant,
        dataset=recipe.dataset,
        changes=changes_of(recipe),
        n=len(values),
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        low=min(values, default=None),
        high=max(values, default=None),
        seeds=tuple(sorted(reached)),
        pending=pending,
        requests=tuple(sorted({run.about.request for run, _ in members} - {""})),
        runs=tuple(run.id for run, _ in members),
    )


def changes_of(recipe: Recipe) -> dict[str, Any]:
    """What was asked for beside the network, the data set and the seed: knobs, then settings."""
    default = default_recipe(recipe.variant, recipe.dataset).model_dump(exclude={"seed"})
    given = recipe.model_dump(exclude={"seed", "knobs", *RESULT_FREE})
    changed = {name: value for name, value in given.items() if value != default[name]}
    knobs = {name: v for name, v in recipe.knobs.items() if v != default["knobs"].get(name)}
    return knobs | changed
