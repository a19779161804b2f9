"""The queue: one run at a time on a device, in the order asked, moved, paused or resumed."""

import os
import shutil
import time

import psutil
import pytest

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import folder, queue
from cnnviz.runs.processes import identify
from cnnviz.training.recipe import default_recipe

pytestmark = pytest.mark.slow


def new_run(epochs=1):
    return runs.create_run(default_recipe("lenet5", "digits", epochs=epochs, batch_size=256))


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def woken(monkeypatch):
    """The devices whose runner would have been started; none is."""
    devices = []
    monkeypatch.setattr(queue, "_wake", devices.append)
    return devices


def queued(count, device="cpu"):
    found = [new_run() for _ in range(count)]
    runs.enqueue_all([(run, device) for run in found])
    return found


def order(device="cpu"):
    return [run.id for run in runs.waiting(device)]


def ids(*members):
    return [run.id for run in members]


def test_runs_wait_in_the_order_asked_and_know_their_place(woken):
    first, second = new_run(), new_run()
    runs.enqueue(first, "cpu")
    runs.enqueue(second, "cpu")
    assert order() == ids(first, second)
    assert order("cuda:0") == []
    assert (first.state, second.state) == ("queued", "queued")
    assert (runs.position(first), runs.position(second)) == (1, 2)
    assert [row["position"] for row in runs.rows([second, first])] == [2, 1]
    assert first.is_active
    assert not first.is_training
    assert set(woken) == {"cpu"}


def test_devices_have_queues_of_their_own(woken, monkeypatch):
    monkeypatch.setattr(queue, "_full_name", lambda device, _: device)
    here, there = new_run(), new_run()
    runs.enqueue_all([(here, "cuda:0"), (there, "cuda:1")])
    assert runs.positions() == {here.id: 1, there.id: 1}
    assert sorted(woken) == ["cuda:0", "cuda:1"]


def test_the_queue_of_another_machine_is_left_to_it(woken):
    ours, theirs = queued(2)
    theirs.write_status(theirs.status.model_copy(update={"host": "another-machine"}))
    assert order() == ids(ours)
    assert runs.position(theirs) == 1


def test_a_run_moves_within_its_queue(woken):
    a, b, c = queued(3)
    runs.move_run(c, 1)
    assert order() == ids(c, a, b)
    runs.move_run(c, 3)
    assert order() == ids(a, b, c)
    runs.move_run(b, 2)
    assert order() == ids(a, b, c)
    for place in (0, 4, -1):
        with pytest.raises(CnnvizError, match="use 1 to 3"):
            runs.move_run(a, place)
    with pytest.raises(CnnvizError, match="only a queued run"):
        runs.move_run(new_run(), 1)


def test_equal_times_are_moved_apart(woken):
    found = queued(4)
    for run in found:
        run.write_status(run.status.model_copy(update={"queued": 1e9}))
    before = order()
    runs.move_run(runs.find_run(before[3]), 2)
    assert order() == [before[0], before[3], before[1], before[2]]


def test_a_paused_run_is_held_back_and_keeps_its_place(woken):
    a, b, c = queued(3)
    runs.pause_run(a)
    assert a.state == "paused"
    assert not a.is_active
    assert order() == ids(b, c)
    assert runs.position(a) is None
    with pytest.raises(CnnvizError, match="is paused: resume it"):
        runs.pause_run(a)
    runs.resume_run(a)
    assert order() == ids(a, b, c)
    assert a.status.device == "cpu"


def test_a_paused_run_that_is_stopped_gives_up_its_place(woken):
    a, b = queued(2)
    runs.pause_run(a)
    runs.stop_run(a)
    assert a.state == "stopped"
    runs.resume_run(a, "cpu")
    assert order() == ids(b, a)


def test_a_queued_run_can_be_stopped_and_asked_for_again(woken):
    (run,) = queued(1)
    runs.stop_run(run)
    assert run.state == "stopped"
    assert not run.stop_requested
    with pytest.raises(CnnvizError, match="nothing to pause"):
        runs.pause_run(run)
    runs.resume_run(run, "cpu")
    assert run.state == "queued"


def test_a_queued_run_can_be_deleted(woken):
    first, second = queued(2)
    runs.delete_run(first)
    assert not first.path.exists()
    assert order() == ids(second)


def test_a_run_that_trains_or_waits_is_not_queued_again(woken):
    run = new_run()
    here = {"state": "running", **identify(), "device": "cpu", "updated": time.time()}
    run.write_status(run.status.model_copy(update=here))
    with pytest.raises(CnnvizError, match="is running and cannot be started again"):
        runs.enqueue(run, "cpu")
    assert run.state == "running"


def test_a_device_that_is_not_there_is_refused_and_nothing_is_queued(woken):
    with pytest.raises(CnnvizError, match="cuda:99"):
        runs.enqueue(new_run(), "cuda:99")
    with pytest.raises(CnnvizError, match="launcher"):
        runs.enqueue(new_run(), "cpu", launcher="slurm")
    assert not runs.waiting()


def test_a_full_queue_takes_no_more(woken, monkeypatch):
    monkeypatch.setattr(queue, "MOST_WAITING", 3)
    queued(2)
    late = [new_run(), new_run()]
    with pytest.raises(CnnvizError, match="2 runs wait and 2 more were asked for"):
        runs.enqueue_all([(run, "cpu") for run in late])
    assert len(runs.waiting()) == 2
    queued(1)


def test_a_run_whose_gpu_is_gone_goes_on_on_the_cpu(woken):
    run = new_run()
    (run.path / folder.LAST).touch()
    runs.enqueue(run, "cuda:99")
    assert woken == ["cuda:99"]  # its trainer finds no such device, says so, and takes the CPU


def test_the_queue_goes_on_after_a_killed_trainer_and_after_a_deleted_folder():
    first, second, third = new_run(epochs=400), new_run(epochs=400), new_run()
    runs.enqueue_all([(first, "cpu"), (second, "cpu"), (third, "cpu")])
    wait_for(lambda: first.status.step > 0)
    psutil.Process(first.status.pid).kill()
    wait_for(lambda: second.status.step > 0)
    assert first.state == "interrupted"
    assert "SIGKILL" in first.status.message
    trainer = psutil.Process(second.status.pid)
    shutil.rmtree(second.path, ignore_errors=True)
    wait_for(lambda: third.state == "done")
    assert not trainer.is_running()
    assert not (second.path / folder.RECIPE).exists()
    assert second.id not in [run.id for run in runs.list_runs()]


def test_a_trainer_that_is_still_loading_stops_cleanly():
    run = new_run(epochs=400)
    runs.enqueue(run, "cpu")
    wait_for(lambda: run.state == "starting")
    runs.stop_run(run, wait=True)
    assert run.state == "stopped"
    assert run.status.message == ""


def test_the_queue_of_a_machine_that_was_restarted_goes_on_when_somebody_looks(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(queue, "_wake", lambda device: None)
        first, second = queued(2)
    assert (first.state, second.state) == ("queued", "queued")
    runs.start_next()
    wait_for(lambda: second.state == "done")
    assert first.state == "done"  # one after the other
    assert first.status.updated <= second.status.updated


def test_a_training_run_pauses_and_goes_on_from_where_it_was():
    run, other = new_run(epochs=400), new_run()
    runs.enqueue_all([(run, "cpu"), (other, "cpu")])
    wait_for(lambda: run.status.step > 0)
    pid = run.status.pid
    assert os.getsid(pid) == pid != os.getsid(0)  # a session of its own
    runs.pause_run(run, wait=True)
    assert run.state == "paused"
    assert run.status.state == "stopped"  # and saved
    stopped_at = run.status.step
    wait_for(lambda: other.state == "done")  # meanwhile its device is not idle
    runs.resume_run(run)
    wait_for(lambda: run.status.step > stopped_at)
    assert run.state == "running"
    runs.stop_run(run, wait=True)
    assert run.state == "stopped"
