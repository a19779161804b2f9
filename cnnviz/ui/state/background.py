"""Long work in a thread of its own, which goes on when the visitor presses something else.

Streamlit ends a page's script where a widget is touched. A scan of ten thousand images would have
to begin again each time; here the next run of the script finds the same job and shows how far it
has come, and two visitors who ask for the same wait for one job.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import streamlit as st

#: Called with how much is done and how much there is.
Report = Callable[[int, int], None]

_LOOK_SECONDS = 0.15


class Job:
    """One piece of work: started once, asked as often as one likes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = False
        self._ended = threading.Event()
        self._result: Any = None
        self._error: Exception | None = None
        self.done, self.total = 0, 0

    def start(self, work: Callable[[Report], Any]) -> None:
        """Begin `work`, unless it has begun; one that failed begins again."""
        with self._lock:
            if self._started:
                return
            self._started, self._error = True, None
            self._ended.clear()
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[Report], Any]) -> None:
        try:
            self._result = work(self._report)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            self._error = error
        finally:
            self._ended.set()

    def _report(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def wait(self, seconds: float | None = None) -> bool:
        """Wait up to `seconds`, else to the end, and tell whether the work has ended."""
        return self._ended.wait(seconds)

    def result(self) -> Any:  # noqa: ANN401
        """Return what the work returned, or raise what it raised; once it has ended."""
        if self._error is not None:
            error = self._error
            with self._lock:
                self._started = False  # what failed may succeed when asked again
            raise error
        return self._result


def watch(job: Job, text: str) -> Any:  # noqa: ANN401
    """Wait for `job` behind a progress bar, which comes only if it takes a while.

    `text` says what is being done; "{done:,} of {total:,}" is added. Raises what the work raised.
    """
    if not job.wait(2 * _LOOK_SECONDS):
        place = st.empty()
        shown = -1
        while not job.wait(_LOOK_SECONDS):
            if job.done != shown:
                shown = job.done
                share = job.done / job.total if job.total else 0.0
                behind = f": {job.done:,} of {job.total:,}" if job.total else " …"
                place.progress(share, f"{text}{behind}")
        place.empty()
    return job.result()
