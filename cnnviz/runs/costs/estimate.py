"""What a run will cost, before it starts: arithmetic, memory, and time from a few measured steps.

The memory is counted, not measured: weights, their gradients, the optimiser's state and the average
of the weights follow from the recipe; what autograd keeps grows by the same number of bytes with
each image, and is found from a batch of two and one of three. Workspaces of the kernels and the
passing values of the backward pass come on top.

The time is that of real training steps on random images, as the run itself would do them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
import torch

from cnnviz.anatomy import trace
from cnnviz.runs.costs.plan import IMAGES, STEP
from cnnviz.runs.costs.trial import (
    IMAGE,
    Clock,
    Speed,
    batch_for,
    kept_bytes,
    measure,
    trial_trainer,
)
from cnnviz.settings import cpu_threads
from cnnviz.training.devices.choice import borrowed, device_name, is_out_of_memory, pick_device
from cnnviz.training.loop import Trainer
from cnnviz.training.recipe import Recipe

#: Seconds of measured steps, for a network of which some fit into them.
BUDGET = 2.0
# Two measurements at once would each measure the other.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Device:
    """Something to train on: its name for `--device`, what it is, and its memory in bytes."""

    name: str
    title: str
    total_bytes: int
    free_bytes: int


def devices() -> list[Device]:
    """Return the devices of this machine with their memory: CUDA by index, Apple's MPS, the CPU.

    Asking a CUDA device takes some hundred MB of it for as long as this process lives.
    """
    found = [_cuda_device(i) for i in range(torch.cuda.device_count())]
    memory = psutil.virtual_memory()
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        free = min(total - torch.mps.driver_allocated_memory(), memory.available)
        found.append(Device("mps", "Apple MPS", total, max(free, 0)))
    title = device_name(torch.device("cpu"))
    found.append(Device("cpu", title, memory.total, memory.available))
    return found


def _cuda_device(index: int) -> Device:
    try:
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError:  # others have taken all of it, or the device for themselves
        free, total = 0, torch.cuda.get_device_properties(index).total_memory
    return Device(f"cuda:{index}", torch.cuda.get_device_name(index), total, free)


@dataclass(frozen=True)
class Memory:
    """Bytes that training takes on its device, by what they are for.

    `images` is the data set; on the CPU also the set from which the training part was taken.
    """

    weights: int
    gradients: int
    optimizer: int
    averaged: int
    activations: int
    images: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Estimate:
    """What a run will cost.

    `macs` is for a forward pass of one image, `work` for all training steps; `images` are trained
    on and `held` looked at in each epoch. `speed` is None where nothing was measured, because the
    run does not fit into the device's memory.
    """

    recipe: Recipe
    device: Device
    params: int
    macs: int
    images: int
    held: int
    test: int
    memory: Memory
    speed: Speed | None
    image_bytes: int = field(repr=False)

    @property
    def work(self) -> int:
        """Multiply-accumulates of all steps; the backward pass does each product twice."""
        step = 1 if self.recipe.freeze else STEP
        return self.macs * step * self.images * self.recipe.epochs

    @property
    def seconds(self) -> tuple[float, float, float] | None:
        """Projected time as (likely, shortest, longest): training and evaluation together."""
        if self.speed is None:
            return None
        looked_at = self.held * self.recipe.epochs + self.test
        trained, beside = self.images * self.recipe.epochs, looked_at / self.speed.evaluating
        rates = (self.speed.training, self.speed.fast, self.speed.slow)
        likely, shortest, longest = (trained / rate + beside for rate in rates)
        return likely, shortest, longest

    @property
    def fits(self) -> bool:
        """Whether the device has the memory free now."""
        return self.memory.total <= self.device.free_bytes

    @property
    def largest_batch(self) -> int:
        """The largest batch that fits into the memory that is free now; 0 if none does."""
        beside = self.memory.total - self.image_bytes * self.recipe.batch_size
        return max((self.device.free_bytes - beside) // max(self.image_bytes, 1), 0)

    @property
    def notice(self) -> str:
        """A sentence if it does not fit, or empty."""
        if self.fits:
            return ""
        needed, free = (size / 1e9 for size in (self.memory.total, self.device.free_bytes))
        batch = self.largest_batch
        advice = f"a batch size of {batch} or less" if batch > 1 else "another device"
        return (
            f"It needs about {needed:.3g} GB and {self.device.title} has {free:.3g} GB free: "
            f"choose {advice}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        times = self.seconds or (None, None, None)
        return {
            "variant": self.recipe.variant,
            "dataset": self.recipe.dataset,
            "epochs": self.recipe.epochs,
            "batch_size": self.recipe.batch_size,
            "device": asdict(self.device),
            "params": self.params,
            "macs": self.macs,
            "images": self.images,
            "work": self.work,
            "memory": {**asdict(self.memory), "total": self.memory.total},
            "fits": self.fits,
            "speed": asdict(self.speed) if self.speed else None,
            **dict(zip(("seconds", "seconds_low", "seconds_high"), times, strict=True)),
            "notice": self.notice,
        }


def estimate(
    recipe: Recipe,
    device: str = "auto",
    budget: float = BUDGET,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """Return what `recipe` will cost on `device`, after measuring for about `budget` seconds.

    The data set need not be there. One estimate at a time measures; others wait. The number of
    threads and the random numbers of the caller are as before afterwards. Raises `CnnvizError` for
    a device that is not there and a network that cannot take such inputs.
    """
    chosen = pick_device(device)
    threads = torch.get_num_threads()
    seeds = [chosen] if chosen.type == "cuda" else []
    with _LOCK, torch.random.fork_rng(seeds), borrowed(chosen):
        try:
            if chosen.type == "cpu":
                torch.set_num_threads(cpu_threads())
            place = next(found for found in devices() if found.name == str(chosen))
            return _estimate(recipe, chosen, place, budget, clock)
        finally:
            torch.set_num_threads(threads)


def _estimate(
    recipe: Recipe, chosen: torch.device, place: Device, budget: float, clock: Clock
) -> Estimate:
    train, test = IMAGES[recipe.dataset]
    held = min(recipe.holdout, train)
    trainer = trial_trainer(recipe, chosen, min(recipe.batch_size, 8))
    channels = trainer.data.channels
    costs = trace(trainer.model, (channels, *trainer.size))
    constant, each = kept_bytes(trainer)
    memory = _memory(recipe, trainer, constant + each * recipe.batch_size, channels)
    params, macs = costs.params, costs.macs
    found = Estimate(
        recipe, place, params, macs, train - held, held, test, memory, None, image_bytes=each
    )
    if not found.fits:
        return found
    try:
        batch = batch_for(trainer, recipe.batch_size, budget, clock)
        speed = measure(trial_trainer(recipe, chosen, batch), budget, clock)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return found
    return Estimate(
        recipe, place, params, macs, train - held, held, test, memory, speed, image_bytes=each
    )


def _memory(recipe: Recipe, trainer: Trainer, activations: int, channels: int) -> Memory:
    weights = _bytes([*trainer.model.parameters(), *trainer.model.buffers()])
    trained = _bytes([p for p in trainer.model.parameters() if p.requires_grad])
    states = {"adamw": 2, "sgd": int(recipe.momentum > 0)}[recipe.optimizer]
    train, test = IMAGES[recipe.dataset]
    held = min(recipe.holdout, train)
    one = channels * IMAGE[1] * IMAGE[2] + 8  # pixels and an int64 label
    on_device = (train - held) * one
    if trainer.device.type == "cpu":
        on_device += (train + test + held) * one
    return Memory(
        weights=weights,
        gradients=trained,
        optimizer=states * trained,
        averaged=weights if recipe.ema else 0,
        activations=activations,
        images=on_device,
    )


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
