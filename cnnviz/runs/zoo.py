"""The zoo by ordinary runs: what of it is published, has a run, or is yet to be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import Run, survey_runs
from cnnviz.runs.launch import publish, publish_card
from cnnviz.settings import checkpoints_dir
from cnnviz.training.recipe import parse_recipe
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import scan_cards, scan_checkpoints
from cnnviz.training.zoo import Entry, same_training


@dataclass(frozen=True)
class Place:
    """How far a network of the zoo is.

    `state` is "published"; "trained" where its `run` is done and not published; "begun" where that
    can go on; "training" where it trains or waits to elsewhere; without any run "outdated" where
    what is published under its name was trained otherwise, else "missing".
    """

    entry: Entry
    state: Literal["published", "trained", "begun", "training", "outdated", "missing"]
    run: Run | None = None


def survey_zoo(entries: Sequence[Entry]) -> list[Place]:
    """Look for each entry among the published checkpoints and the runs."""
    folder = checkpoints_dir()
    whole = {
        checkpoint.name: checkpoint.card for checkpoint in scan_checkpoints(folder).checkpoints
    }
    cards = scan_cards(folder).cards
    runs = survey_runs().runs
    return [_place(entry, whole, cards, runs) for entry in entries]


def _place(
    entry: Entry, whole: dict[str, Card], cards: dict[str, Card], runs: Sequence[Run]
) -> Place:
    card = whole.get(entry.name) or (None if entry.weights else cards.get(entry.name))
    if card is not None and _is_of(card, entry):
        return Place(entry, "published")
    recipe = entry.recipe
    own = [run for run in runs if same_training(run.recipe, recipe)]  # newest first
    if done := next((run for run in own if run.state == "done"), None):
        return Place(entry, "trained", done)
    if active := next((run for run in own if run.is_active), None):
        return Place(entry, "training", active)
    if begun := next((run for run in own if run.can_resume), None):
        return Place(entry, "begun", begun)
    return Place(entry, "missing" if card is None else "outdated")


def _is_of(card: Card, entry: Entry) -> bool:
    """Whether a card is that of the training that the zoo has now."""
    try:
        return same_training(parse_recipe(card.recipe), entry.recipe)
    except CnnvizError:
        return False


def publish_entry(entry: Entry, run: Run) -> None:
    """Publish a finished run as the zoo has it: with its weights, or its card alone."""
    if entry.weights:
        publish(run, entry.name)
    else:
        publish_card(run, entry.name)
