"""Runs and estimates on GPUs: one that is gone, one that is full, one that is shared."""

import contextlib
import io
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

from cnnviz import runs
from cnnviz.runs.costs import estimate as module
from cnnviz.runs.costs.estimate import devices, estimate
from cnnviz.runs.folder import LAST, STOP
from cnnviz.runs.trainer import worker
from cnnviz.training.recipe import default_recipe

pytestmark = pytest.mark.slow


def recipe(**changes):
    return default_recipe("lenet_modern", "digits", **{"batch_size": 128, "epochs": 2, **changes})


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw", "lr": 1e-3, "ema": 0.9}])
def test_a_run_of_a_gpu_that_is_gone_goes_on_on_the_cpu(changes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    run = runs.create_run(recipe(**changes))
    (run.path / STOP).touch()
    assert worker.execute(run, "cpu") == "stopped"
    last = run.path / LAST
    state = torch.load(last, weights_only=True)
    for group in state["optimizer"]["param_groups"]:
        group["fused"] = True
    with mock.patch("torch.serialization.location_tag", return_value="cuda:0"):
        buffer = io.BytesIO()
        torch.save(state, buffer)  # a file as a GPU's run has it
    last.write_bytes(buffer.getvalue())
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(last, weights_only=True)
    assert worker.execute(run, "cuda:0") == "done"
    assert run.status.message == "cuda:0 is gone; training goes on on the CPU."
    assert run.status.device == "cpu"
    assert run.status.step == run.status.steps


def test_a_gpu_that_others_have_filled_is_shown_as_full(monkeypatch):
    def memory(index):
        if index == 1:  # not even a context fits
            raise torch.AcceleratorError("CUDA error: out of memory")
        return 70 * 10**9, 80 * 10**9

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", memory)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H100")
    properties = SimpleNamespace(total_memory=80 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    found = devices()[:2]
    assert [device.name for device in found] == ["cuda:0", "cuda:1"]
    assert [device.free_bytes for device in found] == [70 * 10**9, 0]
    assert {device.total_bytes for device in found} == {80 * 10**9}


def test_an_estimate_gives_the_device_back(monkeypatch):
    """The app lives on: what it kept would be missing from the run that is then started."""
    borrowed = []

    @contextlib.contextmanager
    def borrow(device):
        borrowed.append(str(device))
        yield
        borrowed.append("given back")

    monkeypatch.setattr(module, "borrowed", borrow)
    estimate(recipe(), "cpu", budget=0.01)
    assert borrowed == ["cpu", "given back"]
