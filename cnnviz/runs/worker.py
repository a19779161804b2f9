"""Execute one run in this process: lock the folder, train, keep what is learnt, write the card."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import filelock
import psutil
import torch

from cnnviz.anatomy import trace
from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import LAST, LOCK, METRICS, STOP, Run, Status
from cnnviz.runs.queue import start_next
from cnnviz.settings import cpu_threads
from cnnviz.training import data
from cnnviz.training.checkpoints import Card, Checkpoint, read_checkpoint, save_checkpoint
from cnnviz.training.files import atomic_write, sweep_temporaries
from cnnviz.training.loop import Trainer, device_name, evaluate, pick_device

Listener = Callable[[dict[str, Any]], None]


class RunObserver:
    """Writes what the loop reports into the run's folder, and hears requests to stop."""

    def __init__(self, run: Run, status: Status, listener: Listener | None = None) -> None:
        self.run, self.status, self.listener = run, status, listener
        self.asked = threading.Event()
        self._metrics = (run.path / METRICS).open("a")

    def report(self, record: dict[str, Any]) -> None:
        """Append to the metrics and refresh the status, which is the heartbeat too."""
        if not self.run.path.is_dir():
            raise CnnvizError(f"The folder of the run {self.run.id} was deleted: training ends.")
        self._metrics.write(json.dumps(record) + "\n")
        self._metrics.flush()
        self.update(**self._progress(record))
        if self.listener is not None:
            self.listener(record)

    def _progress(self, record: dict[str, Any]) -> dict[str, Any]:
        done, left = record["step"], self.status.steps - record["step"]
        fields = {"step": done, "epoch": record["epoch"], "seconds": record["seconds"]}
        if record["kind"] == "step":
            fields |= {"loss": record["loss"], "images_per_second": record["images_per_second"]}
        return fields | {"eta": round(record["seconds"] / done * left, 1)}

    def update(self, **fields: Any) -> None:  # noqa: ANN401 - the status's fields
        """Change fields of the status on disk."""
        self.status = self.status.model_copy(update={**fields, "updated": time.time()})
        self.run.write_status(self.status)

    def save(self, state: dict[str, Any]) -> None:
        """Keep the state to resume from; the file before it stays until this one is whole."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        atomic_write(self.run.path / LAST, buffer.getvalue())

    def stopping(self) -> bool:
        """Whether a signal came or a stop file lies in the folder."""
        return self.asked.is_set() or self.run.stop_requested

    def close(self) -> None:
        """Close the metrics."""
        self._metrics.close()


def execute(run: Run, device: str = "auto", listener: Listener | None = None) -> str:
    """Train `run` to its end and return its last state: "done" or "stopped".

    Goes on from the last checkpoint where there is one. Whatever goes wrong is written into the
    status before it is raised. A run that another process trains is refused.
    """
    lock = filelock.FileLock(run.path / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise CnnvizError(f"The run {run.id} is being trained by another process.") from None
    try:
        with lock:
            return _locked(run, device, listener)
    finally:
        with contextlib.suppress(OSError, CnnvizError):  # the queue's trouble is not this run's
            start_next()


def _locked(run: Run, device: str, listener: Listener | None) -> str:
    """Train a run whose folder is this process's alone."""
    if run.can_resume:  # a stop that lies there was meant for the last trainer, who is gone
        (run.path / STOP).unlink(missing_ok=True)
    started = psutil.Process().create_time()
    status = run.status.model_copy(
        update={
            "state": "starting",
            "pid": os.getpid(),
            "pid_started": started,
            "message": "",
            "updated": time.time(),
        }
    )
    run.write_status(status)
    sweep_temporaries(run.path)
    with contextlib.closing(RunObserver(run, status, listener)) as observer:
        return _guarded(run, observer, device)


def _guarded(run: Run, observer: RunObserver, device: str) -> str:
    """Train with signals caught and every end, good or bad, written down."""
    failure = ""
    try:
        with _signals(observer.asked):
            trainer, notice = _prepare(run, device)
            observer.update(
                state="running",
                steps=trainer.steps,
                step=trainer.step,
                device=str(trainer.device),
                precision=trainer.precision,
                message=notice,
            )
            if not trainer.fit(observer):
                observer.update(state="stopped", eta=None)
                (run.path / STOP).unlink(missing_ok=True)
                return "stopped"
            checkpoint = _finish(run, trainer)
        observer.update(state="done", accuracy=checkpoint.card.accuracy, eta=None)
        (run.path / STOP).unlink(missing_ok=True)
        return "done"
    except torch.cuda.OutOfMemoryError:
        half = max(run.recipe.batch_size // 2, 1)
        failure = f"The device ran out of memory: start a new run with a batch size of {half}."
    except CnnvizError as error:
        failure = str(error)
    except BaseException as error:
        _record_failure(run, observer, f"{type(error).__name__}: {error}")
        raise
    _record_failure(run, observer, failure)
    raise CnnvizError(failure)


def _record_failure(run: Run, observer: RunObserver, message: str) -> None:
    # The disk may be full or the folder gone; the failure itself must still reach the caller.
    with contextlib.suppress(OSError, CnnvizError):
        if run.path.is_dir():
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


def _prepare(run: Run, device: str) -> tuple[Trainer, str]:
    """The trainer, at the step of the last checkpoint, and what the user should know of it."""
    notice = ""
    try:
        chosen = pick_device(device)
    except CnnvizError:
        if not (run.path / LAST).exists():
            raise
        chosen, notice = torch.device("cpu"), f"{device} is gone; training goes on on the CPU."
    if chosen.type == "cpu":
        torch.set_num_threads(cpu_threads())
    trainer = Trainer(run.recipe, data.load(run.recipe.dataset), chosen)
    if (run.path / LAST).exists():
        state = torch.load(run.path / LAST, map_location=chosen, weights_only=True)
        trainer.load_state_dict(state)
    _cut_metrics(run, trainer.step)
    return trainer, notice


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


def _finish(run: Run, trainer: Trainer) -> Checkpoint:
    """Write the weights, evaluate what was written once on the test images, write the card."""
    images = trainer.data
    card = _card(run, trainer)
    saved = save_checkpoint(trainer.final_model, card, run.path)
    # Rounding to fp16 moves a figure in its last digits; the card's is the file's own.
    result = evaluate(
        saved.load_model().to(trainer.device),
        images.test_images,
        images.test_labels,
        mean=images.mean,
        std=images.std,
        size=trainer.size,
    )
    figures = {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "per_class": result.per_class(images.classes),
        "test_images": result.images,
    }
    return save_checkpoint(trainer.final_model, card.model_copy(update=figures), run.path)


def _card(run: Run, trainer: Trainer) -> Card:
    recipe = trainer.recipe
    input_size = (trainer.data.channels, *trainer.size)
    return Card(
        name=run.id,
        variant=recipe.variant,
        knobs=recipe.knobs,
        dataset=recipe.dataset,
        classes=trainer.data.classes,
        input_size=input_size,
        mean=trainer.data.mean,
        std=trainer.data.std,
        train_images=len(trainer.images),
        recipe=recipe.model_dump(),
        seed=recipe.seed,
        epochs=recipe.epochs,
        device=device_name(trainer.device),
        precision=trainer.precision,
        seconds=round(trainer.seconds, 1),
        images_per_second=round(trainer.step * recipe.batch_size / trainer.seconds, 1),
        macs=trace(trainer.model, input_size).macs,
        history=trainer.history,
    )


def recompute(path: str) -> dict[str, Any]:
    """Evaluate a checkpoint again on all test images of its data set (`evaluate` of the CLI)."""
    checkpoint = read_checkpoint(path)
    card = checkpoint.card
    images = data.load(card.dataset).for_channels(card.input_size[0])
    result = evaluate(
        checkpoint.load_model(),
        images.test_images,
        images.test_labels,
        mean=card.mean,
        std=card.std,
        size=card.input_size[1:],
    )
    return {
        "checkpoint": checkpoint.name,
        "variant": card.variant,
        "dataset": card.dataset,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "images": result.images,
        "per_class": result.per_class(images.classes),
        "card_accuracy": card.accuracy,
    }
