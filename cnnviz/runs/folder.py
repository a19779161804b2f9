"""The run folder: what is in it, and how to tell from it what the run is doing.

``runs/ID/`` holds ``recipe.json``, ``status.json`` (written aside and moved into place),
``metrics.jsonl`` (one writer, appended and flushed), ``log.txt``, ``last.pt`` (everything to
resume from) and, at the end, the weights and their card.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from cnnviz.errors import CnnvizError
from cnnviz.settings import runs_dir
from cnnviz.training.files import atomic_write, inside, safe_name
from cnnviz.training.recipe import Recipe, parse_recipe

RECIPE, STATUS, METRICS, LOG = "recipe.json", "status.json", "metrics.jsonl", "log.txt"
LAST, STOP, LOCK = "last.pt", "stop", "lock"

#: A live trainer reports at least this often (seconds); one slower than this is "stalled".
STALLED_AFTER = 60.0
#: Between making a run's folder and starting its process pass milliseconds, not so many seconds.
STARTING_GRACE = 10.0

Recorded = Literal["queued", "starting", "running", "stopped", "failed", "done"]
State = Literal[
    "queued",
    "starting",
    "running",
    "stalled",
    "stopping",
    "interrupted",
    "stopped",
    "failed",
    "done",
]


class Status(BaseModel):
    """What the trainer last said of itself; times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: Recorded = "starting"
    created: float = 0.0
    queued: float = 0.0
    updated: float = 0.0
    pid: int | None = None
    #: The start time of that process: a pid alone may since have been given to another one.
    pid_started: float | None = None
    device: str = ""
    precision: str = ""
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    images_per_second: float | None = None
    seconds: float = 0.0
    eta: float | None = None
    accuracy: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Metrics:
    """The records of metrics.jsonl: `steps` within epochs, `epochs` at their ends."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0


@dataclass(frozen=True)
class Run:
    """A recipe being or having been executed, in its folder."""

    path: Path

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    @property
    def recipe(self) -> Recipe:
        """The recipe it was asked for."""
        try:
            return parse_recipe(json.loads((self.path / RECIPE).read_text()))
        except (OSError, ValueError, CnnvizError) as error:
            raise CnnvizError(
                f"The run {self.id} has no readable {RECIPE}: delete it and start a new one."
            ) from error

    @property
    def status(self) -> Status:
        """What the trainer last wrote; an empty status where it wrote nothing readable."""
        try:
            return Status.model_validate_json((self.path / STATUS).read_text())
        except (OSError, ValidationError):
            return Status()

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked for a stop that has not been answered yet."""
        return (self.path / STOP).exists()

    @property
    def can_resume(self) -> bool:
        """Whether training can go on (or, where nothing was kept, begin again)."""
        return self.state in ("interrupted", "stopped", "failed")

    @property
    def is_training(self) -> bool:
        """Whether a trainer is at work."""
        return self.state in ("starting", "running", "stalled", "stopping")

    @property
    def is_active(self) -> bool:
        """Whether it trains or waits to, so that looking again is worth while."""
        return self.is_training or self.state == "queued"

    @property
    def state(self) -> State:
        """What is true now: the recorded state, checked against the process and the clock."""
        status = self.status
        if status.state in ("queued", "stopped", "failed", "done"):
            return status.state
        if status.pid is None:  # created, its process not yet started
            fresh = time.time() - status.updated < STARTING_GRACE
            return "starting" if fresh else "interrupted"
        if not _alive(status.pid, status.pid_started):
            return "interrupted"
        if self.stop_requested:
            return "stopping"
        if status.state == "running" and time.time() - status.updated > STALLED_AFTER:
            return "stalled"
        return status.state

    def write_status(self, status: Status) -> None:
        """Put `status` in place in one move, so that no reader sees half of it."""
        atomic_write(self.path / STATUS, status.model_dump_json().encode())

    def metrics(self) -> Metrics:
        """Read the metrics. A torn last line is one still being written; others are counted."""
        try:
            lines = (self.path / METRICS).read_text(errors="replace").split("\n")
        except OSError:
            return Metrics()
        steps: list[dict[str, Any]] = []
        epochs: list[dict[str, Any]] = []
        damaged = 0
        for line in filter(None, lines[:-1]):  # what follows the last newline is not finished
            try:
                record = json.loads(line)
                (epochs if record["kind"] == "epoch" else steps).append(record)
            except (ValueError, TypeError, KeyError):
                damaged += 1
        return Metrics(steps, epochs, damaged)

    def log_tail(self, characters: int = 4_000) -> str:
        """The end of what the trainer printed."""
        try:
            return (self.path / LOG).read_text(errors="replace")[-characters:]
        except OSError:
            return ""

    def summary(self) -> dict[str, Any]:
        """One row of `runs list`."""
        status, recipe = self.status, self.recipe
        latest = self.metrics().epochs[-1:]
        return {
            "id": self.id,
            "variant": recipe.variant,
            "dataset": recipe.dataset,
            "state": self.state,
            "epoch": int(status.epoch),
            "epochs": recipe.epochs,
            "step": status.step,
            "steps": status.steps,
            "loss": status.loss,
            "val_accuracy": latest[0].get("val_accuracy") if latest else None,
            "accuracy": status.accuracy,
            "seconds": status.seconds,
            "eta": status.eta,
            "device": status.device,
            "seed": recipe.seed,
            "message": status.message,
            "path": str(self.path),
        }


def _alive(pid: int, started: float | None) -> bool:
    """Whether the very process that began at `started` still runs (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return started is None or abs(process.create_time() - started) < 2
    except psutil.Error:
        return False


def find_run(run_id: str) -> Run:
    """Return the run called `run_id`; raises `CnnvizError` if there is none."""
    path = inside(runs_dir(), safe_name(run_id))
    if not (path / RECIPE).is_file():
        raise CnnvizError(f"There is no run {run_id!r}: `python -m cnnviz runs list` shows all.")
    return Run(path)


class RunSurvey(NamedTuple):
    """The runs, newest first, and for each whose recipe cannot be read a sentence that says so."""

    runs: list[Run]
    problems: dict[str, str]


def survey_runs() -> RunSurvey:
    """Sort all runs into those that can be shown and those that can only be deleted."""
    survey = RunSurvey([], {})
    for run in list_runs():
        try:
            _ = run.recipe
            survey.runs.append(run)
        except CnnvizError as error:
            survey.problems[run.id] = str(error)
    return survey


def list_runs() -> list[Run]:
    """Return all runs, newest first, readable or not."""
    folder = runs_dir()
    if not folder.is_dir():
        return []
    runs = [Run(path) for path in folder.iterdir() if (path / RECIPE).is_file()]
    return sorted(runs, key=lambda run: (run.status.created, run.id), reverse=True)
