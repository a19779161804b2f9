"""Estimates against what training then takes: tensors that are there, steps that were done."""

import itertools
import json
import time

import psutil
import pytest
import torch

from cnnviz import registry
from cnnviz.__main__ import main
from cnnviz.anatomy.operators.memory import batch_bytes
from cnnviz.errors import CnnvizError
from cnnviz.runs import list_runs
from cnnviz.runs.costs import estimate as module
from cnnviz.runs.costs.estimate import devices, estimate
from cnnviz.runs.costs.trial import Speed, _Meter, measure, trial_trainer
from cnnviz.training import data
from cnnviz.training.devices.mixed import mixed_precision
from cnnviz.training.loop import Trainer
from cnnviz.training.recipe import default_recipe

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def digits(name="lenet_modern", **changes):
    return default_recipe(name, "digits", **{"batch_size": 64, "epochs": 3, **changes})


def bytes_of(tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


def after_one_step(recipe):
    trainer = Trainer(recipe, data.load("digits"), CPU)
    trainer.train_step()
    return trainer


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"momentum": 0.0},
        {"optimizer": "adamw", "lr": 1e-3, "ema": 0.99},
    ],
    ids=["sgd", "no momentum", "adamw and ema"],
)
def test_the_memory_is_that_of_the_tensors_of_a_real_trainer(changes):
    recipe = digits(precision="fp32", **changes)
    memory = estimate(recipe, "cpu", budget=0.01).memory
    trainer = after_one_step(recipe)
    model = trainer.model
    assert memory.weights == bytes_of([*model.parameters(), *model.buffers()])
    assert memory.gradients == bytes_of(p.grad for p in model.parameters())
    moments = [
        tensor
        for state in trainer.optimizer.state.values()
        for name, tensor in state.items()
        if name != "step" and tensor is not None
    ]
    assert memory.optimizer == bytes_of(moments)
    averaged = trainer.averaged.module if trainer.averaged else torch.nn.Identity()
    assert memory.averaged == bytes_of([*averaged.parameters(), *averaged.buffers()])


@pytest.mark.parametrize("name", ["lenet_modern", "resnet20_cifar", "mobilenet_v1_cifar"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_activations_of_a_whole_batch_are_foreseen_from_two_and_three_images(name, precision):
    recipe = digits(name, precision=precision, batch_size=24)
    memory = estimate(recipe, "cpu", budget=0.01).memory
    trainer = after_one_step(recipe)
    batch = trainer.batches.at(0)
    with mixed_precision(CPU, precision):
        kept = batch_bytes(trainer.model, batch.images)
    assert memory.activations == pytest.approx(kept, rel=0.01)


def test_the_data_are_those_on_the_cpu():
    recipe = digits("resnet20_cifar", holdout=200)
    images = data.load("digits")
    trainer = Trainer(recipe, images, CPU)
    parts = [
        images.train_images,
        images.train_labels,
        images.test_images,
        images.test_labels,
        trainer.images,
        trainer.labels,
        *trainer.held,
    ]
    assert estimate(recipe, "cpu", budget=0.01).memory.images == bytes_of(parts)


def test_the_work_is_three_forward_passes_an_image():
    found = estimate(default_recipe("resnet20_cifar", epochs=40, holdout=0), "cpu", budget=0.01)
    assert found.params == 269_722
    assert found.macs == 40_551_040
    assert found.work == 3 * 40_551_040 * 50_000 * 40
    assert (found.images, found.held, found.test) == (50_000, 0, 10_000)


class Clock:
    """Each look at the clock takes a second more than the last one: steps of 1, 2, 3, … s."""

    def __init__(self, laps):
        self.laps, self.now = iter(laps), 0.0

    def __call__(self):
        self.now += next(self.laps)
        return self.now


def test_the_speed_is_the_median_and_the_quartiles_of_the_steps():
    trainer = trial_trainer(digits(), CPU, 64)
    # The meter's start; a warm-up; five steps, of which the last ends the budget; the evaluation.
    clock = Clock([0, 9, 2, 4, 1, 5, 3, 0, 0.5])
    speed = measure(trainer, budget=23.5, clock=clock)
    assert speed.steps == 5
    assert (speed.training, speed.fast, speed.slow) == (64 / 3, 64 / 2, 64 / 4)
    assert speed.evaluating == 64 / 0.5
    assert trainer.step == 6


def test_the_time_is_training_and_looking_at_all_that_is_evaluated(monkeypatch):
    speed = Speed(100.0, slow=50.0, fast=200.0, evaluating=400.0, batch_size=64, steps=5)
    monkeypatch.setattr(module, "measure", lambda *_: speed)
    found = estimate(digits(epochs=10, holdout=237), "cpu", budget=0.01)
    beside = (10 * 237 + 360) / 400
    assert found.seconds == pytest.approx(
        (12_000 / 100 + beside, 12_000 / 200 + beside, 12_000 / 50 + beside)
    )


def test_the_projection_is_near_the_time_that_training_takes():
    """Of CPU time, which others on the machine do not change: within a factor of two."""
    recipe = digits(epochs=4)
    found = estimate(recipe, "cpu", budget=0.5, clock=time.process_time)
    trainer = Trainer(recipe, data.load("digits"), CPU)
    began = time.process_time()
    trainer.fit(_Meter(CPU, 1e9, itertools.count().__next__))
    taken = time.process_time() - began
    assert found.seconds[0] / 2 < taken < found.seconds[0] * 2


def test_what_does_not_fit_is_said_and_not_tried(monkeypatch):
    place = module.Device("cpu", "a small CPU", 8_000_000, 4_000_000)
    monkeypatch.setattr(module, "devices", lambda: [place])
    monkeypatch.setattr(module, "measure", pytest.fail)
    found = estimate(default_recipe("vgg16_cifar"), "cpu")
    assert not found.fits
    assert found.seconds is None
    assert found.largest_batch == 0
    assert "a small CPU has 0.004 GB free: choose another device." in found.notice


def test_the_largest_batch_fits_and_one_more_does_not(monkeypatch):
    recipe = digits("resnet20_cifar", batch_size=4096)
    free = 600_000_000
    place = module.Device("cpu", "CPU", free, free)
    monkeypatch.setattr(module, "devices", lambda: [place])
    found = estimate(recipe, "cpu")
    batch = found.largest_batch
    assert 2 < batch < 4096
    assert f"a batch size of {batch} or less" in found.notice
    for size, fits in ((batch, True), (batch + 1, False)):
        again = estimate(recipe.changed(batch_size=size), "cpu", budget=0.01)
        assert again.fits is fits


def test_memory_that_runs_out_while_measuring_is_no_failure(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(module, "measure", full)
    assert estimate(digits(), "cpu", budget=0.01).seconds is None


def test_slow_networks_are_measured_in_smaller_batches():
    found = estimate(default_recipe("resnet18_cifar", batch_size=512), "cpu", budget=0.05)
    assert 2 <= found.speed.batch_size < 512


def test_pretrained_weights_are_not_needed():
    recipe = default_recipe("resnet18", "cifar10", weights="imagenet", freeze=True, resize=32)
    found = estimate(recipe, "cpu", budget=0.01)
    last = registry.get("resnet18").build(10).fc
    assert found.memory.gradients == bytes_of(last.parameters())
    assert found.speed.training > 0


def test_nothing_of_the_caller_is_changed():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    estimate(digits(), "cpu", budget=0.01)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


def test_the_cpu_is_a_device_with_the_machines_memory():
    cpu = next(device for device in devices() if device.name == "cpu")
    assert cpu.total_bytes == psutil.virtual_memory().total
    assert 0 < cpu.free_bytes < cpu.total_bytes


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(CnnvizError, match="cuda:99"):
        estimate(digits(), "cuda:99")


def test_a_dry_run_prints_and_starts_nothing(capsys):
    asked = ["train", "lenet_modern", "--dataset", "digits", "--device", "cpu", "--dry-run"]
    assert main([*asked, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["variant"] == "lenet_modern"
    assert printed["memory"]["total"] == sum(
        size for name, size in printed["memory"].items() if name != "total"
    )
    assert printed["seconds_low"] <= printed["seconds"] <= printed["seconds_high"]
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert "images/s" in shown
    assert list_runs() == []
