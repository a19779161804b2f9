"""The loop: learns, repeats itself, goes on where it was cut, and says when it cannot."""

import math

import pytest
import torch
from torch.nn import functional as F

from cnnviz.errors import CnnvizError
from cnnviz.training import data, loop, progress
from cnnviz.training.recipe import default_recipe

CPU = torch.device("cpu")


class Recorder:
    """An observer in memory that may stop the run at given steps."""

    def __init__(self, stop_at=()):
        self.records, self.states, self.stop_at = [], [], set(stop_at)

    def report(self, record):
        self.records.append(record)

    def save(self, state):
        copy = {k: v for k, v in state.items() if k not in ("model", "optimizer", "averaged")}
        # As a file would, keep values and not references that training goes on to change.
        self.states.append(torch.load(_stored(state), weights_only=True) | copy)

    def stopping(self):
        return self.trainer.step in self.stop_at

    def watch(self, trainer):
        self.trainer = trainer
        return self


def _stored(state):
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def small(**changes):
    settings = {"epochs": 2, "batch_size": 128, "holdout": 100, "precision": "fp32"} | changes
    return default_recipe("lenet5", "digits", **settings)


def trained(recipe, digits, stop_at=()):
    """The final weights of a run that is stopped at the given steps and resumed each time."""
    trainer = loop.Trainer(recipe, digits, CPU)
    recorder = Recorder(stop_at).watch(trainer)
    while not trainer.fit(recorder):
        recorder.stop_at.discard(trainer.step)
        state = recorder.states[-1]
        trainer = loop.Trainer(recipe, digits, CPU)
        trainer.load_state_dict(state)
        recorder.watch(trainer)
    return trainer, recorder


@pytest.mark.parametrize(
    "recipe",
    [small(), small(optimizer="adamw", ema=0.9, lr=1e-3, cutout=8, mixup=0.5)],
    ids=["sgd", "adamw"],
)
def test_a_run_cut_anywhere_ends_with_the_same_bits(recipe, digits):
    whole, _ = trained(recipe, digits)
    cut, recorder = trained(recipe, digits, stop_at=[1, 7, whole.per_epoch, whole.per_epoch + 3])
    assert not recorder.stop_at  # every stop happened
    for name, tensor in whole.final_model.state_dict().items():
        assert torch.equal(tensor, cut.final_model.state_dict()[name]), name
    for ours, theirs in zip(whole.history, cut.history, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_lenet5_learns_the_digits(digits):
    recipe = default_recipe("lenet5", "digits", epochs=5)
    trainer, recorder = trained(recipe, digits)
    result = trainer.evaluate(trainer.data.test_images, trainer.data.test_labels)
    assert result.accuracy > 0.85
    epochs = [r for r in recorder.records if r["kind"] == "epoch"]
    assert [r["epoch"] for r in epochs] == [1, 2, 3, 4, 5]
    assert epochs[-1]["val_accuracy"] > epochs[0]["val_accuracy"]
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]


def test_fp16_scales_its_gradients_and_goes_on_with_the_same_scale(digits):
    settings = {"epochs": 1, "batch_size": 2, "holdout": 1433}  # fp16 is slow on a CPU
    recipe = default_recipe("lenet5_cifar", "digits", precision="fp16", **settings)
    whole, _ = trained(recipe, digits)
    cut, _ = trained(recipe, digits, stop_at=[1])
    assert whole._scaler.state_dict() == cut._scaler.state_dict()
    assert whole._scaler.get_scale() == 65536  # torch's first one: nothing overflowed
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, cut.model.state_dict()[name])
    plain, recorder = trained(recipe.changed(precision="fp32"), digits)
    assert not plain._scaler.is_enabled()
    norm = recorder.records[-1]["grad_norm"]  # not 65536 times as large
    assert loop.gradient_norm(whole.model).item() == pytest.approx(min(norm, 2.0), rel=0.05)


def test_another_seed_is_another_run(digits):
    first, _ = trained(small(epochs=1), digits)
    second, _ = trained(small(epochs=1, seed=1), digits)
    assert not torch.equal(first.model.c1.weight, second.model.c1.weight)


def test_the_first_step_is_sgds(digits):
    """Against torch's own arithmetic, written out: momentum SGD's first step is lr × gradient."""
    recipe = small(warmup_epochs=0, grad_clip=0, momentum=0, weight_decay=0)
    trainer = loop.Trainer(recipe, digits, CPU)
    before = trainer.model.f6.weight.detach().clone()
    batch = trainer.batches.at(0)
    F.cross_entropy(trainer.model(batch.images), batch.labels).backward()
    gradient = trainer.model.f6.weight.grad.clone()
    trainer.train_step()
    torch.testing.assert_close(trainer.model.f6.weight.detach(), before - recipe.lr * gradient)


def test_every_image_is_seen_once_an_epoch(digits):
    recipe = small(batch_size=100, crop_padding=0)
    trainer = loop.Trainer(recipe, digits, CPU)
    seen = torch.zeros(10, dtype=torch.long)
    for step in range(trainer.per_epoch):
        trainer.step = step
        seen += torch.bincount(trainer.batches.at(step).labels, minlength=10)
    assert torch.equal(seen, torch.bincount(trainer.labels, minlength=10))


def test_a_last_batch_of_one_is_dropped(digits):
    left = 1437 - 100
    trainer = loop.Trainer(small(batch_size=left - 1), digits, CPU)
    assert trainer.per_epoch == 1


def test_learning_rate_warms_up_and_falls_to_zero():
    recipe = small(warmup_epochs=1, lr=1.0)
    rates = [loop.learning_rate(recipe, step, 100, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert max(rates) == 1.0


def test_divergence_stops_before_the_step_and_names_it(digits):
    wild = {"lr": 100.0, "grad_clip": 0.0, "warmup_epochs": 0, "holdout": 0}
    trainer = loop.Trainer(default_recipe("lenet_modern", "digits", **wild), digits, CPU)
    with pytest.raises(loop.Diverged, match=r"at step [\d,]+ .*learning rate"):
        trainer.fit(Recorder().watch(trainer))
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def test_a_stop_keeps_no_weights_that_have_diverged(digits, monkeypatch):
    """On a GPU the loss is not looked at in each step: a stop may come before anybody did."""
    trainer = loop.Trainer(small(), digits, CPU)

    def diverge():
        trainer._loss = torch.tensor(math.nan)
        trainer.step += 1

    monkeypatch.setattr(trainer, "train_step", diverge)
    recorder = Recorder(stop_at=[1]).watch(trainer)
    with pytest.raises(loop.Diverged, match="at step 1 "):
        trainer.fit(recorder)
    assert recorder.states == []


def test_another_recipe_is_refused_with_the_difference(digits):
    trainer = loop.Trainer(small(), digits, CPU)
    state = trainer.state_dict()
    other = loop.Trainer(small(lr=0.5), digits, CPU)
    with pytest.raises(CnnvizError, match=r"lr 0\.01 → 0\.5"):
        other.load_state_dict(state)


def test_a_run_begun_before_a_setting_existed_goes_on(digits):
    state = loop.Trainer(small(), digits, CPU).state_dict()
    for younger in ("snapshots", "cutout"):
        del state["recipe"][younger]
    loop.Trainer(small(), digits, CPU).load_state_dict(state)
    with pytest.raises(CnnvizError, match=r"cutout 0 → 8"):  # it was trained without
        loop.Trainer(small(cutout=8), digits, CPU).load_state_dict(state)


def test_settings_that_change_no_number_may_differ_when_a_run_goes_on(digits):
    state = loop.Trainer(small(), digits, CPU).state_dict()
    loop.Trainer(small(snapshots=False), digits, CPU).load_state_dict(state)


def test_evaluation_counts_by_class_and_leaves_the_mode_alone():
    class Always3(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return F.one_hot(torch.full((len(images),), 1), 3).float() + 0 * self.weight

    model = Always3().train()
    images = torch.zeros(10, 1, 4, 4, dtype=torch.uint8)
    labels = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    result = loop.evaluate(
        model, images, labels, mean=(0.5,), std=(1.0,), size=(4, 4), batch_size=4
    )
    assert model.training
    assert result.accuracy == pytest.approx(0.3)
    assert result.per_class(("a", "b", "c")) == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert result.confusion.tolist() == [[0, 5, 0], [0, 3, 0], [0, 2, 0]]
    right, wrong = math.log(2 + math.e) - 1, math.log(2 + math.e)
    assert result.loss == pytest.approx(0.3 * right + 0.7 * wrong)


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "xla", "gpu0"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(CnnvizError, match="use"):
        loop.pick_device(name)


def test_each_record_has_the_gradient_s_norm_and_the_memory(digits):
    trainer, recorder = trained(small(epochs=1, grad_clip=0.0), digits)
    gradients = torch.cat([p.grad.flatten() for p in trainer.model.parameters()])
    for record in recorder.records[-2:]:  # the epoch's and the last step's
        assert record["grad_norm"] == pytest.approx(float(gradients.norm()), rel=1e-4)
        assert record["memory"] > 50e6
        assert record["images_per_second"] > 0
    assert {r["kind"] for r in recorder.records[-2:]} == {"epoch", "step"}
    # What the card keeps of an epoch has not grown.
    assert set(trainer.history[0]) == {
        "step",
        "epoch",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "lr",
        "seconds",
    }


def test_the_norm_is_that_before_the_clip(digits):
    clipped, recorder = trained(small(epochs=1, grad_clip=1e-3), digits)
    gradients = torch.cat([p.grad.flatten() for p in clipped.model.parameters()])
    assert float(gradients.norm()) == pytest.approx(1e-3, rel=1e-3)
    assert recorder.records[-1]["grad_norm"] > 1


class Hours:
    """A clock that a test moves."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(progress.time, "perf_counter", lambda: self.now)

    def takes(self, seconds, function):
        def slow(*arguments, **options):
            self.now += seconds
            return function(*arguments, **options)

        return slow


def test_a_rate_is_of_training_steps_alone(digits, monkeypatch):
    """A step takes a second, an evaluation a hundred, saving forty."""
    hours = Hours(monkeypatch)
    trainer = loop.Trainer(small(batch_size=100), digits, CPU)  # 13 batches of 100, one of 37
    recorder = Recorder().watch(trainer)
    monkeypatch.setattr(trainer, "train_step", hours.takes(1, trainer.train_step))
    monkeypatch.setattr(trainer, "evaluate", hours.takes(100, trainer.evaluate))
    monkeypatch.setattr(recorder, "save", hours.takes(40, recorder.save))
    assert trainer.fit(recorder)
    assert trainer.per_epoch == 14
    for record in recorder.records:
        done, rest = divmod(record["step"], 14)
        learnt = 1337 * done + 100 * rest
        whole = record["step"] == 14 * done
        assert record["mean_images_per_second"] == pytest.approx(learnt / record["step"], abs=0.1)
        if record["kind"] == "epoch":
            assert record["images_per_second"] == pytest.approx(1337 / 14, abs=0.1)
        else:
            assert record["images_per_second"] == (37 if whole else 100)
    assert trainer.step_seconds == 28
    assert trainer.seconds == 28 + 2 * (100 + 40)
    assert trainer.images_per_second == pytest.approx(2 * 1337 / 28)


def test_the_seconds_of_steps_are_kept_over_a_stop(digits, monkeypatch):
    hours = Hours(monkeypatch)
    recipe = small(batch_size=100)
    trainer = loop.Trainer(recipe, digits, CPU)
    monkeypatch.setattr(trainer, "train_step", hours.takes(1, trainer.train_step))
    recorder = Recorder(stop_at=[5]).watch(trainer)
    assert not trainer.fit(recorder)
    state = recorder.states[-1]
    resumed = loop.Trainer(recipe, digits, CPU)
    resumed.load_state_dict(state)
    monkeypatch.setattr(resumed, "train_step", hours.takes(2, resumed.train_step))
    again = Recorder().watch(resumed)
    resumed.fit(again)
    first = next(record for record in again.records if record["kind"] == "epoch")
    assert first["images_per_second"] == pytest.approx(1337 / (5 * 1 + 9 * 2), abs=0.1)
    assert resumed.step_seconds == 5 + 2 * 23
    del state["step_seconds"]  # as an earlier version saved it
    resumed.load_state_dict(state)
    assert resumed.step_seconds == state["seconds"]


def test_weights_that_were_asked_for_must_be_given(digits):
    trainer = loop.Trainer(small(weights="lenet5"), digits, CPU)
    with pytest.raises(ValueError, match="lenet5"):
        trainer.fit(Recorder().watch(trainer))
