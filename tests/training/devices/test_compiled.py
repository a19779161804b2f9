"""torch.compile as an option: what it learns is the same, and its failure ends no run."""

import shutil

import pytest
import torch
from torch import nn

from cnnviz.training import data, loop
from cnnviz.training.recipe import default_recipe

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


class Recorder:
    def __init__(self):
        self.records = []

    def report(self, record):
        self.records.append(record)

    def save(self, state):
        self.state = state

    def stopping(self):
        return False


def trained(**changes):
    settings = {"epochs": 2, "batch_size": 32, "holdout": 1405, "precision": "fp32", **changes}
    recipe = default_recipe("lenet5_cifar", "digits", **settings)
    trainer = loop.Trainer(recipe, data.load("digits"), CPU)
    recorder = Recorder()
    trainer.fit(recorder)
    return trainer, recorder


class Failing:
    """A compiled network that fails after it has run: forward, or on the way back."""

    def __init__(self, network, backward):
        self.network, self.backward = network, backward

    def __call__(self, images):
        outputs = self.network(images)  # batch norm has counted this batch by now
        if not self.backward:
            raise RuntimeError("BackendCompilerFailed: no working C++ compiler\nmore lines")
        outputs.register_hook(self._fail)
        return outputs

    @staticmethod
    def _fail(_):
        raise RuntimeError("BackendCompilerFailed: no working C++ compiler\nmore lines")


@pytest.mark.parametrize("when", ["at once", "forward", "backward"])
def test_where_the_compiler_fails_the_results_are_those_without(when, monkeypatch):
    def fake(network, **_):
        if when == "at once":
            raise RuntimeError("BackendCompilerFailed: no working C++ compiler\nmore lines")
        return Failing(network, when == "backward")

    plain, _ = trained()
    monkeypatch.setattr(torch, "compile", fake)
    trainer, recorder = trained(compile=True)
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, trainer.model.state_dict()[name]), name
    notices = [record["notice"] for record in recorder.records if "notice" in record]
    assert notices == [
        "torch.compile failed, so training goes on without it: "
        "BackendCompilerFailed: no working C++ compiler"
    ]


def test_batch_norm_counts_a_batch_once_though_it_was_tried_twice(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network, **_: Failing(network, backward=True))
    recipe = default_recipe("resnet20_cifar", "digits", batch_size=8, compile=True, epochs=1)
    trainer = loop.Trainer(recipe, data.load("digits"), CPU)
    trainer.train_step()
    norms = [m for m in trainer.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {int(norm.num_batches_tracked) for norm in norms} == {1}


def test_running_out_of_memory_is_not_the_compilers_failure(monkeypatch):
    def fake(network, **_):
        def call(_):
            raise torch.OutOfMemoryError("CUDA out of memory")

        return call

    monkeypatch.setattr(torch, "compile", fake)
    with pytest.raises(torch.OutOfMemoryError):
        trained(compile=True)


def test_only_whole_batches_are_compiled(monkeypatch):
    """Each new shape would be compiled anew: the rest of an epoch and the evaluation are not."""
    shapes = []

    def fake(network, **_):
        def call(images):
            shapes.append(tuple(images.shape))
            return network(images)

        return call

    settings = {"holdout": 1437 - 50, "epochs": 2}  # a batch of 32, and one of 18
    plain, _ = trained(**settings)
    monkeypatch.setattr(torch, "compile", fake)
    trainer, recorder = trained(compile=True, **settings)
    assert trainer.per_epoch == 2
    assert recorder.records[0]["val_accuracy"] > 0
    assert shapes == [(32, 3, 32, 32)] * 2
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, trainer.model.state_dict()[name]), name


def test_a_run_that_goes_on_at_the_rest_of_an_epoch_compiles_the_whole_batch(monkeypatch):
    shapes = []
    settings = {"epochs": 2, "batch_size": 32, "holdout": 1437 - 50, "precision": "fp32"}
    recipe = default_recipe("lenet5_cifar", "digits", compile=True, **settings)
    monkeypatch.setattr(
        torch, "compile", lambda net, **_: lambda x: shapes.append(len(x)) or net(x)
    )
    trainer = loop.Trainer(recipe, data.load("digits"), CPU)
    trainer.train_step()
    resumed = loop.Trainer(recipe, data.load("digits"), CPU)
    resumed.load_state_dict(trainer.state_dict())
    resumed.train_step()
    resumed.train_step()
    assert shapes == [32, 32]


def test_the_rest_of_an_epoch_computes_as_an_uncompiled_network_does(monkeypatch):
    """A compiled network is left to its own kernels; one that is not has its depthwise in fp32."""
    asked = []
    real = loop.mixed_precision

    def spy(device, precision, compiled=False):
        asked.append(compiled)
        return real(device, precision, compiled)

    monkeypatch.setattr(loop, "mixed_precision", spy)
    monkeypatch.setattr(torch, "compile", lambda net, **_: lambda x: net(x))
    trained(compile=True, holdout=1437 - 50, epochs=1)
    assert asked == [True, False]


def test_a_run_may_go_on_with_or_without_it():
    settings = {"epochs": 1, "batch_size": 600, "holdout": 0}
    recipe = default_recipe("lenet5_cifar", "digits", **settings)
    state = loop.Trainer(recipe, data.load("digits"), CPU).state_dict()
    other = loop.Trainer(recipe.changed(compile=True), data.load("digits"), CPU)
    other.load_state_dict(state)
    assert list(other.state_dict()["model"]) == list(state["model"])  # no name has a prefix


def test_what_is_really_compiled_learns_the_same_to_within_rounding():
    plain, _ = trained()
    trainer, recorder = trained(compile=True)
    if shutil.which("g++"):
        assert not any("notice" in record for record in recorder.records)
    assert list(trainer.model.state_dict()) == list(plain.model.state_dict())
    for name, tensor in plain.model.state_dict().items():
        torch.testing.assert_close(tensor, trainer.model.state_dict()[name], atol=1e-4, rtol=1e-3)
