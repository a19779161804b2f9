"""Runs on disk: what state they are in, whatever happened to their process."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import filelock
import psutil
import pytest
import torch

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import folder
from cnnviz.runs.trainer import worker
from cnnviz.runs.trainer.recompute import recompute
from cnnviz.settings import ROOT, runs_dir
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved import files
from cnnviz.training.saved.checkpoints import list_checkpoints, read_checkpoint, save_checkpoint

pytestmark = pytest.mark.slow

EPOCH = {"kind": "epoch", "epoch": 1, "step": 3, "train_loss": 2.0, "train_accuracy": 0.25}


def new_run(epochs=2, **changes):
    settings = {"batch_size": 128, "epochs": epochs, **changes}
    return runs.create_run(default_recipe("lenet5", "digits", **settings))


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def done_run(tmp_path_factory):
    """A run trained to its end in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_RUNS", str(tmp_path_factory.mktemp("done")))
        run = new_run()
        heard = []
        assert worker.execute(run, "cpu", heard.append) == "done"
        yield run, heard


def test_a_finished_run_has_weights_a_card_and_the_accuracy_of_its_file(done_run):
    run, heard = done_run
    assert run.state == "done"
    card = read_checkpoint(run.path / f"{run.id}.json").card
    assert card.accuracy == run.status.accuracy
    assert card.test_images == 360
    assert card.train_images == 1437 - 240
    assert card.macs == 325_680
    assert card.recipe == run.recipe.model_dump()
    assert [row["epoch"] for row in card.history] == [1, 2]
    again = recompute(str(run.path / f"{run.id}.safetensors"))
    assert again["accuracy"] == card.accuracy
    assert again["per_class"] == card.per_class
    assert {record["kind"] for record in heard} == {"step", "epoch"}
    assert run.metrics().epochs == [r for r in heard if r["kind"] == "epoch"]


def test_a_finished_run_is_not_resumed_or_stopped(done_run):
    run, _ = done_run
    with pytest.raises(CnnvizError, match="done and cannot be resumed"):
        runs.resume_run(run)
    with pytest.raises(CnnvizError, match="nothing to stop"):
        runs.stop_run(run)


def test_publishing_keeps_the_very_weights(done_run, tmp_path, monkeypatch):
    run, _ = done_run
    monkeypatch.setenv("CNNVIZ_CHECKPOINTS", str(tmp_path))
    published = runs.publish(run)
    assert published.name == "lenet5"
    assert published.card.sha256 == list_checkpoints(run.path)[0].card.sha256
    assert published.card.accuracy == run.status.accuracy
    with pytest.raises(CnnvizError, match="only a finished run"):
        runs.publish(new_run())
    killed = new_run()  # while it was evaluated
    source = list_checkpoints(run.path)[0]
    unknown = {"name": killed.id, "accuracy": None}
    save_checkpoint(source.load_model(), source.card.model_copy(update=unknown), killed.path)
    with pytest.raises(CnnvizError, match="only a finished run"):
        runs.publish(killed)


def test_a_new_run_waits_and_then_counts_as_interrupted():
    run = new_run()
    assert run.state == "starting"
    old = time.time() - 1000
    run.write_status(run.status.model_copy(update={"updated": old}))
    assert run.state == "interrupted"
    assert run.can_resume


def with_status(**fields):
    run = new_run()
    base = {
        "state": "running",
        "pid": os.getpid(),
        "updated": time.time(),
        "pid_started": psutil.Process().create_time(),
    }
    run.write_status(run.status.model_copy(update={**base, **fields}))
    return run


def test_the_state_is_what_is_true_of_the_process():
    assert with_status().state == "running"
    assert with_status(updated=time.time() - 2 * folder.STALLED_AFTER).state == "stalled"
    assert with_status(pid_started=12345.0).state == "interrupted"  # the pid is another's now
    gone = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(gone.pid).create_time()
    wait_for(lambda: psutil.Process(gone.pid).status() == psutil.STATUS_ZOMBIE)
    assert with_status(pid=gone.pid, pid_started=started).state == "interrupted"
    gone.wait()
    assert with_status(pid=gone.pid, pid_started=started).state == "interrupted"
    stopping = with_status()
    (stopping.path / folder.STOP).touch()
    assert stopping.state == "stopping"


def test_only_a_run_that_trains_has_a_time_left():
    assert with_status(eta=12.5).summary()["eta"] == 12.5
    assert with_status(eta=12.5, pid_started=12345.0).summary()["eta"] is None  # it was killed


def test_a_torn_last_line_is_ignored_and_a_damaged_one_counted():
    run = new_run()
    good = json.dumps(EPOCH)
    (run.path / folder.METRICS).write_text(f'{good}\n{{"ki\n[1]\n{good}\n{{"kind": "ep')
    metrics = run.metrics()
    assert len(metrics.epochs) == 2
    assert metrics.damaged == 2


def test_a_second_trainer_is_refused():
    run = new_run()
    with (
        filelock.FileLock(run.path / folder.LOCK),
        pytest.raises(CnnvizError, match="another process"),
    ):
        worker.execute(run, "cpu")


def test_a_changed_recipe_is_refused_with_the_difference():
    run = new_run(epochs=30)
    stop_soon(run)
    changed = run.recipe.changed(lr=0.02)
    (run.path / folder.RECIPE).write_text(changed.model_dump_json())
    with pytest.raises(CnnvizError, match=r"lr 0\.01 → 0\.02"):
        worker.execute(run, "cpu")
    assert run.state == "failed"
    assert "0.02" in run.status.message


def stop_soon(run):
    """Train until the first report, and stop there."""
    status = worker.execute(run, "cpu", lambda _: (run.path / folder.STOP).touch())
    assert status == "stopped"
    assert run.state == "stopped"
    assert not run.stop_requested


def test_a_stop_keeps_the_step_and_a_resume_goes_on(tmp_path):
    run = new_run(epochs=3)
    stop_soon(run)
    stopped_at = run.status.step
    assert torch.load(run.path / folder.LAST, weights_only=True)["step"] == stopped_at
    assert worker.execute(run, "cpu") == "done"
    steps = [record["step"] for record in run.metrics().epochs]
    assert steps == sorted(set(steps))
    assert len(steps) == 3


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(monkeypatch):
    run = new_run(epochs=30)
    stop_soon(run)
    kept = (run.path / folder.LAST).read_bytes()
    write = files.os.fdopen

    class Full:
        def __init__(self, file, size=0):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            if len(data) > 20_000:  # the weights, not the status
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

    monkeypatch.setattr(files.os, "fdopen", lambda *a, **k: Full(write(*a, **k)))
    with pytest.raises(CnnvizError, match="disk is full"):
        worker.execute(run, "cpu")
    monkeypatch.undo()
    assert (run.path / folder.LAST).read_bytes() == kept


def test_a_full_disk_is_the_runs_state(monkeypatch):
    run = new_run(epochs=30)

    def full(*_):
        raise CnnvizError("The disk is full: free some space.")

    monkeypatch.setattr(worker.RunObserver, "save", full)
    with pytest.raises(CnnvizError):
        worker.execute(run, "cpu")
    assert run.state == "failed"
    assert "disk is full" in run.status.message


def test_a_signal_does_not_keep_a_failure_from_being_written(monkeypatch):
    """torchrun sends one to all as soon as one process is lost, while the others find out."""
    run = new_run()
    explained, unheard = worker._explained, []
    before = signal.signal(signal.SIGTERM, lambda *_: unheard.append("would have ended it"))

    def signalled(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        return explained(*given)

    monkeypatch.setattr(worker, "_explained", signalled)
    monkeypatch.setattr(worker.RunObserver, "save", lambda *_: 1 / 0)
    try:
        with pytest.raises(ZeroDivisionError):
            worker.execute(run, "cpu")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert unheard == []
    assert run.state == "failed"


def test_a_disk_that_fills_up_between_two_lines_of_the_metrics_is_said(monkeypatch):
    run = new_run(epochs=30)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker.json, "dumps", full)  # stands for the write, which has no name
    with pytest.raises(CnnvizError, match="disk is full"):
        worker.execute(run, "cpu")
    monkeypatch.undo()
    assert run.state == "failed"
    assert "disk is full" in run.status.message


def test_without_a_free_block_the_end_is_still_written(monkeypatch):
    """A run keeps some room for the last thing that it has to say."""
    run = new_run()
    reserve = run.path / folder.RESERVE
    assert reserve.stat().st_size == folder.RESERVED
    write = folder.atomic_write

    def full(path, data):
        if reserve.exists():
            raise CnnvizError("The disk is full: free some space.")
        write(path, data)

    monkeypatch.setattr(folder, "atomic_write", full)
    known = run.status
    with pytest.raises(CnnvizError, match="disk is full"):
        run.write_status(known.model_copy(update={"state": "running"}))
    run.write_status(known.model_copy(update={"state": "failed", "message": "full"}))
    assert (run.state, run.status.message) == ("failed", "full")
    monkeypatch.undo()
    run.write_status(known.model_copy(update={"state": "starting"}))
    assert reserve.exists()  # a resumed run has it again
    run.write_status(known.model_copy(update={"state": "done"}))
    assert not reserve.exists()


def test_a_deleted_folder_ends_the_training():
    import shutil

    run = new_run(epochs=30)
    with pytest.raises(CnnvizError, match="deleted"):
        worker.execute(run, "cpu", lambda _: shutil.rmtree(run.path, ignore_errors=True))
    assert not run.path.exists()


def test_a_folder_deleted_at_the_end_of_an_epoch_is_not_made_again():
    """There the state is saved just after the report, without another one in between."""
    import shutil

    def delete(record):
        if record["kind"] == "epoch":
            shutil.rmtree(run.path)

    run = new_run(epochs=2, snapshots=False)
    with pytest.raises(CnnvizError, match="was deleted: training ends"):
        worker.execute(run, "cpu", delete)
    assert not run.path.exists()


def test_what_is_written_while_a_folder_is_deleted_goes_too():
    import shutil

    def delete(_):
        shutil.rmtree(run.path)
        run.path.mkdir()
        (run.path / folder.STATUS).write_text("{}")

    run = new_run(epochs=30)
    with pytest.raises(CnnvizError, match="deleted"):
        worker.execute(run, "cpu", delete)
    assert not run.path.exists()


def test_without_a_recipe_nothing_learnt_is_removed():
    def lose(_):
        if (run.path / folder.LAST).is_file():
            (run.path / folder.RECIPE).unlink(missing_ok=True)

    run = new_run(epochs=30)
    with pytest.raises(CnnvizError, match="deleted"):
        worker.execute(run, "cpu", lose)
    assert (run.path / folder.METRICS).stat().st_size
    assert (run.path / folder.LAST).is_file()


def test_the_speed_on_the_card_counts_the_images_that_there_were():
    run = new_run(epochs=1, batch_size=5_000)
    assert worker.execute(run, "cpu") == "done"
    card = read_checkpoint(run.path / f"{run.id}.json").card
    # Of the seconds not all were training steps, and they are rounded.
    assert card.images_per_second * card.seconds == pytest.approx(1437 - 240, rel=0.5)


def test_missing_data_is_said_in_the_status(monkeypatch):
    run = runs.create_run(default_recipe("lenet5_cifar", "cifar10"))

    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(CnnvizError, match="python -m cnnviz data cifar10"):
        worker.execute(run, "cpu")
    assert "python -m cnnviz data cifar10" in run.status.message


@pytest.mark.parametrize("name", ["../x", "/etc", "", "A", "x" * 200, "nosuchrun", "a/b", "a\0b"])
def test_a_run_that_is_none_is_refused(name):
    with pytest.raises(CnnvizError):
        runs.find_run(name)


def test_runs_are_listed_newest_first_and_deleted():
    first, second = new_run(), new_run()
    second.write_status(second.status.model_copy(update={"created": time.time() + 5}))
    (runs_dir() / "not-a-run").mkdir()
    assert [run.id for run in runs.list_runs()] == [second.id, first.id]
    with pytest.raises(CnnvizError, match="stop it"):
        runs.delete_run(with_status())
    first.write_status(first.status.model_copy(update={"state": "stopped"}))
    runs.delete_run(first)
    assert first.id not in [run.id for run in runs.list_runs()]


def test_sigterm_saves_and_exits_with_143():
    run = new_run(epochs=400)
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnviz", "runs", "resume", run.id, "--device", "cpu"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: run.status.step > 0)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert run.state == "stopped"
    assert b"Traceback" not in errors
    assert (run.path / folder.LAST).exists()


def test_killed_at_ten_random_moments_it_ends_with_the_same_bits():
    """Kill -9 the trainer again and again: the weights are those of an undisturbed run."""
    undisturbed, killed = new_run(epochs=8), new_run(epochs=8)
    assert worker.execute(undisturbed, "cpu") == "done"
    moments = random.Random(os.environ.get("CNNVIZ_TEST_SEED", "7"))
    kills = 0
    while kills < 10:
        began = killed.status.step
        runs.enqueue(killed, "cpu")
        wait_for(lambda: killed.status.pid or not killed.is_active)  # its runner has started it
        # Half of the time while torch loads and the checkpoint is read, half while it trains.
        if moments.random() < 0.5:
            wait_for(lambda began=began: killed.status.step > began or not killed.is_active)
        time.sleep(moments.uniform(0, 0.25))
        if not killed.is_active:
            break
        process = psutil.Process(killed.status.pid)
        process.kill()
        wait_for(lambda: killed.state == "interrupted")
        kills += 1
        if (killed.path / folder.LAST).exists():
            torch.load(killed.path / folder.LAST, weights_only=True)
    assert kills == 10, f"the run ended after {kills} kills: train longer"
    assert worker.execute(killed, "cpu") == "done"
    ours, theirs = list_checkpoints(undisturbed.path)[0], list_checkpoints(killed.path)[0]
    assert ours.card.sha256 == theirs.card.sha256
    assert ours.card.accuracy == theirs.card.accuracy
    assert [r["epoch"] for r in killed.metrics().epochs] == list(range(1, 9))
    assert not list(killed.path.glob(".*.tmp"))


def test_two_runs_that_draw_the_same_name_get_two_folders(monkeypatch):
    """A request of a hundred seeds makes them within one second."""
    drawn = iter(["0000", "0000", "0000", "0001"])
    monkeypatch.setattr("cnnviz.runs.launch.secrets.token_hex", lambda _: next(drawn))
    monkeypatch.setattr("cnnviz.runs.launch.time.time", lambda: 1_000_000_000.0)
    assert [new_run().id[-4:], new_run().id[-4:]] == ["0000", "0001"]
