"""Whom the loop tells how far it is, when, and what it measures on the way."""

from __future__ import annotations

import time
from typing import Any, Protocol

from cnnviz.errors import CnnvizError

#: Seconds between two progress reports; each costs one wait for the device.
REPORT_EVERY = 0.5
#: Seconds between two checkpoints within an epoch; one more is written at each epoch's end.
SAVE_EVERY = 60.0


class Observer(Protocol):
    """What the loop tells, and asks, while it runs."""

    def report(self, record: dict[str, Any]) -> None:
        """Take a progress record ("kind": "step" or "epoch")."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep `Trainer.state_dict()` where a resumed run finds it."""

    def stopping(self) -> bool:
        """Whether somebody asked the run to stop after this batch."""


class Diverged(CnnvizError):
    """The loss is no longer a finite number."""


class Watch:
    """Time since the last lap, what is due, and how fast the steps since the last report were."""

    def __init__(self, images: int, step_seconds: float) -> None:
        """Begin where `images` were learnt from in `step_seconds` of steps."""
        self._lap = self._report = self._save = time.perf_counter()
        self._images, self._step_seconds = images, step_seconds

    def lap(self) -> float:
        """Seconds since the last lap; a new one begins."""
        now = time.perf_counter()
        passed, self._lap = now - self._lap, now
        return passed

    @property
    def report_due(self) -> bool:
        """Whether it is time for another report."""
        return time.perf_counter() - self._report >= REPORT_EVERY

    @property
    def save_due(self) -> bool:
        """Whether it is time for another checkpoint."""
        return time.perf_counter() - self._save >= SAVE_EVERY

    def saved(self) -> None:
        """Count from now to the next checkpoint."""
        self._save = time.perf_counter()

    def rate(self, images: int, step_seconds: float) -> float:
        """Images a second of the steps since the last call; starts the next interval."""
        passed = max(step_seconds - self._step_seconds, 1e-9)
        learnt = images - self._images
        self._images, self._step_seconds = images, step_seconds
        self._report = time.perf_counter()
        return learnt / passed
