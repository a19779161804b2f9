"""The queue: runs that were asked for start in their order, one at a time on each device.

There is no server. Each device on which runs wait has a runner (`cnnviz.runs.runner`), a small
process that starts them one after the other and ends with the last. Whoever asks for a run wakes
it, and so do each trainer that ends and each list of the runs: the queue of a machine that was
restarted goes on with the first look at it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import HOLD, LAST, STOP, Run, Status, list_runs
from cnnviz.runs.locks import device_lock, queue_lock
from cnnviz.runs.processes import identify, this_host
from cnnviz.settings import ROOT, alone_environment, runs_dir

#: Runs that may wait at once, on all devices: more is a slip of the hand.
MOST_WAITING = 1_000
#: What a new start clears: nothing of the process before it.
_FRESH: dict[str, Any] = {
    "state": "queued",
    "pid": None,
    "pid_started": None,
    "born": "",
    "launcher": "local",
    "address": "",
    "job": "",
    "message": "",
    "eta": None,
}


def enqueue(run: Run, device: str = "auto", launcher: str = "local", address: str = "") -> None:
    """Put `run` at the end of the queue of its device, and start it if that is free.

    It trains in a process of its own session, which outlives the caller. With `launcher` "ray"
    it is submitted to the cluster at `address` instead, which has a queue of its own. A run that
    was paused takes its old place again. Raises `CnnvizError` for a device that is not there, a
    run that trains already, and a queue that is full.
    """
    if launcher == "ray":
        from cnnviz.runs.cluster import submit

        submit(run, address, device)
        return
    if launcher != "local":
        raise CnnvizError(f"There is no launcher {launcher!r}: use local or ray.")
    enqueue_all([(run, device)])


def enqueue_all(asked: Sequence[tuple[Run, str]]) -> None:
    """Put runs, each with its device, into the queue in their order, and start what may start."""
    devices = {
        name: _full_name(name, all((run.path / LAST).exists() for run, n in asked if n == name))
        for name in {name for _, name in asked}
    }
    with queue_lock():
        queued = [status.queued for status in _queued_statuses()]
        if len(queued) + len(asked) > MOST_WAITING:
            raise CnnvizError(
                f"{len(queued):,} runs wait and {len(asked):,} more were asked for, but the queue "
                f"holds {MOST_WAITING:,}: wait for some, or stop them."
            )
        place = max([time.time(), *(last + 0.001 for last in queued)])
        for number, (run, name) in enumerate(asked):
            _put(run, devices[name], place + 0.001 * number)
    start_next()


def _full_name(device: str, resumable: bool) -> str:
    """The device's name with its index, as the statuses have it."""
    from cnnviz.training.loop import pick_device

    try:
        return str(pick_device(device))
    except CnnvizError:
        if not resumable:  # a run whose GPU is gone goes on on the CPU
            raise
        return device


def _put(run: Run, device: str, place: float) -> None:
    state, status = run.state, run.status
    if state in ("running", "stalled", "stopping") or (state == "starting" and status.pid):
        raise CnnvizError(f"The run {run.id} is {state} and cannot be started again.")
    if state == "paused":
        place = status.queued or place
    (run.path / STOP).unlink(missing_ok=True)
    asked = {"host": this_host(), "device": device, "queued": place, "updated": time.time()}
    run.write_status(status.model_copy(update=_FRESH | asked))
    (run.path / HOLD).unlink(missing_ok=True)


def _queued_statuses() -> list[Status]:
    return [status for run in list_runs() if (status := run.status).state == "queued"]


def _queues() -> dict[tuple[str, str], list[Run]]:
    """The waiting runs by the machine and the device for which they wait, each in its order."""
    found: dict[tuple[str, str], list[tuple[float, str, Run]]] = {}
    for run in list_runs():
        status = run.status
        if status.launcher == "local" and run.judge(status) == "queued":
            where = (status.host or this_host(), status.device)
            found.setdefault(where, []).append((status.queued, run.id, run))
    return {where: [run for *_, run in sorted(queue)] for where, queue in found.items()}


def waiting(device: str | None = None) -> list[Run]:
    """The queued runs of this machine in their order, those for `device` if it is named.

    What waits in a cluster's own queue is not among them.
    """
    here = [
        run
        for (host, name), queue in _queues().items()
        if host == this_host() and device in (None, name)
        for run in queue
    ]
    return sorted(here, key=lambda run: (run.status.queued, run.id))


def positions() -> dict[str, int]:
    """Where each queued run stands in the queue of its device: 1 is the next to start."""
    return {
        run.id: place for queue in _queues().values() for place, run in enumerate(queue, start=1)
    }


def position(run: Run) -> int | None:
    """Where `run` stands in the queue of its device, 1 being the next; None if it does not wait."""
    return positions().get(run.id)


def rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The rows of `runs list`: each run's summary with its position in the queue."""
    places = positions()
    return [run.summary() | {"position": places.get(run.id)} for run in runs]


def move_run(run: Run, to: int) -> None:
    """Move a queued run to place `to` (from 1) of its device's queue.

    Raises `CnnvizError` for a run that does not wait and for a place that is none.
    """
    with queue_lock():
        queue = next((q for q in _queues().values() if run in q), None)
        if queue is None:
            raise CnnvizError(f"The run {run.id} is {run.state}: only a queued run can be moved.")
        if not 1 <= to <= len(queue):
            raise CnnvizError(
                f"There is no place {to} in a queue of {len(queue)}: use 1 to {len(queue)}."
            )
        times = [member.status.queued for member in queue]
        queue.insert(to - 1, queue.pop(queue.index(run)))
        earlier = 0.0
        for member, moment in zip(queue, times, strict=True):
            earlier = max(moment, earlier + 0.001)  # equal times would be ordered by name
            status = member.status
            if status.queued != earlier:
                member.write_status(status.model_copy(update={"queued": earlier}))


def take_here(run: Run, device: str, job: str = "") -> list[Run]:
    """Note that this process is about to train `run` on `device`: it leaves the queue, if any.

    `job` is given where this process is the run's job on a cluster. Returns the runs that train
    on the device already.
    """
    with queue_lock():
        if run.can_resume:  # a stop that lies there was meant for the last trainer, who is gone
            (run.path / STOP).unlink(missing_ok=True)
        (run.path / HOLD).unlink(missing_ok=True)
        name = _full_name(device, (run.path / LAST).exists())
        here = {"state": "starting", **identify(), "device": name, "updated": time.time()}
        if not job:
            here |= {"launcher": "local", "address": "", "job": ""}
        run.write_status(run.status.model_copy(update=here))
    return [] if job else [other for other in training_on(name) if other != run]


def training_on(device: str) -> list[Run]:
    """The runs that train on the device of this machine, from a terminal or by its runner."""
    found = []
    for run in list_runs():
        status = run.status
        here = status.launcher == "local" and status.host in ("", this_host())
        if here and status.device == device and run.is_training:
            found.append(run)
    return found


def start_next() -> None:
    """Wake the runner of each device of this machine for which runs wait."""
    if not runs_dir().is_dir():
        return
    devices = {run.status.device for run in waiting()}
    if not devices:
        return
    with queue_lock():
        for device in sorted(devices):
            with device_lock(device) as asleep:  # a runner holds it as long as it lives
                pass
            if asleep:
                _wake(device)


def _wake(device: str) -> None:
    environment = {**alone_environment(), "CNNVIZ_RUNS": str(runs_dir())}
    with (runs_dir() / ".runner.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "cnnviz.runs.runner", device],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
