"""When the loop reports and saves, and what it measures on the way."""

from __future__ import annotations

import time

#: Seconds between two progress reports; each costs one wait for the device.
REPORT_EVERY = 0.5
#: Seconds between two checkpoints within an epoch; one more is written at each epoch's end.
SAVE_EVERY = 60.0


class Watch:
    """Time since the last lap, and what is due."""

    def __init__(self, step: int) -> None:
        self._lap = self._report = self._save = time.perf_counter()
        self._step = step
        self.report_due = self.save_due = False

    def lap(self) -> float:
        """Seconds since the last lap; a new one begins."""
        now = time.perf_counter()
        passed, self._lap = now - self._lap, now
        self.report_due = now - self._report >= REPORT_EVERY
        self.save_due = now - self._save >= SAVE_EVERY
        return passed

    def saved(self) -> None:
        """Count from now to the next checkpoint."""
        self._save = time.perf_counter()

    def rate(self, step: int) -> float:
        """Steps a second since the last call; starts the next interval."""
        passed = max(self._lap - self._report, 1e-9)
        steps, self._step, self._report = step - self._step, step, self._lap
        return steps / passed
