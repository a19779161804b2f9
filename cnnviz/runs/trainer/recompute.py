"""Evaluate what was saved once more, on all test images: the command `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cnnviz.errors import CnnvizError
from cnnviz.training import data
from cnnviz.training.data import ImageSet
from cnnviz.training.evaluation import evaluate
from cnnviz.training.saved.checkpoints import Checkpoint, read_checkpoint, scan_checkpoints


def recompute(path: str) -> dict[str, Any]:
    """Evaluate a checkpoint again on all test images of its data set."""
    checkpoint = read_checkpoint(path)
    return _recompute(checkpoint, data.load(checkpoint.card.dataset))


def _recompute(checkpoint: Checkpoint, images: ImageSet) -> dict[str, Any]:
    card = checkpoint.card
    images = images.for_channels(card.input_size[0])
    result = evaluate(
        checkpoint.load_model(),
        images.test_images,
        images.test_labels,
        mean=card.mean,
        std=card.std,
        size=card.input_size[1:],
        resized=card.resize,
    )
    return {
        "checkpoint": checkpoint.name,
        "variant": card.variant,
        "dataset": card.dataset,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "images": result.images,
        "per_class": result.per_class(images.classes),
        "classes": list(images.classes),
        "confusion": result.confusion.tolist(),
        "calibration": result.calibration.model_dump() if result.calibration else None,
        "card_accuracy": card.accuracy,
    }


class Recomputed(NamedTuple):
    """A checkpoint's name, its accuracy as recomputed and as its card has it, and what is wrong.

    `problem` is a sentence, "" where both are the same.
    """

    checkpoint: str
    accuracy: float | None
    card_accuracy: float | None
    problem: str


def recompute_all(folder: Path) -> Iterator[Recomputed]:
    """Evaluate every checkpoint of `folder`, one after the other; none hides the others."""
    whole = scan_checkpoints(folder)
    for name, problem in whole.problems.items():
        yield Recomputed(name, None, None, problem)
    load = cache(data.load)
    for checkpoint in whole.checkpoints:
        wanted = checkpoint.card.accuracy
        try:
            reached = _recompute(checkpoint, load(checkpoint.card.dataset))["accuracy"]
        except CnnvizError as error:
            yield Recomputed(checkpoint.name, None, wanted, str(error))
            continue
        problem = ""
        if reached != wanted:
            card = "none" if wanted is None else f"{wanted:.2%}"
            problem = f"{checkpoint.name} reaches {reached:.2%}, and its card says {card}."
        yield Recomputed(checkpoint.name, reached, wanted, problem)
