"""What the trainer says of a run beside its numbers: rates, notices, and memory that ran out."""

import time

import pytest
import torch

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs.trainer import worker
from cnnviz.training import loop
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.checkpoints import list_checkpoints


def new_run(**changes):
    settings = {"batch_size": 512, "epochs": 1, "snapshots": False, **changes}
    return runs.create_run(default_recipe("lenet5", "digits", **settings))


def test_each_record_has_the_rate_of_multiply_accumulates():
    run = new_run()
    assert worker.execute(run, "cpu") == "done"
    metrics = run.metrics()
    assert metrics.steps
    assert metrics.epochs
    for record in [*metrics.steps, *metrics.epochs]:
        # 325,680 MACs forward (counted by hand in tests of the networks), twice that backward.
        expected = 3 * 325_680 * record["images_per_second"]
        assert record["macs_per_second"] == pytest.approx(expected, abs=1)
    assert list_checkpoints(run.path)[0].card.macs == 325_680


def test_a_slow_evaluation_takes_nothing_from_a_run_s_rate_and_counts_in_its_time(monkeypatch):
    evaluate = loop.Trainer.evaluate

    def slow(self, *arguments):
        time.sleep(1.5)
        return evaluate(self, *arguments)

    monkeypatch.setattr(loop.Trainer, "evaluate", slow)
    run = new_run(epochs=3)
    forecasts = []
    assert worker.execute(run, "cpu", lambda _: forecasts.append(run.status.eta)) == "done"
    card, status = list_checkpoints(run.path)[0].card, run.status
    assert status.seconds > 3.0  # with the evaluations before the last epoch's end
    assert card.images_per_second == pytest.approx(status.images_per_second, rel=0.01)
    assert card.seconds > 4.5
    # 3 × 1,197 images in the seconds that are left for steps.
    assert status.images_per_second > 3 * 1197 / (status.seconds - 2 * 1.5)
    metrics = run.metrics()
    assert metrics.steps[-1]["images_per_second"] > 3 * 1197 / status.seconds
    assert max(filter(None, forecasts)) > 0.5 * 1.5  # an epoch that is left has its evaluation


def test_a_compiler_that_fails_is_said_with_the_run(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", broken)
    run = new_run(compile=True)
    assert worker.execute(run, "cpu") == "done"
    assert run.status.message.endswith("training goes on without it: no C++ compiler")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    ],
)
def test_memory_that_ran_out_is_the_run_s_state_with_half_the_batch(error, monkeypatch):
    def step(_):
        raise error

    monkeypatch.setattr(loop.Trainer, "train_step", step)
    run = new_run()
    with pytest.raises(CnnvizError, match="batch size of 256") as caught:
        worker.execute(run, "cpu")
    assert caught.value.__context__ is None  # no traceback holds the batch that was too large
    assert run.state == "failed"
    assert "ran out of memory" in run.status.message
