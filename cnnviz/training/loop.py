"""The training loop: one for every architecture, data set, device and number of processes.

Everything random is a function of (seed, purpose, step), never of a generator's history. A run
can therefore be cut at any step and go on from its last checkpoint with the very numbers it
would have drawn; on a CPU the resumed run ends with bit-identical weights. On a GPU it ends as
near as the order of the device's atomic additions allows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.training.batches import Batch, Batches
from cnnviz.training.data import ImageSet, held_out
from cnnviz.training.devices.choice import (
    choose_precision,
    device_name,
    memory_format,
    memory_used,
    pick_device,
    seed,
    tune,
)
from cnnviz.training.devices.compiled import Call, CompiledNetwork
from cnnviz.training.devices.distributed import World
from cnnviz.training.devices.mixed import mixed_precision
from cnnviz.training.evaluation import Evaluation, evaluate
from cnnviz.training.initial import adopt, freeze_all_but_last, refuse_input, train_mode
from cnnviz.training.keyed import NETWORK, keyed_seed
from cnnviz.training.optim import (
    WeightAverage,
    batch_loss,
    gradient_norm,
    learning_rate,
    load_optimizer,
    make_optimizer,
)
from cnnviz.training.progress import Diverged, Observer, Watch
from cnnviz.training.recipe import Recipe, refuse_other

__all__ = [
    "Diverged",
    "Evaluation",
    "Observer",
    "Trainer",
    "device_name",
    "evaluate",
    "learning_rate",
    "pick_device",
]


class Trainer:
    """A training run in memory: network, optimiser and position, without files.

    Attributes:
        model: the network that learns; `final_model` is the one whose accuracy counts.
        size: (height, width) of its input.
        resized: the side to which an image is brought before the middle is cut out of it to
            evaluate; 0: it is brought to `size`.
        step: optimiser steps done, of `steps`; an epoch has `per_epoch`.
        seconds: time spent training, before a resumption too, with evaluating and saving.
        step_seconds: that of the steps alone, by which a speed is reckoned.
        history: a record for each finished epoch.

    """

    def __init__(
        self,
        recipe: Recipe,
        data: ImageSet,
        device: torch.device,
        *,
        start: Mapping[str, Tensor] | None = None,
        world: World | None = None,
    ) -> None:
        """Prepare to train `recipe` on `data`.

        `start` is the state that training begins with where `recipe.weights` is not "random";
        it is not needed to go on from a checkpoint. `world` is the processes that share the run.
        """
        self.recipe, self.device, self.world = recipe, device, world or World()
        variant = registry.get(recipe.variant)
        self.data = data.for_channels(variant.input_size[0])
        self.size = recipe.input_size
        self.resized = recipe.resized[0] if recipe.resized != self.size else 0
        tune(device)
        self.model = self._first_model(start).to(  # type: ignore[call-overload] # not both at once
            device, memory_format=memory_format(device)
        )
        self.precision = choose_precision(recipe.precision, device)
        network = self.world.share(self.model, device)
        train_mode(self.model)
        self._compiled = CompiledNetwork(network) if recipe.compile else None
        self._network: Call = network
        self.optimizer = make_optimizer(recipe, self.model)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.averaged = (
            WeightAverage(self.model, recipe.ema, lambda: self.step) if recipe.ema else None
        )
        train, held = held_out(self.data.train_labels, recipe.holdout)
        self.batches = Batches(recipe, self.data, train, device, self.world)
        self.held = (self.data.train_images[held], self.data.train_labels[held])
        self.per_epoch = self.batches.per_epoch
        self.steps = self.per_epoch * recipe.epochs
        self.step = 0
        self.seconds = self.step_seconds = 0.0
        self._epoch_began = 0.0  # in seconds of steps
        self.history: list[dict[str, Any]] = []
        self._sums = torch.zeros(3, device=device)  # loss, right answers, images this epoch
        self._loss = torch.zeros(())
        # Where the loss is looked at now and then only: the steps since with a finite one.
        self._sound = torch.zeros((), dtype=torch.long, device=device)
        self._looked = 0
        self._norm: Tensor | None = None
        self._told = False

    @property
    def images(self) -> Tensor:
        """The images that are trained on, uint8 (N, C, H, W), on the device."""
        return self.batches.images

    @property
    def labels(self) -> Tensor:
        """Their classes, int64 (N,)."""
        return self.batches.labels

    @property
    def images_done(self) -> int:
        """The number of images learnt from so far, each as often as it was."""
        return self.batches.images_before(self.step)

    @property
    def images_per_second(self) -> float:
        """The speed of all steps so far; what is done beside them takes nothing from it."""
        return self.images_done / max(self.step_seconds, 1e-9)

    @property
    def final_model(self) -> nn.Module:
        """The network whose accuracy counts: the averaged one if the recipe has an EMA."""
        return self.model if self.averaged is None else self.averaged.module

    def _first_model(self, start: Mapping[str, Tensor] | None) -> nn.Module:
        """The network before the first step, on the CPU."""
        recipe, variant = self.recipe, registry.get(self.recipe.variant)
        torch.manual_seed(recipe.seed)
        model = variant.build(len(self.data.classes), **recipe.knobs)
        if self.size != variant.input_for(**recipe.knobs)[1:]:
            refuse_input(model, (self.data.channels, *self.size), variant.name)
        if start is not None:
            adopt(model, start, recipe.weights)
        # The first process's weights are every process's.
        self._lacks_start = recipe.weights != "random" and start is None and self.world.leads
        if recipe.freeze:
            freeze_all_but_last(model)
        return model

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs, of types that `torch.load(weights_only=True)` takes."""
        return {
            "recipe": self.recipe.model_dump(),
            "step": self.step,
            "seconds": self.seconds,
            "step_seconds": (self.step_seconds, self._epoch_began),
            "history": self.history,
            "sums": self._sums.cpu(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises `CnnvizError` if it belongs to another recipe."""
        refuse_other(state["recipe"], self.recipe)
        self.model.load_state_dict(state["model"])
        load_optimizer(self.optimizer, state["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        if state.get("scaler"):  # empty where the precision is not fp16
            self._scaler.load_state_dict(state["scaler"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.history = list(state["history"])
        # Younger than some checkpoints: there the time of all was taken for that of the steps.
        began = self.history[-1]["seconds"] if self.history else 0.0
        times = state.get("step_seconds", (self.seconds, began))
        self.step_seconds, self._epoch_began = times
        self._sums = state["sums"].clone().to(self.device)
        self._looked = self.step
        self._lacks_start = False

    def fit(self, observer: Observer) -> bool:
        """Train to the end, or until `observer` says stop; return whether the end was reached.

        Of several processes, all report, save and stop at the same steps.
        """
        if self._lacks_start:
            raise ValueError(f"training begins with the weights {self.recipe.weights!r}: give them")
        watch = Watch(self.images_done, self.step_seconds)
        while self.step < self.steps:
            self.train_step()
            report, save, stop = self.world.any(
                watch.report_due, watch.save_due, observer.stopping()
            )
            ended, last = self.step % self.per_epoch == 0, self.step == self.steps
            if ended or report or save or stop:
                self._check_finite()  # before anything is kept; it waits for the device
            lap = watch.lap()
            self.seconds, self.step_seconds = self.seconds + lap, self.step_seconds + lap
            if ended:
                observer.report(self._end_epoch())
            self.seconds += watch.lap()
            if ended or save or stop:
                observer.save(self.state_dict())
                watch.saved()
            if report or last:
                observer.report(self._progress(watch.rate(self.images_done, self.step_seconds)))
            self.seconds += watch.lap()
            if stop and not last:
                return False
        return True

    def train_step(self) -> None:
        """Learn from the next batch. On a GPU nothing here waits for the device."""
        batch = self.batches.at(self.step)
        rate = learning_rate(self.recipe, self.step, self.steps, self.per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if not self.model.training:  # it takes a while to look at each module
            train_mode(self.model)
        # The last, smaller batch of an epoch has a shape of its own, which is not worth compiling.
        whole = batch.count == min(self.recipe.batch_size, len(self.images))
        if self._compiled is None or not whole:
            loss, right = self._learn(batch, self._network)
        else:
            loss, right = self._compiled.run(lambda call: self._learn(batch, call))
        self._count(batch, loss, right)
        if self.device.type == "cpu":  # free here; a wait for the device elsewhere
            self._check_finite()
        self._update()
        self.step += 1
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    def _learn(self, batch: Batch, network: Call) -> tuple[Tensor, Tensor]:
        """Leave the gradients of `batch`; return its loss and the number of right answers."""
        # Dropout draws from the device's own generator, so that is keyed by the step as well, and
        # by the process, lest the parts of a batch have the same units dropped.
        place = (self.world.rank,) if self.world.rank else ()
        seed(self.device, keyed_seed(self.recipe.seed, NETWORK, self.step, *place))
        self.optimizer.zero_grad(set_to_none=True)
        with mixed_precision(self.device, self.precision, compiled=network is not self._network):
            outputs = network(batch.images)
        loss, logits = batch_loss(
            outputs, batch.labels, self.recipe.label_smoothing, batch.partners, batch.share
        )
        if batch.divided:  # processes may hold one image more or less: their mean counts each once
            loss = loss * (len(batch.labels) * self.world.size / batch.count)
        self._scaler.scale(loss).backward()
        return loss.detach(), (logits.detach().argmax(1) == batch.labels).sum()

    def _count(self, batch: Batch, loss: Tensor, right: Tensor) -> None:
        """Add a batch to the epoch's sums: the whole one, whatever this process holds of it."""
        both = torch.stack([loss, right.float()])
        if self.world.size > 1:
            both = self.world.sum(both)
            both[0] /= self.world.size
            if not batch.divided:  # every process counted all of it
                both[1] /= self.world.size
        self._loss = both[0]
        images = torch.full_like(self._loss, batch.count)
        self._sums = self._sums + torch.stack([self._loss * batch.count, both[1], images])
        if self.device.type != "cpu":
            self._sound += self._sums[0].abs() < math.inf

    def _update(self) -> None:
        """Move the weights along the gradients."""
        self._scaler.unscale_(self.optimizer)
        self._norm = None
        if self.recipe.grad_clip:
            self._norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def _check_finite(self) -> None:
        """Raise `Diverged` if a loss was not finite; where this waits, of any step since the last.

        fp16 may have spared the weights such a step, and yet batch norm has learnt from it.
        """
        on_cpu = self.device.type == "cpu"
        seen = self._loss if on_cpu else self._sums[0]
        if torch.isfinite(seen):
            self._looked = self.step
            self._sound.zero_()
            return
        step = self.step if on_cpu else self._looked + int(self._sound)
        raise Diverged(
            f"The loss became {seen.item()} at step {step:,} (epoch "
            f"{step // self.per_epoch + 1}): lower the learning rate (it is "
            f"{self.recipe.lr:g}) or set a gradient clip; the last checkpoint is kept."
        )

    def _progress(self, images_per_second: float) -> dict[str, Any]:
        record = {
            "kind": "step",
            "step": self.step,
            "epoch": round(self.step / self.per_epoch, 4),
            "loss": round(float(self._loss), 5),
            "lr": learning_rate(self.recipe, self.step - 1, self.steps, self.per_epoch),
            "images_per_second": round(images_per_second, 1),
            "mean_images_per_second": round(self.images_per_second, 1),
            "seconds": round(self.seconds, 3),
            **self._measured(),
        }
        if self._compiled is not None and self._compiled.notice and not self._told:
            self._told = True
            record["notice"] = self._compiled.notice
        return record

    def _measured(self) -> dict[str, Any]:
        """The last step's gradient norm, before any clip, and the bytes in use; this waits."""
        norm = float(gradient_norm(self.model) if self._norm is None else self._norm)
        return {
            "grad_norm": round(norm, 5) if math.isfinite(norm) else None,
            "memory": memory_used(self.device),
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
            record |= self._on_held_out()
        record["seconds"] = round(self.seconds, 3)
        self.history.append(record)
        speed = count / max(self.step_seconds - self._epoch_began, 1e-9)
        self._epoch_began = self.step_seconds
        return {
            "kind": "epoch",
            **record,
            "images_per_second": round(speed, 1),
            "mean_images_per_second": round(self.images_per_second, 1),
            **self._measured(),
        }

    def _on_held_out(self) -> dict[str, Any]:
        """Loss and accuracy on the images that are never trained on, each process doing a part."""
        images, labels = self.held
        sums = torch.zeros(3, dtype=torch.float64)
        part = slice(self.world.rank, None, self.world.size)
        if len(images[part]):
            result = self.evaluate(images[part], labels[part])
            right = int(result.confusion.diagonal().sum())
            sums += torch.tensor([result.loss * result.images, right, result.images])
        loss, right_answers, count = self.world.sum(sums).tolist()
        return {
            "val_loss": round(loss / count, 5),
            "val_accuracy": round(right_answers / count, 5),
        }

    def evaluate(self, images: Tensor, labels: Tensor) -> Evaluation:
        """Evaluate the final model on uint8 images (N, C, H, W) of the run's data set."""
        return evaluate(
            self.final_model,
            images,
            labels,
            mean=self.data.mean,
            std=self.data.std,
            size=self.size,
            resized=self.resized,
        )
