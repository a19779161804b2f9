"""Every trained network side by side: what it reached and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from cnnviz.anatomy import measure_latency
from cnnviz.errors import CnnvizError
from cnnviz.networks.catalogue import inspect_variant
from cnnviz.prediction import survey_models
from cnnviz.registry import KnobValue, get
from cnnviz.training.recipe import RESULT_FREE, Recipe
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import Checkpoint


@dataclass(frozen=True)
class Row:
    """One trained network: measured accuracy, counted costs, latency measured on this machine.

    `latency_ms` is the median time of one image in a batch of one, which the weights do not change:
    models of one network share it. Sizes are in bytes; `training_seconds` was measured on
    `training_device` when it was trained.
    """

    model: str
    variant: str
    title: str
    family: str
    dataset: str
    accuracy: float | None
    test_images: int
    params: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    latency_ms: float
    epochs: int
    training_seconds: float
    training_device: str
    seed: int
    per_class: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


class Costs(NamedTuple):
    """What a network costs whatever its weights are: the same for all models of it."""

    params: int
    macs: int
    activation_bytes: int
    latency_ms: float


#: A variant, its knobs, its input and its number of classes.
Network = tuple[str, tuple[tuple[str, KnobValue], ...], tuple[int, int, int], int]


def compare_one(model_name: str, checkpoint: Checkpoint, known: dict[Network, Costs]) -> Row:
    """The row of one checkpoint. Raises `CnnvizError` where its weights cannot be loaded.

    `known` holds the costs of networks seen before; those of another one are added.
    """
    card = checkpoint.card
    model = checkpoint.load_model()
    network = card.variant, tuple(sorted(card.knobs.items())), card.input_size, len(card.classes)
    if network not in known:
        traced = inspect_variant(card.variant, card.input_size, len(card.classes), card.knobs)
        latency_ms = measure_latency(model, card.input_size)
        known[network] = Costs(traced.params, traced.macs, traced.activation_bytes, latency_ms)
    return Row(
        model=model_name,
        variant=card.variant,
        title=card.title,
        family=get(card.variant).architecture,
        dataset=card.dataset,
        accuracy=card.accuracy,
        test_images=card.test_images,
        weight_bytes=checkpoint.path.stat().st_size,
        **known[network]._asdict(),
        epochs=card.epochs,
        training_seconds=card.seconds,
        training_device=card.device,
        seed=card.seed,
        per_class=card.per_class,
    )


def group_seeds(models: Mapping[str, Checkpoint]) -> list[list[str]]:
    """Group the names of models whose training differs by its seed alone, in the order given.

    A seed that ran twice counts once, by its newest model, as the same seed repeats the same run.
    A model whose card does not say how it was trained stands by itself.
    """
    groups: dict[str, dict[int, str]] = {}
    for name, checkpoint in models.items():
        card = checkpoint.card
        seeds = groups.setdefault(_training_of(card) or name, {})
        known = seeds.get(card.seed)
        if known is None or _age(models[known].card) <= _age(card):
            seeds[card.seed] = name
    return [list(seeds.values()) for seeds in groups.values()]


def _training_of(card: Card) -> str:
    """What decided a training but the seed, as text; "" where it is not known."""
    if not card.recipe:
        return ""
    fields: dict[str, Any] = card.recipe
    with suppress(ValidationError):  # of another version: what it lacks had its default
        fields = Recipe.model_validate(card.recipe).model_dump()
    kept = {key: value for key, value in fields.items() if key not in {"seed", *RESULT_FREE}}
    what = [card.variant, card.knobs, card.dataset, card.input_size, kept]
    return json.dumps(what, sort_keys=True, default=str)


def _age(card: Card) -> datetime:
    return datetime.fromisoformat(card.created)


class Comparison(NamedTuple):
    """The rows, and for each model that cannot be used a sentence that says why."""

    rows: list[Row]
    problems: dict[str, str]


def compare() -> Comparison:
    """One row for every trained network, by data set and then the most accurate first."""
    models, problems = survey_models()
    rows = []
    known: dict[Network, Costs] = {}
    for name, checkpoint in models.items():
        try:
            rows.append(compare_one(name, checkpoint, known))
        except CnnvizError as error:
            problems[name] = str(error)
    rows.sort(key=lambda row: (row.dataset, -(row.accuracy or 0.0), row.model))
    return Comparison(rows, problems)
