"""A few training steps on random images: how fast they are and what they keep in memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from cnnviz import registry
from cnnviz.anatomy.operators.memory import batch_bytes
from cnnviz.training.data import ImageSet
from cnnviz.training.devices.choice import memory_format
from cnnviz.training.devices.mixed import mixed_precision
from cnnviz.training.initial import train_mode
from cnnviz.training.loop import Trainer
from cnnviz.training.optim import batch_loss
from cnnviz.training.recipe import Recipe

#: Steps that are not measured: the first allocates memory and fills caches.
WARM_UP = 1
#: Both data sets hold images of this size: channels, height, width.
IMAGE = (3, 32, 32)
CLASSES = 10

Clock = Callable[[], float]


@dataclass(frozen=True)
class Speed:
    """Measured speed, in images a second, of training and of evaluating.

    `slow` and `fast` are the speeds of the quartiles of the steps. `batch_size` is that of the
    measured steps: smaller than the recipe's where one such step takes longer than the measurement
    may.
    """

    training: float
    slow: float
    fast: float
    evaluating: float
    batch_size: int
    steps: int


def trial_trainer(recipe: Recipe, device: torch.device, batch: int) -> Trainer:
    """A trainer of random images that never ends and hardly moves its weights."""
    batch = max(batch, 2)  # batch norm refuses one image
    idle = recipe.changed(
        batch_size=batch,
        holdout=0,
        epochs=10_000,
        lr=1e-9,
        compile=False,  # compiling takes longer than the measurement may
    )
    count = batch * max(-(-512 // batch), 1)
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *IMAGE), dtype=torch.uint8, generator=draw)
    labels = torch.arange(count) % CLASSES
    grey = (0.5,) * IMAGE[0]
    data = ImageSet(
        recipe.dataset,
        tuple(map(str, range(CLASSES))),
        images,
        labels,
        images[:0],
        labels[:0],
        mean=grey,
        std=grey,
        flips=recipe.flip,
    )
    start = None
    if recipe.weights != "random":  # any weights are as fast as the published ones
        start = registry.get(recipe.variant).build(CLASSES, **recipe.knobs).state_dict()
    return Trainer(idle, data, device, start=start)


def kept_bytes(trainer: Trainer) -> tuple[int, int]:
    """Bytes that autograd keeps of a batch: those of any batch, and those of each image."""
    train_mode(trainer.model)
    sizes = []
    for count in (2, 3):
        with mixed_precision(trainer.device, trainer.precision):
            sizes.append(batch_bytes(trainer.model, _images(trainer, count)))
    each = sizes[1] - sizes[0]
    return sizes[0] - 2 * each, each


def _images(trainer: Trainer, count: int) -> torch.Tensor:
    """Random images (count, C, H, W) as the network takes them."""
    images = torch.randn(count, trainer.data.channels, *trainer.size, device=trainer.device)
    return images.contiguous(memory_format=memory_format(trainer.device))


def batch_for(trainer: Trainer, wanted: int, budget: float, clock: Clock) -> int:
    """The batch of which some three steps fit into the budget: `wanted`, if they do."""
    batch = 2
    _pass(trainer, batch)  # the first one loads kernels
    while batch < wanted:
        began = _now(trainer.device, clock)
        _pass(trainer, batch)
        took = max(_now(trainer.device, clock) - began, 1e-9)
        # By fours, since a small batch is slower for its size than a large one.
        larger = min(4 * batch, wanted, int(batch * 0.25 * budget / took))
        if larger <= batch:
            break
        batch = larger
    return max(min(batch, wanted), 2)


def _pass(trainer: Trainer, count: int) -> None:
    """Forward and backward, which are nearly all of a step."""
    with mixed_precision(trainer.device, trainer.precision):
        outputs = trainer.model(_images(trainer, count))
    labels = torch.arange(count, device=trainer.device) % CLASSES
    batch_loss(outputs, labels, 0.0)[0].backward()


class _Meter:
    """An observer that times the steps and ends the training when it has enough of them."""

    def __init__(self, device: torch.device, budget: float, clock: Clock) -> None:
        self._device, self._budget, self._clock = device, budget, clock
        self._last = self._began = clock()
        self.laps: list[float] = []

    def report(self, record: dict[str, Any]) -> None:
        """Nobody reads the metrics."""

    def save(self, state: dict[str, Any]) -> None:
        """Nobody goes on from here."""

    def stopping(self) -> bool:
        """Called after each step."""
        now = _now(self._device, self._clock)
        self.laps.append(now - self._last)
        self._last = now
        # A step that takes the whole budget was as good a warm-up as a measurement.
        spent = now - self._began
        return spent >= 2 * self._budget or (spent >= self._budget and len(self.laps) > WARM_UP)


def measure(trainer: Trainer, budget: float, clock: Clock = time.perf_counter) -> Speed:
    """Let `trainer` do steps for about `budget` seconds and return their speed.

    `clock` returns seconds. The trainer is of no use afterwards.
    """
    meter = _Meter(trainer.device, budget, clock)
    trainer.fit(meter)
    laps = meter.laps[WARM_UP:] or meter.laps[-1:]
    fast, likely, slow = (
        statistics.quantiles(laps, n=4, method="inclusive") if len(laps) > 1 else laps * 3
    )
    batch = trainer.recipe.batch_size
    images, labels = trainer.images[:batch].cpu(), trainer.labels[:batch].cpu()
    trainer.evaluate(images[:2], labels[:2])
    began = _now(trainer.device, clock)
    trainer.evaluate(images, labels)
    passed = max(_now(trainer.device, clock) - began, 1e-9)
    return Speed(
        training=batch / likely,
        slow=batch / slow,
        fast=batch / fast,
        evaluating=len(images) / passed,
        batch_size=batch,
        steps=len(laps),
    )


def _now(device: torch.device, clock: Clock) -> float:
    """The time when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return clock()
