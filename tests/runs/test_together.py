"""One run on two processes, as torchrun starts them: the same learning, one writer, true states."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from cnnviz import runs
from cnnviz.runs import folder, worker
from cnnviz.settings import ROOT, TORCHRUN
from cnnviz.training.checkpoints import list_checkpoints
from cnnviz.training.recipe import default_recipe

# lenet_modern has neither batch norm nor dropout: nothing in it depends on how a batch is divided.
SETTINGS = {"epochs": 2, "batch_size": 100, "holdout": 101, "precision": "fp32", "mixup": 0.4}


def torchrun(*command, processes=2):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(processes),
            "-m",
            "cnnviz",
            *map(str, command),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def train(variant="lenet_modern", **settings):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    return torchrun("train", variant, "--dataset=digits", "--device=cpu", *flags)


def finish(process, seconds=240):
    try:
        return process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def only_run():
    (run,) = runs.list_runs()
    return run


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"waited too long: {process.communicate()}")
        time.sleep(0.02)


def alone(variant="lenet_modern", **settings):
    """The same run in this process."""
    run = runs.create_run(default_recipe(variant, "digits", **settings))
    assert worker.execute(run, "cpu") == "done"
    return run


def weights(run):
    state = torch.load(run.path / folder.LAST, weights_only=True)
    return {name: tensor.double() for name, tensor in state["model"].items()}


def assert_same_metrics(ours, theirs, rounding):
    for mine, other in zip(ours.metrics().epochs, theirs.metrics().epochs, strict=True):
        assert mine["step"] == other["step"]
        assert mine["lr"] == other["lr"]
        for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            assert mine[name] == pytest.approx(other[name], abs=rounding), name


def assert_same_learning(ours, theirs, rounding):
    assert_same_metrics(ours, theirs, rounding)
    mine, others = weights(ours), weights(theirs)
    assert mine.keys() == others.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, others[name], rtol=rounding, atol=rounding)


def test_two_processes_learn_what_one_does_and_one_of_them_writes():
    process = train(**SETTINGS)
    printed, errors = finish(process)
    assert process.returncode == 0, errors
    run = only_run()
    assert printed.split() == [str(run.path)]
    assert run.state == "done"
    assert (run.path / folder.LAST).stat().st_nlink == 1
    steps = [record["step"] for record in run.metrics().epochs]
    assert steps == [14, 28]  # 1336 images in batches of 100, the last of 36: each written once
    assert run.metrics().damaged == 0
    assert not list(run.path.glob(".*.tmp"))
    single = alone(**SETTINGS)
    assert_same_learning(run, single, 2e-5)
    ours, theirs = list_checkpoints(run.path)[0].card, list_checkpoints(single.path)[0].card
    assert ours.accuracy == pytest.approx(theirs.accuracy, abs=1 / 360)
    assert ours.recipe == theirs.recipe
    assert ours.train_images == theirs.train_images == 1336


def test_batch_norm_sees_the_whole_batch():
    settings = {"epochs": 1, "batch_size": 128, "holdout": 1000, "precision": "fp32", "lr": 0.01}
    process = train("resnet20_cifar", **settings)
    _, errors = finish(process)
    assert process.returncode == 0, errors
    # Not as near as without batch norm: on one process torch's kernel rounds its sums at 1e-4, and
    # twenty layers enlarge that. Statistics of half a batch each would be off by 0.1 and more.
    assert_same_learning(only_run(), alone("resnet20_cifar", **settings), 0.02)


def test_a_killed_process_is_the_runs_failure_and_one_process_goes_on():
    process = train(**{**SETTINGS, "epochs": 400})
    try:
        wait_for(lambda: runs.list_runs() and only_run().status.step > 20, process)
        run = only_run()
        others = {
            child.pid
            for child in psutil.Process(process.pid).children()
            if child.pid != run.status.pid and "cnnviz" in child.cmdline()
        }
        assert len(others) == 1
        os.kill(others.pop(), signal.SIGKILL)
        wait_for(lambda: run.state != "running", process)
        assert run.state == "failed"
        assert run.status.message.startswith("Process 2 of 2 was lost: resume the run")
    finally:
        finish(process)
    kept = torch.load(run.path / folder.LAST, weights_only=True)["step"]
    assert kept >= 14
    # Another number of processes goes on: here one, which is stopped at its first report.
    state = worker.execute(run, "cpu", lambda _: (run.path / folder.STOP).touch())
    assert state == "stopped"
    assert run.status.step > kept


def test_a_stop_ends_all_processes_at_one_step_and_two_go_on_to_the_same_end():
    settings = {**SETTINGS, "epochs": 8}
    process = train(**settings)
    wait_for(lambda: runs.list_runs() and only_run().status.step > 0, process)
    run = only_run()
    runs.stop_run(run, wait=True)
    _, errors = finish(process)
    assert errors.count("Stopped and saved") == 1
    assert str(ROOT / "cnnviz") not in errors  # torchrun's own traceback has none of our files
    assert run.state == "stopped"
    assert 0 < torch.load(run.path / folder.LAST, weights_only=True)["step"] < 8 * 14
    again = torchrun("runs", "resume", run.id, "--device=cpu")
    _, errors = finish(again)
    assert again.returncode == 0, errors
    assert run.state == "done"
    assert_same_metrics(run, alone(**settings), 0.02)  # rounding grows over eight epochs


def test_what_cannot_start_is_said_once_and_ends_all():
    process = torchrun("train", "lenet5", "--dataset=digits", "--detach")
    _, errors = finish(process)
    assert process.returncode != 0
    assert "torchrun trains here and cannot --detach" in errors
    assert str(ROOT / "cnnviz") not in errors
    assert runs.list_runs() == []


def test_a_process_that_is_started_from_one_of_several_is_its_own(monkeypatch):
    from cnnviz import settings

    for name in TORCHRUN:
        monkeypatch.setenv(name, "2")
    assert settings.is_one_of_several()
    assert not set(TORCHRUN) & settings.alone_environment().keys()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not settings.is_one_of_several()
