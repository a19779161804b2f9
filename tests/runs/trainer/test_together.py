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
from cnnviz.cli import main
from cnnviz.runs import folder
from cnnviz.runs.trainer import worker
from cnnviz.runs.trainer.snapshots import load_snapshot
from cnnviz.settings import ROOT, TORCHRUN, runs_dir
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.checkpoints import list_checkpoints

pytestmark = pytest.mark.slow

# lenet5_cifar has neither batch norm nor dropout: nothing in it depends on how a batch is divided.
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
            f"--log-dir={runs_dir() / 'torchrun'}",  # or it leaves a folder in /tmp
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


def train(variant="lenet5_cifar", **settings):
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


def alone(variant="lenet5_cifar", **settings):
    """The same run in this process."""
    run = runs.create_run(default_recipe(variant, "digits", **settings))
    assert worker.execute(run, "cpu") == "done"
    return run


def weights(run):
    state = torch.load(run.path / folder.LAST, weights_only=True)
    return {name: tensor.double() for name, tensor in state["model"].items()}


def assert_same_metrics(ours, theirs, rounding, epochs=None):
    records = (run.metrics().epochs[:epochs] for run in (ours, theirs))
    for mine, other in zip(*records, strict=True):
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


def test_two_processes_stop_at_one_step_and_learn_what_one_does_and_one_of_them_writes():
    settings = {**SETTINGS, "epochs": 20}
    process = train(**settings)
    wait_for(lambda: runs.list_runs() and only_run().status.step > 0, process)
    run = only_run()
    runs.stop_run(run, wait=True)
    printed, errors = finish(process)
    assert printed.split() == [str(run.path)]
    assert errors.count("Stopped and saved") == 1
    assert str(ROOT / "cnnviz") not in errors  # torchrun's own traceback has none of our files
    assert run.state == "stopped"
    assert 0 < torch.load(run.path / folder.LAST, weights_only=True)["step"] < 20 * 14

    again = torchrun("runs", "resume", run.id, "--device=cpu")
    _, errors = finish(again)
    assert again.returncode == 0, errors
    assert run.state == "done"
    assert errors.count("on the test images") == 1
    # 1336 images in batches of 100, the last of 36: each epoch is written once.
    assert [record["step"] for record in run.metrics().epochs] == [14 * e for e in range(1, 21)]
    assert run.metrics().damaged == 0
    assert not list(run.path.glob(".*.tmp"))
    single = alone(**settings)
    assert_same_metrics(run, single, 2e-5, epochs=2)
    ours, theirs = (load_snapshot(each, 2).state_dict() for each in (run, single))
    for name, tensor in ours.items():  # kept as fp16
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-3)
    assert_same_metrics(run, single, 0.1)  # rounding has grown over twenty epochs
    ours, theirs = list_checkpoints(run.path)[0].card, list_checkpoints(single.path)[0].card
    assert ours.accuracy == pytest.approx(theirs.accuracy, abs=0.05)
    assert ours.test_images == 360
    assert ours.recipe == theirs.recipe
    assert ours.train_images == theirs.train_images == 1336


def test_batch_norm_sees_the_whole_batch():
    settings = {"epochs": 1, "batch_size": 128, "holdout": 1117, "precision": "fp32", "lr": 0.01}
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


@pytest.mark.parametrize("rank", ["0", "1"])
def test_what_cannot_start_is_said_before_any_waits_for_another(rank, monkeypatch, capsys):
    for name in TORCHRUN:
        monkeypatch.setenv(name, {"RANK": rank, "LOCAL_RANK": rank}.get(name, "2"))
    assert main(["train", "lenet5", "--dataset", "digits", "--detach"]) == 1
    assert "torchrun trains here and cannot --detach" in capsys.readouterr().err
    assert runs.list_runs() == []


def test_a_process_that_is_started_from_one_of_several_is_its_own(monkeypatch):
    from cnnviz import settings

    for name in TORCHRUN:
        monkeypatch.setenv(name, "2")
    assert settings.is_one_of_several()
    assert not set(TORCHRUN) & settings.alone_environment().keys()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not settings.is_one_of_several()
