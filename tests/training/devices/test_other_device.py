"""Training on a GPU that this machine need not have: nothing is left behind on the CPU."""

import contextlib
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnviz.anatomy import trace
from cnnviz.training import batches, data, evaluation, loop
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.weights import stored_state
from tests.training.away import Away

CUDA = torch.device("cuda", 0)
# It is torch's own `Parameter.__deepcopy__` that looks.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
]


@pytest.fixture(autouse=True)
def settings_stay():
    benchmark, precision = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    yield
    torch.backends.cudnn.benchmark = benchmark
    torch.set_float32_matmul_precision(precision)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


class Silent:
    """An observer in memory."""

    def __init__(self):
        self.records, self.states = [], []

    def report(self, record):
        self.records.append(record)

    def save(self, state):
        self.states.append(state)

    def stopping(self):
        return False


def trainer_of(digits, name="lenet_modern", device=CUDA, **changes):
    settings = {"epochs": 2, "batch_size": 600, "holdout": 100} | changes
    return loop.Trainer(default_recipe(name, "digits", **settings), digits, device)


# What the mode itself notices


def test_tensors_of_two_devices_do_not_meet():
    with Away() as away:
        layer = nn.Linear(3, 2).to(CUDA)
        there = torch.ones(4, 3, device=CUDA)
        assert layer(there).device == CUDA
        with pytest.raises(RuntimeError, match="at least two devices"):
            layer(torch.ones(4, 3))
        with pytest.raises(RuntimeError, match="another device"):
            torch.rand(3, device=CUDA, generator=torch.Generator())
        assert torch.ones(3).sum().item() == 3  # what is on the CPU has values
        assert away.waits == ["to", "to"]


def test_torch_is_as_before_once_it_is_left():
    backward, pin = torch.Tensor.backward, torch.Tensor.pin_memory
    with Away():
        nn.Linear(3, 2).to(CUDA)(torch.ones(4, 3, device=CUDA)).sum().backward()
        with contextlib.suppress(RuntimeError):
            nn.Linear(3, 2).to(CUDA)(torch.ones(4, 3))
        assert torch.Tensor.backward is not backward
    assert (torch.Tensor.backward, torch.Tensor.pin_memory) == (backward, pin)
    layer = nn.Linear(3, 2)
    layer(torch.ones(4, 3)).sum().backward()
    assert layer.bias.grad.tolist() == [4, 4]


@pytest.mark.parametrize(
    ("wait", "noted"),
    [
        (lambda there: bool(there.sum() > 0), "item"),
        (lambda there: there.sum().item(), "item"),
        (lambda there: there.cpu(), "cpu"),
        (lambda _: torch.ones(3).to(CUDA), "to"),
        (lambda _: torch.ones(3).to(CUDA, non_blocking=True), "to"),  # memory is not pinned
        (lambda there: torch.zeros(3).copy_(there), "copy_"),
        (lambda _: torch.tensor(1.0, device=CUDA), "to"),
    ],
)
def test_what_waits_for_the_device_is_noted(wait, noted):
    with Away() as away:
        there = torch.ones(3, device=CUDA)
        there.sum() + 1
        torch.ones(3).pin_memory().to(CUDA, non_blocking=True)
        assert away.waits == []
        wait(there)
        assert away.waits == [noted]


# Training

RECIPES = {
    "sgd": {},
    "adamw, averaged": {"optimizer": "adamw", "lr": 1e-3, "ema": 0.9},
    "augmented": {"crop_padding": 2, "flip": True, "cutout": 8, "grad_clip": 1.0},
    "mixup": {"mixup": 0.5, "label_smoothing": 0.1},
    "resized and cropped": {"resize": 40, "crop": 32},
    "fp32": {"precision": "fp32"},
    "fp16": {"precision": "fp16", "grad_clip": 1.0},
}


@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_a_step_is_on_the_device_whole_and_waits_for_nothing(digits, changes):
    with Away() as away:
        trainer = trainer_of(digits, "resnet20_cifar", batch_size=16, **changes)
        trainer.train_step()  # the order of an epoch is sent once, and constants with it
        away.waits.clear()
        trainer.train_step()
        assert away.waits == []
        tensors = [trainer.images, trainer.labels, trainer._sums, *trainer.model.parameters()]
        tensors += trainer.final_model.state_dict().values()
        assert {tensor.device for tensor in tensors} == {CUDA}


@pytest.mark.parametrize(
    "name",
    [
        "lenet5",
        "alexnet_cifar",
        "zfnet_cifar",
        "vgg11_bn_cifar",
        "googlenet_slim_cifar",
        "mobilenet_v1_cifar",
        "convnext_atto_cifar",
    ],
)
def test_every_kind_of_network_goes_there_whole(digits, name):
    with Away() as away:
        trainer = trainer_of(digits, name, batch_size=8)
        trainer.train_step()
        away.waits.clear()
        trainer.train_step()
        assert away.waits == []
        assert away.doubles == []
        assert trace(trainer.model, (trainer.data.channels, *trainer.size)).macs > 0


@pytest.mark.parametrize("changes", [RECIPES["adamw, averaged"], RECIPES["fp16"]])
def test_a_run_is_trained_evaluated_and_kept(digits, changes):
    observer = Silent()
    with Away():
        trainer = trainer_of(digits, **changes)
        assert trainer.fit(observer)
        assert trainer.evaluate(trainer.data.test_images, digits.test_labels).images == 360
        assert {t.device.type for t in stored_state(trainer.final_model).values()} == {"cpu"}
        # A resumed run begins with the tensors of the CPU, as they come from the file.
        state = torch.utils._pytree.tree_map_only(
            torch.Tensor, lambda t: t.cpu() if t.device == CUDA else t, observer.states[0]
        )
        second = trainer_of(digits, **changes)
        second.load_state_dict(state)
        second.train_step()
        assert second.step == 4
    kinds = [record["kind"] for record in observer.records]  # others between them, by the clock
    assert kinds.count("epoch") == 2
    assert kinds[-1] == "step"
    assert all(record["memory"] == 1 for record in observer.records)


def test_nothing_needs_float64_or_fp16_which_mps_may_lack(digits):
    with Away() as away:
        trainer = trainer_of(digits, precision="fp32", optimizer="adamw", lr=1e-3, ema=0.9)
        trainer.fit(Silent())
        trainer.evaluate(trainer.data.test_images, digits.test_labels)
        assert away.doubles == []


def test_the_layout_of_the_device_is_that_of_all_images_and_weights(digits, monkeypatch):
    for module in (loop, batches, evaluation):
        monkeypatch.setattr(module, "memory_format", lambda _: torch.contiguous_format)
    trainer = trainer_of(digits, "resnet20_cifar", torch.device("cpu"), batch_size=16)
    seen = []
    for layer in trainer.model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    trainer.train_step()
    trainer.evaluate(digits.test_images[:8], digits.test_labels[:8])
    assert seen
    assert all(images.is_contiguous() for images in seen)
    assert all(weights.is_contiguous() for weights in trainer.model.parameters())


# Where the loss is looked at now and then only


@pytest.fixture
def seldom(digits, monkeypatch):
    """A trainer that thinks it is on a GPU; `bad` are the steps whose loss is not finite."""
    monkeypatch.setattr(torch.cuda, "default_generators", [torch.Generator()])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 1)
    trainer = trainer_of(digits, device=torch.device("cpu"), batch_size=64, precision="fp32")
    trainer.device, trainer.bad = CUDA, {}
    batch_loss = loop.batch_loss

    steps = itertools.count()

    def spoilt(outputs, *others):
        loss, logits = batch_loss(outputs, *others)
        return loss + 0 * logits.sum() + trainer.bad.get(next(steps), 0.0), logits

    monkeypatch.setattr(loop, "batch_loss", spoilt)
    return trainer


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_was_bad_once_ends_the_run_and_names_the_step(seldom, value):
    """In fp16 the weights are spared such a step: the next loss may well be finite."""
    seldom.bad[5] = value
    observer = Silent()
    with pytest.raises(loop.Diverged, match=rf"became {value} at step 5 \(epoch 1\)"):
        seldom.fit(observer)
    assert observer.states == []


def test_the_step_is_counted_from_the_last_look(seldom):
    seldom.bad[seldom.per_epoch + 2] = math.nan
    observer = Silent()
    with pytest.raises(loop.Diverged, match=rf"at step {seldom.per_epoch + 2} \(epoch 2\)"):
        seldom.fit(observer)
    assert [state["step"] for state in observer.states] == [seldom.per_epoch]


def test_a_resumed_run_counts_on(seldom, digits):
    for _ in range(4):
        seldom.train_step()
    seldom.device = torch.device("cpu")  # where its tensors are
    second = trainer_of(digits, device=seldom.device, batch_size=64, precision="fp32")
    second.load_state_dict(seldom.state_dict())
    second.device, second.bad = CUDA, seldom.bad
    seldom.bad[6] = math.nan
    with pytest.raises(loop.Diverged, match="at step 6 "):
        second.fit(Silent())


def test_a_finite_loss_is_no_reason_to_stop(seldom):
    assert seldom.fit(Silent())
    assert seldom.step == seldom.steps


def test_the_forward_pass_under_autocast_is_seen_too():
    """The mode goes through autocast: a network in 16 bits has outputs in 16 bits."""
    with Away(), torch.autocast("cuda", torch.bfloat16):
        outputs = F.conv2d(torch.ones(1, 3, 8, 8, device=CUDA), torch.ones(4, 3, 3, 3).to(CUDA))
    assert outputs.dtype == torch.bfloat16
