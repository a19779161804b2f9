"""The runner of a device: what it starts, what it kills, what it writes of the dead."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import folder, locks, processes, queue, runner
from cnnviz.runs.processes import identify
from cnnviz.training.recipe import default_recipe

pytestmark = pytest.mark.slow

DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
PARENT = f"""
import signal, subprocess, sys, time
signal.signal(15, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {DEAF!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def run():
    return runs.create_run(default_recipe("lenet5", "digits", epochs=1, batch_size=256))


@pytest.fixture
def start():
    """Start a Python program in a session of its own; killed at the end."""
    started = []

    def begin(code):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def trains(run, process, state="running", **fields):
    """Let `run` seem to be trained by `process`."""
    known = {"state": state, **identify(process.pid), "updated": time.time(), "device": "cpu"}
    run.write_status(run.status.model_copy(update={**known, **fields}))


def test_a_trainer_that_ignores_the_stop_is_killed_with_all_it_started(run, start, monkeypatch):
    monkeypatch.setattr(runner, "STOP_GRACE", 0.5)
    process = start(PARENT)
    child = psutil.Process(int(process.stdout.readline()))
    trains(run, process)
    runs.stop_run(run)
    assert run.state == "stopping"
    runs.stop_run(run)  # a second time is no second signal
    assert run.state == "stopping"
    began = time.monotonic()
    runner.watch(process, run)
    assert time.monotonic() - began >= 0.5  # it waits that long, and then ends the child
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert run.state == "interrupted"
    assert "had not stopped" in run.status.message


def test_who_waits_for_a_stop_kills_too(run, start, monkeypatch):
    monkeypatch.setattr("cnnviz.runs.launch.STOP_GRACE", 0.3)
    process = start(DEAF)
    process.stdout.readline()
    trains(run, process)
    runs.stop_run(run, wait=True)
    assert process.wait(10) == -signal.SIGKILL
    assert run.state == "interrupted"


def test_a_trainer_whose_folder_is_deleted_is_not_left_behind(run, start, monkeypatch):
    monkeypatch.setattr(runner, "STOP_GRACE", 0.2)
    process = start(DEAF)
    trains(run, process)
    for file in run.path.iterdir():
        file.unlink()
    run.path.rmdir()
    runner.watch(process, run)
    assert process.returncode == -signal.SIGKILL
    assert not run.path.exists()  # nothing makes the folder again


def test_nothing_is_written_into_a_deleted_folder(run):
    kept = run.status
    for file in run.path.iterdir():
        file.unlink()
    run.path.rmdir()
    with pytest.raises(CnnvizError, match="was deleted"):
        run.write_status(kept)
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        ("import sys; sys.exit('no module named torch')", "failed", "status 1"),
        ("import os; os.kill(os.getpid(), 9)", "interrupted", "SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", "interrupted", "SIGSEGV"),
    ],
)
def test_an_end_without_a_word_is_written_down(run, start, code, state, words):
    process = start(code)
    trains(run, process, "starting")
    runner.watch(process, run)
    assert run.state == state
    assert words in run.status.message
    assert run.can_resume


def test_what_the_trainer_said_itself_stays(run, start):
    process = start("import sys; sys.exit(1)")
    trains(run, process, "failed", message="The disk is full.")
    runner.watch(process, run)
    assert run.status.message == "The disk is full."
    process = start("import os; os.kill(os.getpid(), 9)")
    trains(run, process)
    process.wait()
    asked_again = run.status.model_copy(update={"state": "queued", "pid": None})
    run.write_status(asked_again)
    runner.watch(process, run)
    assert run.status == asked_again


def test_a_trainer_that_cannot_be_started_is_a_failed_run(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(queue, "_wake", lambda device: None)
        runs.enqueue(run, "cpu")

    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(runner.subprocess, "Popen", refuse)
    runner.serve("cpu")
    assert run.state == "failed"
    assert "Cannot allocate memory" in run.status.message


def test_a_runner_waits_while_somebody_trains_in_a_terminal(run, start, monkeypatch):
    other = runs.create_run(run.recipe)
    process = start(DEAF)
    trains(other, process)
    with monkeypatch.context() as patch:
        patch.setattr(queue, "_wake", lambda device: None)
        runs.enqueue(run, "cpu")
    seen = []

    def launch(chosen, device):
        seen.append((chosen.id, other.state))
        return start("")

    def ends(_):
        assert not seen
        process.kill()
        process.wait()

    monkeypatch.setattr(runner, "launch", launch)
    monkeypatch.setattr(runner.time, "sleep", ends)
    monkeypatch.setattr(runner, "watch", lambda process, chosen: runs.stop_run(chosen))
    runner.serve("cpu")
    assert seen == [(run.id, "interrupted")]


def test_a_device_has_one_runner(run, monkeypatch):
    woken = []
    monkeypatch.setattr(queue, "_wake", woken.append)
    monkeypatch.setattr(runner, "launch", None)  # to be called by nobody
    with locks.device_lock("cpu") as mine:
        assert mine
        runs.enqueue(run, "cpu")
        runner.serve("cpu")  # a second one ends at once
    assert woken == []
    assert run.state == "queued"
    runs.start_next()
    assert woken == ["cpu"]


def test_the_runner_lets_go_before_anybody_else_can_ask(monkeypatch):
    """Who asks for a run just as the runner ends must find the device free."""
    held = []
    real = locks.queue_lock

    class Watched:
        def __enter__(self):
            self.lock = real()
            return self.lock.__enter__()

        def __exit__(self, *error):
            with locks.device_lock("cpu") as free:
                held.append(not free)
            return self.lock.__exit__(*error)

    monkeypatch.setattr(runner, "queue_lock", Watched)
    runner.serve("cpu")
    assert held == [False]


def test_a_disk_without_locks_is_said(run, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(CnnvizError, match=r"No locks available.*CNNVIZ_RUNS"):
        runs.enqueue(run, "cpu")
    assert run.state == "starting"


def test_another_machines_run_is_judged_by_its_sign_of_life(run):
    far = {"host": "another-machine", "pid": 1, "pid_started": 0.0, "state": "running"}
    for silent, state in ((5, "running"), (100, "stalled"), (10_000, "interrupted")):
        seen = {**far, "updated": time.time() - silent}
        run.write_status(run.status.model_copy(update=seen))
        assert run.state == state
    run.write_status(run.status.model_copy(update={**far, "updated": time.time()}))
    runs.stop_run(run)  # by its file: pid 1 of this machine is another's
    assert run.state == "stopping"
    (run.path / folder.STOP).unlink()


def test_a_clock_that_is_set_changes_nothing(run):
    """The start of a process moves with the clock (psutil); its ticks since the boot do not."""
    known = {"state": "running", **identify(), "updated": time.time(), "device": "cpu"}
    known["pid_started"] -= 3600
    run.write_status(run.status.model_copy(update=known))
    assert run.state == "running"
    assert processes.birth(os.getpid())
    run.write_status(run.status.model_copy(update={**known, "born": "another-boot/1"}))
    assert run.state == "interrupted"  # the machine was restarted, the pid is another's


def test_a_signal_never_reaches_another_process(start):
    process = start("import time; print(flush=True); time.sleep(600)")
    process.stdout.readline()
    processes.end(process.pid, 12345.0)
    processes.kill_group(process.pid, 12345.0)
    processes.kill_group(None, None)
    time.sleep(0.1)
    assert process.poll() is None


def test_a_first_signal_is_heard_and_a_second_one_ends_at_once(start):
    process = start(
        "import threading, time\n"
        "from cnnviz.runs.trainer.worker import _signals\n"
        "asked = threading.Event()\n"
        "with _signals(asked):\n"
        "    print('ready', flush=True)\n"
        "    asked.wait()\n"
        "    print('heard', flush=True)\n"
        "    time.sleep(600)\n"  # as a batch that takes too long for the one who waits
    )
    for word in (b"ready\n", b"heard\n"):
        assert process.stdout.readline() == word
        process.terminate()
    assert process.wait(10) == -signal.SIGTERM
