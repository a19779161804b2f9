"""Every trained network side by side: what it reached and what it costs.

A network whose weights are elsewhere counts by its card: what it reached was measured, and what it
costs follows from its variant, whatever its weights are.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import nn

from cnnviz import registry
from cnnviz.anatomy import measure_latency
from cnnviz.errors import CnnvizError
from cnnviz.networks.catalogue import inspect_variant
from cnnviz.prediction import Survey, survey_models
from cnnviz.registry import KnobValue
from cnnviz.training.recipe import RESULT_FREE, Recipe
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import Checkpoint, stored_bytes


@dataclass(frozen=True)
class Row:
    """One trained network: measured accuracy, counted costs, latency measured on this machine.

    `latency_ms` is the median time of one image in a batch of one, which the weights do not change:
    models of one network share it. Sizes are in bytes; `training_seconds` was measured on
    `training_device` when it was trained. `card_only`: its weights are not here.
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
    card_only: bool = False

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
    model = checkpoint.load_model()
    costs = _costs(checkpoint.card, model, known)
    return _row(model_name, checkpoint.card, costs, checkpoint.path.stat().st_size)


def compare_card(name: str, card: Card, known: dict[Network, Costs]) -> Row:
    """The row of a network whose weights are not here; random ones are as fast and as large.

    Raises `CnnvizError` for a network that cannot be built.
    """
    with torch.random.fork_rng(devices=[]):
        model = registry.get(card.variant).build(len(card.classes), **card.knobs).eval()
    return _row(name, card, _costs(card, model, known), stored_bytes(model, card), card_only=True)


def _costs(card: Card, model: nn.Module, known: dict[Network, Costs]) -> Costs:
    network = card.variant, tuple(sorted(card.knobs.items())), card.input_size, len(card.classes)
    if network not in known:
        traced = inspect_variant(card.variant, card.input_size, len(card.classes), card.knobs)
        latency_ms = measure_latency(model, card.input_size)
        known[network] = Costs(traced.params, traced.macs, traced.activation_bytes, latency_ms)
    return known[network]


def _row(name: str, card: Card, costs: Costs, weight_bytes: int, card_only: bool = False) -> Row:
    return Row(
        model=name,
        variant=card.variant,
        title=card.title,
        family=registry.get(card.variant).architecture,
        dataset=card.dataset,
        accuracy=card.accuracy,
        test_images=card.test_images,
        weight_bytes=weight_bytes,
        **costs._asdict(),
        epochs=card.epochs,
        training_seconds=card.seconds,
        training_device=card.device,
        seed=card.seed,
        per_class=card.per_class,
        card_only=card_only,
    )


def group_seeds(cards: Mapping[str, Card]) -> list[list[str]]:
    """Group the names of models whose training differs by its seed alone, in the order given.

    A seed that ran twice counts once, by its newest model, as the same seed repeats the same run.
    A model whose card does not say how it was trained stands by itself.
    """
    groups: dict[str, dict[int, str]] = {}
    for name, card in cards.items():
        seeds = groups.setdefault(_training_of(card) or name, {})
        known = seeds.get(card.seed)
        if known is None or _age(cards[known]) <= _age(card):
            seeds[card.seed] = name
    return [list(seeds.values()) for seeds in groups.values()]


class Group(NamedTuple):
    """What the seeds of one recipe reached: `sd` is the sample's (n − 1), None for a single one.

    `first` is the model that stands for them: one whose weights are here, where there is any.
    """

    first: str
    names: tuple[str, ...]
    mean: float
    sd: float | None


def group_accuracies(cards: Mapping[str, Card], here: Collection[str]) -> list[Group]:
    """The recipes with their accuracies over seeds; models without a measured one are left out.

    `here` names the models whose weights are here.
    """
    measured = {name: card for name, card in cards.items() if card.accuracy is not None}
    found = []
    for names in group_seeds(measured):
        values = [card.accuracy or 0.0 for card in map(measured.__getitem__, names)]
        first = next((name for name in names if name in here), names[0])
        sd = statistics.stdev(values) if len(values) > 1 else None
        found.append(Group(first, tuple(names), statistics.fmean(values), sd))
    return found


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
    survey = survey_models()
    rows, known = [], dict[Network, Costs]()
    for name in [*survey.models, *survey.cards]:
        try:
            rows.append(_row_of(name, survey, known))
        except CnnvizError as error:
            survey.problems[name] = str(error)
    rows.sort(key=lambda row: (row.dataset, -(row.accuracy or 0.0), row.model))
    return Comparison(rows, survey.problems)


class RecipeComparison(NamedTuple):
    """A dict for each recipe, and for each model that cannot be used a sentence that says why."""

    rows: list[dict[str, Any]]
    problems: dict[str, str]


def compare_recipes() -> RecipeComparison:
    """One row for every recipe: means over its seeds, and the standard deviation of the accuracy.

    Beside the fields of a `Row` it has `seeds` (their number), `sd` and `models` (their names);
    what no seed changes is that of the first model, one whose weights are here if there is any.
    """
    survey = survey_models()
    cards = {name: model.card for name, model in survey.models.items()} | survey.cards
    rows, known = [], dict[Network, Costs]()
    for group in group_accuracies(cards, survey.models):
        try:
            row = _row_of(group.first, survey, known).to_dict()
        except CnnvizError as error:
            survey.problems[group.first] = str(error)
            continue
        seconds = statistics.fmean(cards[name].seconds for name in group.names)
        row |= {"accuracy": group.mean, "sd": group.sd, "training_seconds": seconds}
        rows.append(row | {"seeds": len(group.names), "models": list(group.names)})
    rows.sort(key=lambda row: (row["dataset"], -row["accuracy"], row["model"]))
    return RecipeComparison(rows, survey.problems)


def _row_of(name: str, survey: Survey, known: dict[Network, Costs]) -> Row:
    if name in survey.models:
        return compare_one(name, survey.models[name], known)
    return compare_card(name, survey.cards[name], known)
