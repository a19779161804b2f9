"""File locks: one for the queue, one for each device of each machine.

They are the kernel's (flock): freed on the holder's death, whatever it died of.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import filelock

from cnnviz.errors import CnnvizError
from cnnviz.runs.processes import this_host
from cnnviz.settings import runs_dir

#: Whoever changes the queue holds its lock for milliseconds; longer is a fault (seconds).
PATIENCE = 30.0


@contextlib.contextmanager
def queue_lock() -> Iterator[None]:
    """Hold the queue, so that it is read and changed by one process at a time.

    Raises `CnnvizError` where another does not let go, or the disk takes no locks.
    """
    with _held(runs_dir() / ".queue.lock", PATIENCE) as mine:
        if not mine:
            raise CnnvizError(
                "Another process has held the queue for half a minute: try again, and if it lasts "
                f"end the process that holds {runs_dir() / '.queue.lock'}."
            )
        yield


@contextlib.contextmanager
def device_lock(device: str) -> Iterator[bool]:
    """Hold a device of this machine; gives False where another process does."""
    name = re.sub(r"[^\w-]+", "_", f"{this_host()}-{device}")
    with _held(runs_dir() / f".device-{name}.lock", 0) as mine:
        yield mine


@contextlib.contextmanager
def _held(path: Path, patience: float) -> Iterator[bool]:
    lock = filelock.FileLock(path, timeout=patience)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise CnnvizError(
            f"No file can be locked in {path.parent} ({error.strerror}): point CNNVIZ_RUNS at a "
            "disk that can be written and takes locks (NFS with its lock service, say)."
        ) from error
    try:
        yield True
    finally:
        lock.release()
