"""Create, stop, pause, resume, clone, annotate, delete and publish runs."""

from __future__ import annotations

import secrets
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import HOLD, RECIPE, STOP, STOP_GRACE, About, Run, Status
from cnnviz.runs.locks import queue_lock
from cnnviz.runs.processes import end, kill_group, this_host
from cnnviz.runs.queue import enqueue
from cnnviz.settings import checkpoints_dir, runs_dir
from cnnviz.training.saved.files import atomic_write, inside, safe_name

if TYPE_CHECKING:
    from cnnviz.training.recipe import Recipe
    from cnnviz.training.saved.card import Card
    from cnnviz.training.saved.checkpoints import Checkpoint

#: Characters of a note.
LONGEST_NOTE = 2_000


def create_run(recipe: Recipe, about: About | None = None) -> Run:
    """Make the folder of a new run; nothing is started."""
    now = time.time()
    stamp = datetime.fromtimestamp(now).strftime("%Y%m%d-%H%M%S")
    name = f"{recipe.variant}-{recipe.dataset}-{stamp}"
    path = inside(runs_dir(), safe_name(f"{name}-{secrets.token_hex(2)}"))
    while path.exists():  # of a hundred runs in one second, two may well draw the same
        path = inside(runs_dir(), safe_name(f"{name}-{secrets.token_hex(2)}"))
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise CnnvizError(
            f"The run's folder {path} cannot be made ({error.strerror}): "
            "point CNNVIZ_RUNS at a folder that can be written."
        ) from error
    run = Run(path)
    run.write_status(Status(created=now, updated=now))
    if about is not None:
        run.write_about(about)
    atomic_write(path / RECIPE, recipe.model_dump_json(indent=2).encode())
    return run


def clone_run(run: Run, **changes: Any) -> Run:  # noqa: ANN401 - fields of several types
    """Make a new run with the recipe of `run` but for `changes`; nothing is started.

    Raises `CnnvizError` for a field that is none and for a value that cannot be.
    """
    return create_run(run.recipe.changed(**changes), About(cloned_from=run.id))


def note_run(run: Run, text: str) -> None:
    """Keep a note with the run, in place of the one before; an empty one takes it away."""
    note = text.strip()
    if len(note) > LONGEST_NOTE:
        raise CnnvizError(
            f"The note has {len(note):,} characters: {LONGEST_NOTE:,} are kept, shorten it."
        )
    run.write_about(run.about.model_copy(update={"note": note}))


def resume_run(run: Run, device: str = "auto") -> None:
    """Start a run again that was paused, stopped, interrupted or failed.

    It goes where it was before: to the same cluster, and a paused one to the same device and the
    same place in the queue.
    """
    if not run.can_resume:
        raise CnnvizError(f"The run {run.id} is {run.state} and cannot be resumed.")
    status = run.status
    if status.launcher == "ray":
        enqueue(run, device if device != "auto" else status.device, "ray", status.address)
    elif run.state == "paused" and device == "auto":
        enqueue(run, status.device or device)
    else:
        enqueue(run, device)


def stop_run(run: Run, wait: bool = False) -> None:
    """Ask the trainer to finish its batch, save and stop; take a queued run out of the queue.

    With `wait`, return when it has; a trainer that does not within `STOP_GRACE` is killed with
    all it started, which leaves the run "interrupted" at its last checkpoint. Without, the
    runner that started it does the same.
    """
    _stop(run, wait, hold=False)


def pause_run(run: Run, wait: bool = False) -> None:
    """Hold a queued run back; stop and save one that trains, and hold it back.

    It stays "paused", keeping its place in the queue, until it is resumed; meanwhile its device
    goes on with the others.
    """
    if run.state == "paused":
        raise CnnvizError(f"The run {run.id} is paused: resume it to let it go on.")
    _stop(run, wait, hold=True)


def _stop(run: Run, wait: bool, hold: bool) -> None:
    with queue_lock():
        state, status = run.state, run.status
        if state == "queued" or (state == "paused" and not hold):
            _take_out(run, status, hold)
            return
        if not run.is_training:
            what = "pause" if hold else "stop"
            raise CnnvizError(f"The run {run.id} is {state}: there is nothing to {what}.")
        if hold:
            (run.path / HOLD).touch()
        else:
            (run.path / HOLD).unlink(missing_ok=True)
        (run.path / STOP).touch()
    # A trainer that is still loading has no handler yet and would die of the signal; a second
    # signal ends one at once. Both hear the file.
    if state in ("running", "stalled") and status.host in ("", this_host()):
        end(status.pid, status.pid_started, status.born)
    if wait:
        _wait_for_end(run)


def _take_out(run: Run, status: Status, hold: bool) -> None:
    """Hold a waiting run back, or let it be no longer queued or paused."""
    if status.launcher == "ray" and status.state == "queued":
        from cnnviz.runs.cluster import cancel

        cancel(run)
    if hold:
        (run.path / HOLD).touch()
        return
    stopped = {"state": "stopped", "updated": time.time()}
    run.write_status(status.model_copy(update=stopped))
    (run.path / HOLD).unlink(missing_ok=True)


def _wait_for_end(run: Run) -> None:
    deadline = time.monotonic() + STOP_GRACE
    while run.is_training and time.monotonic() < deadline:
        time.sleep(0.1)
    if not run.is_training:
        return
    status = run.status
    if status.launcher == "ray":
        from cnnviz.runs.cluster import cancel

        cancel(run)
    elif status.host in ("", this_host()):
        kill_group(status.pid, status.pid_started, status.born)
    else:
        raise CnnvizError(
            f"The run {run.id} trains on {status.host} and has not stopped after "
            f"{STOP_GRACE:.0f} s: it will when it hears of it, or end it there."
        )


def delete_run(run: Run) -> None:
    """Delete a run and all it has learnt; one that waits leaves the queue.

    A run that is training is refused.
    """
    with queue_lock():
        if run.is_training:
            raise CnnvizError(f"The run {run.id} is {run.state}: stop it before you delete it.")
        status = run.status
        if status.launcher == "ray" and status.state == "queued":
            _take_out(run, status, hold=False)
        try:
            shutil.rmtree(run.path)
        except FileNotFoundError:
            raise CnnvizError(f"The run {run.id} was deleted already.") from None
        except OSError as error:
            raise CnnvizError(
                f"The run {run.id} cannot be deleted whole ({error.strerror}): its folder is "
                f"{run.path}."
            ) from error


def publish(run: Run, name: str | None = None) -> Checkpoint:
    """Copy the weights and card of a finished run into the checkpoints' folder, under `name`.

    `name` defaults to the variant's. Weights are copied as they are, so the card's figures stay
    those of the very file.
    """
    from cnnviz.training.saved.checkpoints import save_checkpoint

    source = _finished(run)
    return save_checkpoint(source.load_model(), _renamed(source, name), checkpoints_dir())


def publish_card(run: Run, name: str | None = None) -> Path:
    """Copy the card of a finished run alone: it counts in a comparison, and cannot be asked."""
    from cnnviz.training.saved.checkpoints import save_card

    return save_card(_renamed(_finished(run), name), checkpoints_dir())


def _finished(run: Run) -> Checkpoint:
    from cnnviz.training.saved.checkpoints import list_checkpoints

    found = list_checkpoints(run.path)
    # A run that was killed while it was evaluated has weights, and a card without an accuracy.
    if not found or found[0].card.accuracy is None:
        raise CnnvizError(f"The run {run.id} is {run.state}: only a finished run can be published.")
    return found[0]


def _renamed(source: Checkpoint, name: str | None) -> Card:
    return source.card.model_copy(update={"name": safe_name(name or source.card.variant)})
