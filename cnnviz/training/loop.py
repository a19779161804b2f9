"""The training loop: one for every architecture, data set and device.

Everything random is a function of (seed, purpose, step), never of a generator's history. A run
can therefore be cut at any step and go on from its last checkpoint with the very numbers it
would have drawn; on a CPU the resumed run ends with bit-identical weights.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.training.augment import cutout, normalise, random_crop, random_flip, resize
from cnnviz.training.data import ImageSet, held_out
from cnnviz.training.recipe import Recipe, choose_precision

#: Seconds between two progress reports; each costs one wait for the device.
REPORT_EVERY = 0.5
#: Seconds between two checkpoints within an epoch; one more is written at each epoch's end.
SAVE_EVERY = 60.0
#: Weight of each auxiliary classifier's loss (Szegedy et al. 2014, section 5).
AUXILIARY_WEIGHT = 0.3


class Observer(Protocol):
    """What the loop tells, and asks, while it runs."""

    def report(self, record: dict[str, Any]) -> None:
        """Take a progress record ("kind": "step" or "epoch")."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep `Trainer.state_dict()` where a resumed run finds it."""

    def stopping(self) -> bool:
        """Whether somebody asked the run to stop after this batch."""


class Diverged(CnnvizError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Evaluation:
    """How a network does on labelled images. `confusion` is (true class, predicted class)."""

    loss: float
    confusion: Tensor

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The fraction of images whose most probable class is right."""
        return float(self.confusion.diagonal().sum()) / max(self.images, 1)

    def per_class(self, classes: tuple[str, ...]) -> dict[str, float]:
        """The accuracy on the images of each class."""
        right, count = self.confusion.diagonal(), self.confusion.sum(1).clamp(min=1)
        return {name: float(right[i]) / int(count[i]) for i, name in enumerate(classes)}


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device named `wanted`; "auto" takes CUDA, else Apple's MPS, else the CPU."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise CnnvizError(f"There is no device {wanted!r}: use auto, cpu, cuda:0 or mps.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CnnvizError(
            f"{wanted} is not on this machine ({torch.cuda.device_count()} CUDA devices): "
            "use --device auto or cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise CnnvizError("This machine has no MPS device: use --device auto or cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise CnnvizError(f"cnnviz does not train on {wanted!r}: use auto, cpu, cuda:0 or mps.")
    return device


def device_name(device: torch.device) -> str:
    """Return what the device is, in words, as the card states it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "cpu":
        model = torch.cpu.get_capabilities().get("cpu_name", "CPU")
        threads = torch.get_num_threads()
        return f"{model}, {threads} thread{'s' if threads > 1 else ''}"
    return "Apple MPS"


def learning_rate(recipe: Recipe, step: int, steps: int, per_epoch: int) -> float:
    """The rate at `step` of `steps`: linear warm-up, then a half cosine down to zero."""
    warmup = min(round(recipe.warmup_epochs * per_epoch), steps // 2)
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def generator(seed: int, purpose: int, index: int) -> torch.Generator:
    """A CPU generator for one purpose at one step or epoch, independent of all the others."""
    state = np.random.SeedSequence([seed, purpose, index]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


_ORDER, _AUGMENT, _NETWORK = range(3)


class Trainer:
    """A training run in memory: network, optimiser and position, without files or processes."""

    def __init__(self, recipe: Recipe, data: ImageSet, device: torch.device) -> None:
        variant = registry.get(recipe.variant)
        self.recipe, self.device = recipe, device
        self.data = data.for_channels(variant.input_size[0])
        self.size = variant.input_for(**recipe.knobs)[1:]
        torch.manual_seed(recipe.seed)
        model = variant.build(len(data.classes), **recipe.knobs)
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.precision = choose_precision(recipe.precision, model, device)
        self.optimizer = _optimizer(recipe, self.model)
        self.averaged = self._averaged_model() if recipe.ema else None
        train, held = held_out(self.data.train_labels, recipe.holdout)
        self.images = self.data.train_images[train].to(device)
        self.labels = self.data.train_labels[train].to(device)
        self.held = (self.data.train_images[held], self.data.train_labels[held])
        self.per_epoch = self._batches_per_epoch()
        self.steps = self.per_epoch * recipe.epochs
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []
        self._sums = torch.zeros(3)  # loss, right answers, images this epoch
        self._order = torch.empty(0)
        self._loss = torch.zeros(())

    def _batches_per_epoch(self) -> int:
        """Whole batches and the rest, unless the rest is one image: batch norm refuses that."""
        whole, rest = divmod(len(self.images), self.recipe.batch_size)
        return max(whole + (rest > 1), 1)

    def _averaged_model(self) -> AveragedModel:
        def average(averaged: Any, current: Any, _: Any) -> None:  # noqa: ANN401 - torch's types
            # Young averages forget faster, or the random start would weigh on short runs.
            decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
            if averaged[0].is_floating_point():
                torch._foreach_lerp_(averaged, current, 1 - decay)
            else:
                torch._foreach_copy_(averaged, current)

        return AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)

    @property
    def final_model(self) -> nn.Module:
        """The network whose accuracy counts: the averaged one if the recipe has an EMA."""
        return self.model if self.averaged is None else self.averaged.module

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs, of types that `torch.load(weights_only=True)` takes."""
        return {
            "recipe": self.recipe.model_dump(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "sums": self._sums.cpu(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises `CnnvizError` if it belongs to another recipe."""
        _refuse_other_recipe(state["recipe"], self.recipe.model_dump())
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.history, self._sums = list(state["history"]), state["sums"].clone()

    def fit(self, observer: Observer) -> bool:
        """Train to the end, or until `observer` says stop; return whether the end was reached."""
        watch = _Watch(self.step)
        while self.step < self.steps:
            self._train_step()
            self.seconds += watch.lap()
            end_of_epoch = self.step % self.per_epoch == 0
            if end_of_epoch or watch.report_due or watch.save_due:
                self._check_finite()  # before anything is kept
            if end_of_epoch:
                observer.report(self._end_epoch())
                self.seconds += watch.lap()
                observer.save(self.state_dict())
                watch.saved()
            elif watch.save_due:
                observer.save(self.state_dict())
                watch.saved()
            if watch.report_due or self.step == self.steps:
                observer.report(self._progress(watch.rate(self.step) * self.recipe.batch_size))
            if self.step < self.steps and observer.stopping():
                observer.save(self.state_dict())
                return False
        return True

    def _train_step(self) -> None:
        images, labels = self._batch()
        rate = learning_rate(self.recipe, self.step, self.steps, self.per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Dropout draws from the device's own generator, so that is keyed by the step as well.
        torch.manual_seed(generator(self.recipe.seed, _NETWORK, self.step).initial_seed())
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            outputs = self.model(images)
        loss, logits = _loss(outputs, labels, self.recipe.label_smoothing)
        self._loss = loss.detach()
        if self.device.type == "cpu":  # free here; a wait for the device elsewhere
            self._check_finite()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.grad_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self.optimizer.step()
        right = (logits.detach().argmax(1) == labels).sum()
        self._sums = self._sums.to(self.device) + torch.stack(
            [self._loss * len(labels), right, torch.full_like(right, len(labels))]
        )
        self.step += 1
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """The augmented images (N, C, H, W) and labels (N,) of the current step."""
        epoch, position = divmod(self.step, self.per_epoch)
        if position == 0 or not len(self._order):
            order = torch.randperm(
                len(self.images), generator=generator(self.recipe.seed, _ORDER, epoch)
            )
            self._order = order.to(self.device)
        start = position * self.recipe.batch_size
        chosen = self._order[start : start + self.recipe.batch_size]
        draw = generator(self.recipe.seed, _AUGMENT, self.step)
        images = random_crop(self.images[chosen], self.recipe.crop_padding, draw)
        if self.recipe.flip:
            images = random_flip(images, draw)
        images = cutout(self._prepare(images), self.recipe.cutout, draw)
        return images, self.labels[chosen]

    def _prepare(self, images: Tensor) -> Tensor:
        """uint8 images as the network takes them: normalised, its size, channels last."""
        images = resize(normalise(images, self.data.mean, self.data.std), self.size)
        return images.contiguous(memory_format=torch.channels_last)

    def _check_finite(self) -> None:
        if not torch.isfinite(self._loss):
            raise Diverged(
                f"The loss became {self._loss.item()} at step {self.step:,} (epoch "
                f"{self.step // self.per_epoch + 1}): lower the learning rate (it is "
                f"{self.recipe.lr:g}) or set a gradient clip; the last checkpoint is kept."
            )

    def _progress(self, images_per_second: float) -> dict[str, Any]:
        return {
            "kind": "step",
            "step": self.step,
            "epoch": round(self.step / self.per_epoch, 4),
            "loss": round(float(self._loss), 5),
            "lr": learning_rate(self.recipe, self.step - 1, self.steps, self.per_epoch),
            "images_per_second": round(images_per_second, 1),
            "seconds": round(self.seconds, 3),
        }

    def _end_epoch(self) -> dict[str, Any]:
        loss, right, count = self._sums.tolist()
        self._sums.zero_()
        record: dict[str, Any] = {
            "step": self.step,
            "epoch": self.step // self.per_epoch,
            "train_loss": round(loss / count, 5),
            "train_accuracy": round(right / count, 5),
            "lr": learning_rate(self.recipe, self.step - 1, self.steps, self.per_epoch),
        }
        if len(self.held[0]):
            held = self.evaluate(*self.held)
            record |= {"val_loss": round(held.loss, 5), "val_accuracy": round(held.accuracy, 5)}
        record["seconds"] = round(self.seconds, 3)
        self.history.append(record)
        return {"kind": "epoch", **record}

    def evaluate(self, images: Tensor, labels: Tensor) -> Evaluation:
        """Evaluate the final model on uint8 images (N, C, H, W) of the run's data set."""
        return evaluate(
            self.final_model,
            images,
            labels,
            mean=self.data.mean,
            std=self.data.std,
            size=self.size,
        )


class _Watch:
    """Time since the last lap, and what is due."""

    def __init__(self, step: int) -> None:
        self._lap = self._report = self._save = time.perf_counter()
        self._step = step
        self.report_due = self.save_due = False

    def lap(self) -> float:
        now = time.perf_counter()
        passed, self._lap = now - self._lap, now
        self.report_due = now - self._report >= REPORT_EVERY
        self.save_due = now - self._save >= SAVE_EVERY
        return passed

    def saved(self) -> None:
        self._save = time.perf_counter()

    def rate(self, step: int) -> float:
        """Steps a second since the last call; starts the next interval."""
        passed = max(self._lap - self._report, 1e-9)
        steps, self._step, self._report = step - self._step, step, self._lap
        return steps / passed


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    # Norms, biases and per-channel scales (one axis) are not decayed.
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov)


def _loss(outputs: Any, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """Cross-entropy in fp32 and the logits; auxiliary classifiers (GoogLeNet) add theirs."""
    logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    for head in auxiliary:
        if head is not None:
            loss = loss + AUXILIARY_WEIGHT * F.cross_entropy(
                head.float(), labels, label_smoothing=smoothing
            )
    return loss, logits


def _refuse_other_recipe(saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = [
        f"{name} {saved.get(name)!r} → {wanted.get(name)!r}"
        for name in sorted({*saved, *wanted})
        if saved.get(name) != wanted.get(name)
    ]
    if different:
        raise CnnvizError(
            "The run was begun with another recipe and cannot go on with this one "
            f"({'; '.join(different)}): start a new run."
        )


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    size: tuple[int, int],
    batch_size: int = 500,
) -> Evaluation:
    """Evaluate `model` in fp32, without augmentation, on uint8 images (N, C, H, W).

    fp32 whatever it was trained in, so that the figure can be recomputed on any machine. The
    model's training mode is put back afterwards.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    total_loss = torch.zeros((), dtype=torch.float64)
    confusion: Tensor | None = None
    try:
        for batch, target in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            inputs = resize(normalise(batch.to(device), mean, std), size)
            logits = model(inputs.contiguous(memory_format=torch.channels_last)).float().cpu()
            classes = logits.shape[1]
            if confusion is None:
                confusion = torch.zeros(classes, classes, dtype=torch.long)
            pairs = target.cpu() * classes + logits.argmax(1)
            confusion += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
            total_loss += F.cross_entropy(logits, target.cpu(), reduction="sum").double()
    finally:
        model.train(training)
    if confusion is None:
        raise CnnvizError("There are no images to evaluate on.")
    return Evaluation(float(total_loss) / len(images), confusion)
