"""Every trained network side by side: what it reached and what it costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from cnnviz.anatomy import measure_latency
from cnnviz.catalogue import inspect_variant
from cnnviz.errors import CnnvizError
from cnnviz.prediction import survey_models
from cnnviz.registry import get
from cnnviz.training.checkpoints import Checkpoint


@dataclass(frozen=True)
class Row:
    """One trained network: measured accuracy, counted costs, latency measured on this machine.

    `latency_ms` is the median time of one image in a batch of one; sizes are in bytes;
    `training_seconds` was measured on `training_device` when it was trained.
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


def compare_one(model_name: str, checkpoint: Checkpoint) -> Row:
    """The row of one checkpoint."""
    card = checkpoint.card
    costs = inspect_variant(card.variant, card.input_size, len(card.classes), card.knobs)
    return Row(
        model=model_name,
        variant=card.variant,
        title=get(card.variant).title,
        family=get(card.variant).architecture,
        dataset=card.dataset,
        accuracy=card.accuracy,
        test_images=card.test_images,
        params=costs.params,
        macs=costs.macs,
        weight_bytes=checkpoint.path.stat().st_size,
        activation_bytes=costs.activation_bytes,
        latency_ms=measure_latency(checkpoint.load_model(), card.input_size),
        epochs=card.epochs,
        training_seconds=card.seconds,
        training_device=card.device,
        seed=card.seed,
        per_class=card.per_class,
    )


class Comparison(NamedTuple):
    """The rows, and for each model that cannot be used a sentence that says why."""

    rows: list[Row]
    problems: dict[str, str]


def compare() -> Comparison:
    """One row for every trained network, by data set and then the most accurate first."""
    models, problems = survey_models()
    rows = []
    for name, checkpoint in models.items():
        try:
            rows.append(compare_one(name, checkpoint))
        except CnnvizError as error:
            problems[name] = str(error)
    rows.sort(key=lambda row: (row.dataset, -(row.accuracy or 0.0), row.model))
    return Comparison(rows, problems)
