"""The run folder: what is in it, and how to tell from it what the run is doing.

``runs/ID/`` holds ``recipe.json``, ``status.json`` (written aside and moved into place),
``metrics.jsonl`` (one writer, appended and flushed), ``log.txt``, ``last.pt`` (everything to
resume from) and, at the end, the weights and their card; ``about.json`` has what people say of
it, which no trainer touches. Nothing here needs torch: a list of runs is there at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from cnnviz.errors import CnnvizError
from cnnviz.runs.metrics import Metrics, last_epoch, parse_metrics
from cnnviz.runs.processes import is_alive, this_host
from cnnviz.settings import runs_dir
from cnnviz.training.saved.files import atomic_write, inside, safe_name

if TYPE_CHECKING:  # it needs torch, which a list of runs does not
    from cnnviz.training.recipe import Recipe

RECIPE, STATUS, METRICS, LOG = "recipe.json", "status.json", "metrics.jsonl", "log.txt"
LAST, STOP, LOCK, HOLD, ABOUT = "last.pt", "stop", "lock", "hold", "about.json"
RESERVE = "reserve"

#: A live trainer reports at least this often (seconds); one slower than this is "stalled".
STALLED_AFTER = 60.0
#: Another machine's processes cannot be asked: silent for so long (seconds), a trainer is gone.
LOST_AFTER = 600.0
#: Bytes kept while a run trains, so that on a disk without a free block its end can be written.
RESERVED = 16_384
#: Between making a run's folder and starting its process pass milliseconds, not so many seconds.
STARTING_GRACE = 10.0
#: How long a stopping trainer may take to finish its batch and save (seconds).
STOP_GRACE = 60.0

Recorded = Literal["queued", "starting", "running", "interrupted", "stopped", "failed", "done"]
State = Literal[
    "queued",
    "starting",
    "running",
    "stalled",
    "stopping",
    "paused",
    "interrupted",
    "stopped",
    "failed",
    "done",
]
ENDED = ("interrupted", "stopped", "failed", "done")
#: Seconds since 1970, until the year 9999: a calendar knows no later ones.
Moment = Annotated[float, Field(ge=0, lt=253_370_764_800)]


class Status(BaseModel):
    """What the trainer last said of itself; times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    state: Recorded = "starting"
    created: Moment = 0.0
    #: Its place in the queue: the time at which it was asked for, until it is moved.
    queued: Moment = 0.0
    updated: Moment = 0.0
    #: The machine that trains it, or on whose device it waits.
    host: str = ""
    pid: PositiveInt | None = None
    #: The start of that process: a pid alone may since have been given to another one.
    pid_started: float | None = None
    born: str = ""
    launcher: Literal["local", "ray"] = "local"
    #: Where it was submitted to a cluster: the cluster's address and the job there.
    address: str = ""
    job: str = ""
    device: str = ""
    precision: str = ""
    step: NonNegativeInt = 0
    steps: NonNegativeInt = 0
    epoch: NonNegativeFloat = 0.0
    loss: float | None = None
    #: Of the training steps alone, all of the run's.
    images_per_second: float | None = None
    #: With what is done beside the steps: evaluating, saving.
    seconds: float = 0.0
    eta: float | None = None
    accuracy: float | None = None
    message: str = ""


class About(BaseModel):
    """What people say of a run: the request it belongs to, the run it was cloned from, a note."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: str = ""
    cloned_from: str = ""
    note: str = ""


class RecipeHead(BaseModel):
    """The part of a recipe that a list shows, read without knowing any network."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    variant: str = Field(pattern=r"^\S+$")
    knobs: dict[str, int | float | str | bool] = {}
    dataset: str
    epochs: int
    seed: int


@dataclass(frozen=True)
class Run:
    """A recipe being or having been executed, in its folder."""

    path: Path

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether it is still there: of a folder deleted while it trains, an end may be left."""
        return (self.path / RECIPE).is_file()

    @property
    def recipe(self) -> Recipe:
        """The recipe it was asked for."""
        from cnnviz.training.recipe import parse_recipe

        try:
            return parse_recipe(json.loads((self.path / RECIPE).read_bytes()))
        except CnnvizError as error:
            raise self._unreadable(str(error)) from error
        except OSError as error:
            raise self._unreadable(f"{error.strerror or error}.") from error
        except (ValueError, RecursionError, TypeError) as error:
            raise self._unreadable("It is not JSON.") from error

    @property
    def head(self) -> RecipeHead:
        """The recipe's variant, data set, epochs and seed: at once, and without torch."""
        try:
            return RecipeHead.model_validate_json((self.path / RECIPE).read_bytes())
        except OSError as error:
            raise self._unreadable(f"{error.strerror or error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            said = f"{field}: {first['msg']}" if field else first["msg"]
            raise self._unreadable(f"{said}.") from error

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's fields as they were written, unchecked: at once, and without torch."""
        try:
            fields = json.loads((self.path / RECIPE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return fields if isinstance(fields, dict) else {}

    def _unreadable(self, reason: str) -> CnnvizError:
        return CnnvizError(
            f"The {RECIPE} of the run {self.id} cannot be used. {reason} Mend the file, or delete "
            "the run."
        )

    @property
    def about(self) -> About:
        """Its request, origin and note; empty where there are none."""
        try:
            return About.model_validate_json((self.path / ABOUT).read_bytes())
        except (OSError, ValidationError):
            return About()

    @property
    def status(self) -> Status:
        """What the trainer last wrote; an empty status where there is none.

        Of one that is damaged its message says so.
        """
        try:
            return Status.model_validate_json((self.path / STATUS).read_bytes())
        except OSError:
            return Status()
        except ValidationError:
            return self._damaged()

    def _damaged(self) -> Status:
        """What can still be said of a run whose status is no longer readable."""
        message = f"Its {STATUS} is damaged: resume it from the last checkpoint."
        try:
            created = (self.path / RECIPE).stat().st_mtime
        except OSError:
            created = 0.0
        return Status(state="interrupted", created=created, message=message)

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked for a stop that has not been answered yet."""
        return (self.path / STOP).exists()

    @property
    def can_resume(self) -> bool:
        """Whether training can go on (or, where nothing was kept, begin again)."""
        return self.state in ("paused", "interrupted", "stopped", "failed")

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
        return self.judge(self.status)

    def judge(self, status: Status) -> State:
        """What is true now of a run that recorded `status`.

        A process of this machine is looked up; one of another machine is known by its sign of
        life alone, so the clocks should agree to a minute.
        """
        if status.state in ("queued", "stopped") and (self.path / HOLD).exists():
            return "paused"
        if status.state in ("queued", *ENDED):
            return status.state
        silent = time.time() - status.updated
        if status.pid is None:  # created, its process not yet started
            return "starting" if silent < STARTING_GRACE else "interrupted"
        if status.host in ("", this_host()):
            alive = is_alive(status.pid, status.pid_started, status.born)
        else:
            alive = silent < LOST_AFTER
        if not alive:
            return "interrupted"
        if self.stop_requested:
            return "stopping"
        if status.state == "running" and silent > STALLED_AFTER:
            return "stalled"
        return "running" if status.state == "running" else "starting"

    def write_status(self, status: Status) -> None:
        """Put `status` in place in one move, so that no reader sees half of it.

        Raises `CnnvizError` where the folder was deleted, which is not made again, and where the
        disk is full; an end finds room even then.
        """
        reserve = self.path / RESERVE
        if status.state == "starting":
            with contextlib.suppress(OSError):
                if not reserve.exists() and self.path.is_dir():
                    reserve.write_bytes(os.urandom(RESERVED))  # zeros might take no room
        try:
            self._write(STATUS, status.model_dump_json())
        except CnnvizError:
            if status.state not in ENDED or not reserve.exists():
                raise
            reserve.unlink()
            self._write(STATUS, status.model_dump_json())
        if status.state == "done":
            reserve.unlink(missing_ok=True)

    def write_about(self, about: About) -> None:
        """Put `about` in place in one move."""
        self._write(ABOUT, about.model_dump_json(indent=2))

    def _write(self, name: str, text: str) -> None:
        if not self.path.is_dir():
            raise CnnvizError(f"The folder of the run {self.id} was deleted: start a new run.")
        atomic_write(self.path / name, text.encode())

    def metrics(self) -> Metrics:
        """Read the metrics. A torn last line is one still being written; others are counted."""
        try:
            return parse_metrics((self.path / METRICS).read_text(errors="replace"))
        except OSError:
            return Metrics()

    def log_tail(self, characters: int = 4_000) -> str:
        """The end of what the trainer printed, or of what the cluster says of its job."""
        status = self.status
        if status.job and not (self.path / LOG).exists():
            from cnnviz.runs.ray_client import job_log

            return job_log(status.address, status.job)[-characters:]
        try:
            with (self.path / LOG).open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - 4 * characters, 0))  # UTF-8: 4 at most
                return file.read().decode(errors="replace")[-characters:]
        except OSError:
            return ""

    def summary(self) -> dict[str, Any]:
        """One row of `runs list`, but for the position in the queue (see `queue.rows`)."""
        status, head, about = self.status, self.head, self.about
        state = self.judge(status)
        return {
            "id": self.id,
            "variant": head.variant,
            "knobs": head.knobs,
            "dataset": head.dataset,
            "state": state,
            "epoch": int(status.epoch),
            "epochs": head.epochs,
            "step": status.step,
            "steps": status.steps,
            "loss": status.loss,
            "val_accuracy": last_epoch(self.path / METRICS).get("val_accuracy"),
            "accuracy": status.accuracy,
            "seconds": status.seconds,
            "eta": status.eta if state == "running" else None,  # others' forecast no longer holds
            "device": status.device,
            "host": status.host,
            "launcher": status.launcher,
            "job": status.job,
            "seed": head.seed,
            "request": about.request,
            "cloned_from": about.cloned_from,
            "note": about.note,
            "message": status.message,
            "path": str(self.path),
        }


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


def survey_runs(heads_only: bool = False) -> RunSurvey:
    """Sort all runs into those that can be shown and those that can only be deleted.

    With `heads_only` a recipe is not checked against its network, which would need torch.
    """
    survey = RunSurvey([], {})
    for run in list_runs():
        try:
            _ = run.head if heads_only else run.recipe
            survey.runs.append(run)
        except CnnvizError as error:
            if run.exists:  # somebody may be deleting it at this moment
                survey.problems[run.id] = str(error)
    return survey


def list_runs() -> list[Run]:
    """Return all runs, newest first, readable or not."""
    folder = runs_dir()
    if not folder.is_dir():
        return []
    runs = [Run(path) for path in folder.iterdir() if Run(path).exists]
    return sorted(runs, key=lambda run: (run.status.created, run.id), reverse=True)
