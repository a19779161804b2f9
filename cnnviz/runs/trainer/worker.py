"""Execute one run in this process: lock the folder, train, keep what is learnt, write the card."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import filelock
import torch

from cnnviz.anatomy import trace
from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import LAST, LOCK, LOG, METRICS, RESERVE, STATUS, STOP, Run, Status
from cnnviz.runs.processes import identify
from cnnviz.runs.queue import start_next
from cnnviz.runs.trainer.snapshots import SnapshotKeeper
from cnnviz.runs.trainer.start import follow, prepare
from cnnviz.runs.trainer.tensorboard import Board
from cnnviz.training.devices.choice import is_out_of_memory
from cnnviz.training.devices.distributed import World
from cnnviz.training.loop import Trainer, device_name, evaluate
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import Checkpoint, save_checkpoint
from cnnviz.training.saved.files import atomic_write, sweep_temporaries

Listener = Callable[[dict[str, Any]], None]


class RunObserver:
    """Writes what the loop reports into the run's folder, and hears requests to stop."""

    def __init__(self, run: Run, status: Status, listener: Listener | None = None) -> None:
        self.run, self.status, self.listener = run, status, listener
        self.asked = threading.Event()
        self.snapshots: SnapshotKeeper | None = None
        self.board: Board | None = None
        #: Multiply-accumulates of one image, once they are known.
        self.macs = 0
        self._metrics = (run.path / METRICS).open("a")

    def report(self, record: dict[str, Any]) -> None:
        """Append to the metrics and refresh the status, which is the heartbeat too."""
        self._end_if_deleted()
        # A backward pass does each product twice more: for the inputs and for the weights.
        record = {**record, "macs_per_second": round(3 * self.macs * record["images_per_second"])}
        self._metrics.write(json.dumps(record) + "\n")
        self._metrics.flush()
        if self.board is not None:
            self.board.report(record)
        self.update(**self._progress(record))
        if self.listener is not None:
            self.listener(record)

    def _end_if_deleted(self) -> None:
        if not self.run.exists:
            raise CnnvizError(f"The folder of the run {self.run.id} was deleted: training ends.")

    def _progress(self, record: dict[str, Any]) -> dict[str, Any]:
        done, left = record["step"], self.status.steps - record["step"]
        fields = {"step": done, "epoch": record["epoch"], "seconds": record["seconds"]}
        fields["images_per_second"] = record["mean_images_per_second"]
        if record["kind"] == "step":
            fields["loss"] = record["loss"]
        if "notice" in record:
            fields["message"] = record["notice"]
        # Of all seconds, not of the steps': what is left will be evaluated and saved as well.
        return fields | {"eta": round(record["seconds"] / done * left, 1)}

    def update(self, **fields: Any) -> None:  # noqa: ANN401 - the status's fields
        """Change fields of the status on disk."""
        self.status = self.status.model_copy(update={**fields, "updated": time.time()})
        self.run.write_status(self.status)

    def warn(self, message: str) -> None:
        """Show a sentence with the run, which goes on."""
        self.update(message=message)

    def save(self, state: dict[str, Any]) -> None:
        """Keep the state to resume from; the file before it stays until this one is whole."""
        self._end_if_deleted()  # or the folder would be made again
        if self.snapshots is not None:
            self.snapshots.keep()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        atomic_write(self.run.path / LAST, buffer.getvalue())

    def stopping(self) -> bool:
        """Whether a signal came or a stop file lies in the folder."""
        return self.asked.is_set() or self.run.stop_requested

    def close(self) -> None:
        """Close the metrics."""
        self._metrics.close()
        if self.board is not None:
            self.board.close()


def execute(
    run: Run,
    device: str = "auto",
    listener: Listener | None = None,
    world: World | None = None,
) -> str:
    """Train `run` to its end and return its last state: "done" or "stopped".

    Goes on from the last checkpoint where there is one. Whatever goes wrong is written into the
    status before it is raised. A run that another process trains is refused. Where several
    processes share the run, this is the first of `world`; the others `accompany` it.
    """
    lock = filelock.FileLock(run.path / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise CnnvizError(f"The run {run.id} is being trained by another process.") from None
    try:
        with lock:
            return _locked(run, device, listener, world or World())
    finally:
        with contextlib.suppress(OSError, CnnvizError):  # the queue's trouble is not this run's
            _sweep_remains(run)
            start_next()


def _sweep_remains(run: Run) -> None:
    """Remove what was still written into a run's folder while somebody deleted it."""
    if run.exists or not run.path.is_dir():
        return
    files = list(run.path.iterdir())
    if all(file.name in (STATUS, METRICS, LOG, LOCK, RESERVE) for file in files):
        for file in files:
            file.unlink(missing_ok=True)
        run.path.rmdir()


class Companion:
    """The observer of a process that is not the first: it writes nothing, and hears signals."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def report(self, record: dict[str, Any]) -> None:
        """Leave it to the first process."""

    def save(self, state: dict[str, Any]) -> None:
        """Leave it to the first process."""

    def stopping(self) -> bool:
        """Whether a signal came."""
        return self.asked.is_set()


def accompany(world: World) -> str:
    """Train what the first process of `world` trains; return "done" or "stopped" as it does."""
    observer = Companion()
    with _signals(observer.asked):
        try:
            return "done" if follow(world).fit(observer) else "stopped"
        except RuntimeError as error:
            failure = world.explain(error)
            if not failure:
                raise
        raise CnnvizError(failure)


def _locked(run: Run, device: str, listener: Listener | None, world: World) -> str:
    """Train a run whose folder is this process's alone."""
    if run.can_resume:  # a stop that lies there was meant for the last trainer, who is gone
        (run.path / STOP).unlink(missing_ok=True)
    status = run.status.model_copy(
        update={
            "state": "starting",
            **identify(),
            "message": "",
            "updated": time.time(),
        }
    )
    run.write_status(status)
    sweep_temporaries(run.path)
    # Signals are caught until the end is written: torchrun sends all processes one as soon as one
    # of them is lost.
    observing = contextlib.closing(RunObserver(run, status, listener))
    with observing as observer, _signals(observer.asked):
        return _guarded(run, observer, device, world)


def _guarded(run: Run, observer: RunObserver, device: str, world: World) -> str:
    """Train, and write every end down, good or bad."""
    failure = ""
    try:
        trainer, notice = prepare(run, device, world)
        _cut_metrics(run, trainer.step)
        observer.macs = trace(trainer.model, (trainer.data.channels, *trainer.size)).macs
        observer.update(
            state="running",
            steps=trainer.steps,
            step=trainer.step,
            device=str(trainer.device),
            precision=trainer.precision,
            message=notice,
        )
        if trainer.recipe.snapshots:
            observer.snapshots = SnapshotKeeper(run, trainer, observer.warn)
        if trainer.recipe.tensorboard:
            observer.board = Board(run, trainer.step, observer.warn)
        if not trainer.fit(observer):
            observer.update(state="stopped", step=trainer.step, eta=None)
            (run.path / STOP).unlink(missing_ok=True)
            return "stopped"
        checkpoint = _finish(run, trainer, observer.macs)
        if observer.board is not None:
            observer.board.finish(checkpoint.card, trainer.step)
        observer.update(state="done", accuracy=checkpoint.card.accuracy, eta=None)
        (run.path / STOP).unlink(missing_ok=True)
        return "done"
    except CnnvizError as error:
        failure = str(error)
    except BaseException as error:
        failure = _explained(run, error) or world.explain(error)
        if not failure:
            _record_failure(run, observer, f"{type(error).__name__}: {error}")
            raise
    # Outside the handler, where the traceback no longer holds the batch that was too large.
    _record_failure(run, observer, failure)
    raise CnnvizError(failure)


def _explained(run: Run, error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and resume the run."
    if not is_out_of_memory(error):
        return ""
    half = max(run.recipe.batch_size // 2, 1)
    return f"The device ran out of memory: start a new run with a batch size of {half}."


def _record_failure(run: Run, observer: RunObserver, message: str) -> None:
    # The disk may be full or the folder gone; the failure itself must still reach the caller.
    with contextlib.suppress(OSError, CnnvizError):
        if run.exists:
            observer.update(state="failed", message=message.split("\n")[0][:500], eta=None)


@contextlib.contextmanager
def _signals(asked: threading.Event) -> Iterator[None]:
    """Turn the first SIGTERM or Ctrl-C into a request to stop; a second one ends at once."""

    def on_signal(number: int, _: object) -> None:
        if asked.is_set():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; a caller in another has the stop file
        return
    kept = {n: signal.signal(n, on_signal) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _cut_metrics(run: Run, step: int) -> None:
    """Drop what was written after the checkpoint: the resumed run will write it again."""
    known = run.metrics()
    kept = [r for r in [*known.steps, *known.epochs] if r["step"] <= step]
    kept.sort(key=lambda r: (r["step"], r["kind"] == "step"))
    text = "".join(json.dumps(record) + "\n" for record in kept)
    path = run.path / METRICS
    # The observer holds the file open for appending: change its content, not the file.
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(text.encode())


def _finish(run: Run, trainer: Trainer, macs: int) -> Checkpoint:
    """Write the weights, evaluate what was written once on the test images, write the card."""
    images = trainer.data
    card = _card(run, trainer, macs)
    saved = save_checkpoint(trainer.final_model, card, run.path)
    # Rounding to fp16 moves a figure in its last digits; the card's is the file's own.
    result = evaluate(
        saved.load_model().to(trainer.device),
        images.test_images,
        images.test_labels,
        mean=images.mean,
        std=images.std,
        size=trainer.size,
        resized=trainer.resized,
    )
    figures = {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "per_class": result.per_class(images.classes),
        "confusion": tuple(map(tuple, result.confusion.tolist())),
        "calibration": result.calibration,
        "test_images": result.images,
    }
    return save_checkpoint(trainer.final_model, card.model_copy(update=figures), run.path)


def _card(run: Run, trainer: Trainer, macs: int) -> Card:
    recipe = trainer.recipe
    return Card(
        name=run.id,
        variant=recipe.variant,
        knobs=recipe.knobs,
        dataset=recipe.dataset,
        classes=trainer.data.classes,
        input_size=(trainer.data.channels, *trainer.size),
        resize=trainer.resized,
        mean=trainer.data.mean,
        std=trainer.data.std,
        train_images=len(trainer.images),
        recipe=recipe.model_dump(),
        seed=recipe.seed,
        epochs=recipe.epochs,
        device=device_name(trainer.device),
        precision=trainer.precision,
        seconds=round(trainer.seconds, 1),
        images_per_second=round(trainer.images_per_second, 1),
        macs=macs,
        history=trainer.history,
    )
