"""The queue: runs that were asked for start in their order, one at a time on each device.

There is no server. Whoever asks for a run starts the next one that may start, and so does each
trainer when it ends. Where a trainer was killed, the next to look at the queue goes on with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import filelock
import psutil

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import LAST, LOG, STOP, Run, list_runs
from cnnviz.settings import ROOT, runs_dir
from cnnviz.training.loop import pick_device

_LOCK = ".queue.lock"


def enqueue(run: Run, device: str = "auto") -> None:
    """Put `run` at the end of the queue of its device, and start it if that is free.

    It trains in a process of its own session, which outlives the caller.
    """
    try:
        device = str(pick_device(device))
    except CnnvizError:
        if not (run.path / LAST).exists():  # a run whose GPU is gone goes on on the CPU
            raise
    (run.path / STOP).unlink(missing_ok=True)
    now = time.time()
    asked = {"state": "queued", "device": device, "queued": now, "updated": now, "message": ""}
    run.write_status(run.status.model_copy(update=asked))
    start_next()


def waiting(device: str | None = None) -> list[Run]:
    """The queued runs in their order, those for `device` if it is named."""
    queued = [run for run in list_runs() if run.state == "queued"]
    queued = [run for run in queued if device in (None, run.status.device)]
    return sorted(queued, key=lambda run: (run.status.queued, run.id))


def start_next() -> None:
    """Start the oldest queued run of each device on which no run trains."""
    folder = runs_dir()
    if not folder.is_dir():
        return
    with filelock.FileLock(folder / _LOCK):
        queue = waiting()
        if not queue:
            return
        busy = {run.status.device for run in list_runs() if run.is_training}
        for run in queue:
            device = run.status.device
            if device not in busy:
                _launch(run, device)
                busy.add(device)


def _launch(run: Run, device: str) -> None:
    environment = {
        **os.environ,
        "CNNVIZ_RUNS": str(run.path.parent),
        # Threads that wait by spinning steal the app's time on a small machine.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, "-m", "cnnviz", "runs", "resume", run.id, "--device", device]
    with (run.path / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # Written long before the trainer, which has torch to load first, writes its own.
    launched = {
        "state": "starting",
        "pid": process.pid,
        "pid_started": psutil.Process(process.pid).create_time(),
        "message": "",
        "updated": time.time(),
    }
    run.write_status(run.status.model_copy(update=launched))
