"""What a request of many runs would take: device-hours, wall time, storage and money.

Nothing is measured here. The work follows from the recipes and the networks (multiply-accumulates
of every convolution and product, as the tracer counts them); how fast a device works it off, what
a run costs beside its steps and what a device-hour costs are `Assumptions` that the caller names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple

from cnnviz import registry
from cnnviz.anatomy import trace
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue
from cnnviz.runs.trainer.snapshots import snapshot_epochs
from cnnviz.training.data import IMAGES as IMAGES
from cnnviz.training.recipe import Recipe

#: Multiply-accumulates of a training step against a forward pass alone: the backward pass does
#: each product twice, for the gradient of the inputs and of the weights.
STEP = 3
#: Bytes a weight: last.pt keeps weights, momentum and their average in fp32 (12), the published
#: file fp16 (2).
BYTES_A_WEIGHT = 14
#: Bytes an epoch of metrics and log, and of everything else in a run's folder.
BYTES_AN_EPOCH, BYTES_A_RUN = 4_000, 20_000


@dataclass(frozen=True)
class Assumptions:
    """What a plan takes for granted.

    `gpus` devices work at once, each at `rate` multiply-accumulates a second, sustained over
    training; a step takes `step` seconds at least, however little it computes, since a device is
    also told what to do; `overhead` are the seconds of a run beside its steps; `price` is that of
    a device-hour in any currency, None if it does not matter. Raises `CnnvizError` for what cannot
    be.
    """

    gpus: int = 64
    rate: float = 25e12
    step: float = 0.005
    overhead: float = 30.0
    price: float | None = None

    def __post_init__(self) -> None:
        if self.gpus < 1:
            raise CnnvizError(f"gpus: {self.gpus} is too few; a plan needs at least 1.")
        if not 0 < self.rate < float("inf"):
            raise CnnvizError(f"rate: {self.rate:g} is no rate; write MACs a second, as 25e12.")
        if not 0 <= self.step < float("inf"):
            raise CnnvizError(f"step: {self.step:g} is no time; write seconds, as 0.005.")
        if not 0 <= self.overhead < float("inf"):
            raise CnnvizError(f"overhead: {self.overhead:g} is no time; write seconds, as 30.")
        if self.price is not None and not 0 <= self.price < float("inf"):
            raise CnnvizError(f"price: {self.price:g} is no price; write that of a device-hour.")


@dataclass(frozen=True)
class NetworkPlan:
    """The runs of one network: `macs` and `bytes` of all of them, `params` of one."""

    variant: str
    runs: int
    params: int
    macs: int
    gpu_hours: float
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What all runs take under `assumed`; `hours` is the wall time of the whole."""

    assumed: Assumptions
    networks: tuple[NetworkPlan, ...]
    runs: int
    macs: int
    images: int
    gpu_hours: float
    hours: float
    bytes: int
    cost: float | None

    def totals(self) -> dict[str, Any]:
        """The sums and the assumptions behind them."""
        sums = {k: v for k, v in asdict(self).items() if k not in ("assumed", "networks")}
        sums["images_per_second"] = self.images / (3600 * self.hours) if self.hours else None
        return sums | {f"assumed_{name}": value for name, value in asdict(self.assumed).items()}

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {**self.totals(), "networks": [row.to_dict() for row in self.networks]}


class _Need(NamedTuple):
    images: int
    macs: int
    params: int
    seconds: float
    bytes: int


def plan_sweep(recipes: Sequence[Recipe], assumed: Assumptions) -> Plan:
    """Return what training all of `recipes` takes, one run at a time on each of the devices.

    The wall time is that of a list schedule, the longest run first (Graham 1969, "Bounds on
    multiprocessing timing anomalies"): exact sums of the runs on the busiest device.
    """
    needs = [_need(recipe, assumed) for recipe in recipes]
    ends = [0.0] * min(assumed.gpus, max(len(needs), 1))
    for seconds in sorted((need.seconds for need in needs), reverse=True):
        ends[ends.index(min(ends))] += seconds
    device_hours = sum(need.seconds for need in needs) / 3600
    return Plan(
        assumed,
        _by_network(recipes, needs),
        len(needs),
        sum(need.macs for need in needs),
        sum(need.images for need in needs),
        device_hours,
        max(ends) / 3600,
        sum(need.bytes for need in needs),
        None if assumed.price is None else device_hours * assumed.price,
    )


def _by_network(recipes: Sequence[Recipe], needs: Sequence[_Need]) -> tuple[NetworkPlan, ...]:
    counts = Counter(recipe.variant for recipe in recipes)
    found = []
    for variant, runs in counts.items():
        own = [n for recipe, n in zip(recipes, needs, strict=True) if recipe.variant == variant]
        seconds = sum(need.seconds for need in own)
        macs, size = sum(need.macs for need in own), sum(need.bytes for need in own)
        found.append(NetworkPlan(variant, runs, own[0].params, macs, seconds / 3600, size))
    return tuple(sorted(found, key=lambda row: row.gpu_hours, reverse=True))


def _need(recipe: Recipe, assumed: Assumptions) -> _Need:
    knobs = tuple(sorted(recipe.knobs.items()))
    params, macs = _costs(recipe.variant, knobs, recipe.input_size)
    train, test = IMAGES[recipe.dataset]
    held = min(recipe.holdout, train)
    trained = (train - held) * recipe.epochs
    looked_at = held * recipe.epochs + test
    # Where only the last layer learns, next to nothing is carried back.
    step = 1 if recipe.freeze else STEP
    work = macs * (step * trained + looked_at)
    size = params * BYTES_A_WEIGHT + recipe.epochs * BYTES_AN_EPOCH + BYTES_A_RUN
    if recipe.snapshots:
        size += 2 * params * len(snapshot_epochs(recipe.epochs))
    steps = recipe.epochs * -(-(train - held) // recipe.batch_size)
    seconds = max(work / assumed.rate, steps * assumed.step) + assumed.overhead
    return _Need(trained, work, params, seconds, size)


def images_of_work(recipe: Recipe) -> float:
    """Return how many images' training steps are as much work as the whole run.

    One that is only evaluated takes a forward pass.
    """
    train, test = IMAGES[recipe.dataset]
    held = min(recipe.holdout, train)
    step = 1 if recipe.freeze else STEP
    return (train - held) * recipe.epochs + (held * recipe.epochs + test) / step


@cache
def _costs(
    variant: str, knobs: tuple[tuple[str, KnobValue], ...], size: tuple[int, int]
) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of an image, of a network with ten classes."""
    chosen = registry.get(variant)
    model = chosen.build(10, **dict(knobs))
    found = trace(model, (chosen.input_size[0], *size))
    return found.params, found.macs
