"""The queue: one run at a time on a device, in the order asked."""

import os
import time

import psutil
import pytest

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import queue
from cnnviz.training.recipe import default_recipe


def new_run(epochs=1):
    return runs.create_run(default_recipe("lenet5", "digits", epochs=epochs, batch_size=256))


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def training_here(device):
    """A run that seems to train in this very process."""
    run = new_run()
    here = {"state": "running", "pid": os.getpid(), "pid_started": psutil.Process().create_time()}
    run.write_status(
        run.status.model_copy(update={**here, "device": device, "updated": time.time()})
    )
    return run


def test_a_run_waits_while_another_trains_on_its_device(monkeypatch):
    started = []
    monkeypatch.setattr(queue, "_launch", lambda run, device: started.append((run.id, device)))
    busy = training_here("cpu")
    first, second = new_run(), new_run()
    runs.enqueue(first, "cpu")
    runs.enqueue(second, "cpu")
    assert [run.id for run in runs.waiting()] == [first.id, second.id]
    assert [run.id for run in runs.waiting("cuda:0")] == []
    assert (first.state, second.state) == ("queued", "queued")
    assert first.is_active
    assert not first.is_training
    assert not started
    busy.write_status(busy.status.model_copy(update={"state": "done"}))
    runs.start_next()
    assert started == [(first.id, "cpu")]


def test_devices_do_not_wait_for_each_other(monkeypatch):
    started = []
    monkeypatch.setattr(queue, "_launch", lambda run, device: started.append((run.id, device)))
    monkeypatch.setattr(queue, "pick_device", lambda name: name)
    training_here("cpu")
    other = new_run()
    runs.enqueue(other, "cuda:0")
    assert started == [(other.id, "cuda:0")]


def test_a_queued_run_can_be_stopped_and_asked_for_again():
    training_here("cpu")
    run = new_run()
    runs.enqueue(run, "cpu")
    with pytest.raises(CnnvizError, match="stop it before"):
        runs.delete_run(run)
    runs.stop_run(run)
    assert run.state == "stopped"
    assert not run.stop_requested
    runs.resume_run(run, "cpu")
    assert run.state == "queued"


def test_a_device_that_is_not_there_is_refused_and_nothing_is_queued():
    run = new_run()
    with pytest.raises(CnnvizError, match="cuda:99"):
        runs.enqueue(run, "cuda:99")
    assert not runs.waiting()


def test_each_trainer_starts_the_next_run():
    first, second = new_run(), new_run()
    runs.enqueue(first, "cpu")
    runs.enqueue(second, "cpu")
    assert second.state == "queued"
    wait_for(lambda: second.state == "done")
    assert first.state == "done"
    assert first.status.updated <= second.status.updated


def test_a_queue_whose_trainer_was_killed_goes_on_when_somebody_looks():
    first, second = new_run(epochs=400), new_run()
    runs.enqueue(first, "cpu")
    runs.enqueue(second, "cpu")
    wait_for(lambda: first.status.step > 0)
    psutil.Process(first.status.pid).kill()
    wait_for(lambda: first.state == "interrupted")
    assert second.state == "queued"
    runs.start_next()
    wait_for(lambda: second.state == "done")
