"""What the Train page keeps between reruns.

What is cached as a resource is shared by all visitors and threads.
"""

from __future__ import annotations

import threading
from pathlib import Path

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.runs import METRICS, RECIPE, Metrics, Run
from cnnviz.runs.cluster import refresh
from cnnviz.runs.costs.estimate import Device, Estimate, devices, estimate
from cnnviz.runs.metrics import parse_metrics
from cnnviz.settings import checkpoints_dir
from cnnviz.training.recipe import Recipe, parse_recipe
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import list_checkpoints
from cnnviz.ui.look.recipe_words import changes_text

#: Settings that neither the time of a step nor its memory depends on, and the value they are
#: measured at.
_NO_MATTER = {
    "epochs": 1,
    "lr": 0.1,
    "warmup_epochs": 0.0,
    "label_smoothing": 0.0,
    "compile": False,
    "snapshots": False,
    "tensorboard": False,
    "seed": 0,
    "holdout": 0,
}


class MetricsReader:
    """Reads the metrics of a run as they grow: each look parses only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = Metrics()
        self._offset = 0
        self._last = b""

    def read(self) -> Metrics:
        """Return all records; from the start again where the file is no longer what it was."""
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    # The line before is read again: a resumed run may have cut the file.
                    file.seek(self._offset - len(self._last))
                    data = file.read()
                    if not data.startswith(self._last):
                        self._known, self._offset, self._last = Metrics(), 0, b""
                        file.seek(0)
                        data = file.read()
            except OSError:
                return Metrics()
            new = data[len(self._last) :]
            whole = new[: new.rfind(b"\n") + 1]
            if whole:
                found = parse_metrics(whole.decode(errors="replace"))
                self._known = Metrics(
                    self._known.steps + found.steps,
                    self._known.epochs + found.epochs,
                    self._known.damaged + found.damaged,
                )
                self._offset += len(whole)
                self._last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
            return self._known


@st.cache_resource(max_entries=64, show_spinner=False)
def _reader(path: Path) -> MetricsReader:
    return MetricsReader(path)


def metrics_of(run: Run) -> Metrics:
    """Return the metrics of a run, which are kept: read them only."""
    return _reader(run.path / METRICS).read()


@st.cache_data(ttl=5, show_spinner=False)
def free_devices() -> list[Device]:
    """Return the devices of this machine with the memory that is free on them now."""
    return devices()


def speed_key(recipe: Recipe) -> str:
    """Return all of a recipe that decides how fast, and in how much memory, its steps are."""
    alike = {
        **_NO_MATTER,
        "momentum": 0.9 if recipe.momentum else 0.0,
        "weight_decay": 5e-4 if recipe.weight_decay else 0.0,
        "grad_clip": 1.0 if recipe.grad_clip else 0.0,
        "ema": 0.9 if recipe.ema else 0.0,
        "mixup": 1.0 if recipe.mixup else 0.0,
        "weights": "random" if not recipe.freeze else recipe.weights,
    }
    return recipe.model_copy(update=alike).model_dump_json()


@st.cache_data(max_entries=256, show_spinner=False)
def measured(key: str, device: str) -> Estimate:
    """Return what a run with `speed_key` `key` costs on a device, after two seconds of its steps.

    Raises `CnnvizError` where the device is gone or the network cannot take such inputs.
    """
    return estimate(parse_recipe(Recipe.model_validate_json(key).model_dump()), device)


@st.cache_data(max_entries=4096, show_spinner=False)
def _changes(path: Path, changed: int) -> str:  # noqa: ARG001 - the key
    try:
        return changes_text(Run(path).recipe)
    except CnnvizError:  # the page names a run that cannot be read
        return ""


def changes_of_run(run: Run) -> str:
    """Return `changes_text` of a run's recipe."""
    try:
        return _changes(run.path, (run.path / RECIPE).stat().st_mtime_ns)
    except OSError:
        return ""


@st.cache_data(max_entries=64, show_spinner=False)
def _card(path: Path, changed: int) -> Card | None:  # noqa: ARG001 - the key
    found = list_checkpoints(path)
    return found[0].card if found else None


def card_of(run: Run) -> Card | None:
    """Return the card of a finished run, None where there is none that can be read."""
    try:
        changed = (run.path / f"{run.id}.json").stat().st_mtime_ns
    except OSError:
        return None
    return _card(run.path, changed)


@st.cache_data(ttl=20, show_spinner=False)
def _published(folder: Path) -> dict[str, str]:
    return {c.card.sha256: c.name for c in list_checkpoints(folder)}


def model_name(run: Run) -> str:
    """Return the name by which other pages know the model of a run: it may be published."""
    card = card_of(run)
    return _published(checkpoints_dir()).get(card.sha256, run.id) if card else run.id


@st.cache_data(ttl=15, show_spinner="Asking the Ray cluster …")
def cluster_problems(folder: Path, jobs: tuple[str, ...]) -> list[str]:
    """Bring the states of the runs `jobs` in `folder` up to date, which a cluster trains.

    Returns a sentence for each cluster that does not answer.
    """
    try:
        return refresh([Run(folder / job) for job in jobs])
    except CnnvizError as error:
        return [str(error)]
