"""The runner of a device: starts the runs that wait for it, one after the other, and watches them.

``python -m cnnviz.runs.runner DEVICE``, woken by `cnnviz.runs.queue.start_next`; one a device and
machine, by a file lock. It loads no torch, and ends with the last run. A runner that is killed
takes no trainer with it: each has a session of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import ENDED, LOG, STOP_GRACE, Run
from cnnviz.runs.locks import device_lock, queue_lock
from cnnviz.runs.processes import identify, kill_group
from cnnviz.runs.queue import training_on, waiting
from cnnviz.settings import ROOT, runs_dir

#: How often it looks at what it watches (seconds).
POLL = 0.25


def serve(device: str) -> None:
    """Train what waits for `device` until nothing does; return at once if another serves it."""
    with contextlib.ExitStack() as held:
        if not held.enter_context(device_lock(device)):
            return
        while runs_dir().is_dir():
            with queue_lock():
                queue = waiting(device)
                if not queue:
                    # Let go of the device before the queue: who asks for a run in between must
                    # find nobody here.
                    held.close()
                    return
                process = None if training_on(device) else _start(queue[0], device)
            if process is None:
                time.sleep(4 * POLL)
            else:
                watch(process, queue[0])


def _start(run: Run, device: str) -> subprocess.Popen[bytes] | None:
    """Start the trainer of `run`; where that fails, the run says why and None is returned."""
    try:
        return launch(run, device)
    except (OSError, CnnvizError) as error:
        failed = {"state": "failed", "message": f"Its process could not be started: {error}"}
        run.write_status(run.status.model_copy(update={**failed, "updated": time.time()}))
        return None


def launch(run: Run, device: str) -> subprocess.Popen[bytes]:
    """Start the trainer of `run` in a session of its own, and note it in the status."""
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
    launched = {"state": "starting", **identify(process.pid), "message": ""}
    run.write_status(run.status.model_copy(update={**launched, "updated": time.time()}))
    return process


def watch(process: subprocess.Popen[bytes], run: Run) -> None:
    """Wait for the trainer's end; kill its group if it outlives a stop, or its folder, too long."""
    asked: float | None = None
    while process.poll() is None:
        if run.stop_requested or not run.exists:
            asked = asked or time.monotonic()
        if asked and time.monotonic() - asked > STOP_GRACE:
            kill_group(process.pid, None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
    overdue = asked is not None and time.monotonic() - asked > STOP_GRACE
    with contextlib.suppress(CnnvizError):  # a deleted folder, a full disk: go on with the next
        _record_end(run, process.pid, process.returncode, overdue)


def _record_end(run: Run, pid: int, status: int, overdue: bool) -> None:
    """Write how a trainer ended that could not say it itself."""
    with queue_lock():
        known = run.status
        if not run.exists or known.pid != pid or known.state in ("queued", *ENDED):
            return
        state, message = "interrupted", _killed(-status, overdue)
        if status >= 0:
            state = "failed"
            last = (run.log_tail().strip().splitlines() or ["its log is empty"])[-1][:300]
            message = f"Its process ended with status {status}: {last}"
        ended = {"state": state, "message": message, "eta": None, "updated": time.time()}
        run.write_status(known.model_copy(update=ended))


def _killed(number: int, overdue: bool) -> str:
    if overdue:
        return f"It had not stopped after {STOP_GRACE:.0f} s and was killed; resume it."
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    guess = ", by the system for want of memory perhaps" if name == "SIGKILL" else ""
    return f"Its process was ended by {name}{guess}; resume it from the last checkpoint."


if __name__ == "__main__":
    serve(sys.argv[1])
