"""Create, stop, resume, delete and publish runs."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import time
from datetime import datetime

import psutil

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import RECIPE, STOP, Run, Status
from cnnviz.runs.queue import enqueue
from cnnviz.settings import checkpoints_dir, runs_dir
from cnnviz.training.checkpoints import Checkpoint, list_checkpoints, save_checkpoint
from cnnviz.training.files import atomic_write, inside, safe_name
from cnnviz.training.recipe import Recipe

#: How long a stopping trainer may take to finish its batch and save (seconds).
STOP_GRACE = 60.0


def create_run(recipe: Recipe) -> Run:
    """Make the folder of a new run; nothing is started."""
    now = time.time()
    stamp = datetime.fromtimestamp(now).strftime("%Y%m%d-%H%M%S")
    run_id = safe_name(f"{recipe.variant}-{recipe.dataset}-{stamp}-{secrets.token_hex(2)}")
    path = inside(runs_dir(), run_id)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise CnnvizError(
            f"The run's folder {path} cannot be made ({error.strerror}): "
            "point CNNVIZ_RUNS at a folder that can be written."
        ) from error
    run = Run(path)
    run.write_status(Status(created=now, updated=now))
    atomic_write(path / RECIPE, recipe.model_dump_json(indent=2).encode())
    return run


def resume_run(run: Run, device: str = "auto") -> None:
    """Start a run again that was stopped, interrupted or failed."""
    if not run.can_resume:
        raise CnnvizError(f"The run {run.id} is {run.state} and cannot be resumed.")
    enqueue(run, device)


def stop_run(run: Run, wait: bool = False) -> None:
    """Ask the trainer to finish its batch, save and stop.

    With `wait`, return when it has; a trainer that does not within `STOP_GRACE` is killed, which
    leaves the run "interrupted" at its last checkpoint.
    """
    if not run.is_active:
        raise CnnvizError(f"The run {run.id} is {run.state}: there is nothing to stop.")
    status = run.status
    if run.state == "queued":
        run.write_status(status.model_copy(update={"state": "stopped"}))
        return
    (run.path / STOP).touch()
    _signal(status.pid, status.pid_started, signal.SIGTERM)
    if not wait:
        return
    deadline = time.monotonic() + STOP_GRACE
    while run.is_active and time.monotonic() < deadline:
        time.sleep(0.1)
    if run.is_active:
        _signal(status.pid, status.pid_started, signal.SIGKILL)


def _signal(pid: int | None, started: float | None, number: signal.Signals) -> None:
    """Signal the trainer, and never another process that was given its pid."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid) if pid else None
        if process and abs(process.create_time() - (started or 0)) < 2:
            process.send_signal(number)


def delete_run(run: Run) -> None:
    """Delete a run and all it has learnt. A run that is training is refused."""
    if run.is_active:
        raise CnnvizError(f"The run {run.id} is {run.state}: stop it before you delete it.")
    shutil.rmtree(run.path)


def publish(run: Run, name: str | None = None) -> Checkpoint:
    """Copy the weights and card of a finished run into the checkpoints' folder, under `name`.

    `name` defaults to the variant's. Weights are copied as they are, so the card's figures stay
    those of the very file.
    """
    found = list_checkpoints(run.path)
    if not found:
        raise CnnvizError(f"The run {run.id} is {run.state}: only a finished run can be published.")
    source = found[0]
    card = source.card.model_copy(update={"name": safe_name(name or source.card.variant)})
    return save_checkpoint(source.load_model(), card, checkpoints_dir())
