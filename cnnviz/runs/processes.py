"""Which process trains a run, whether it still lives, and how to end it and nothing else."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from pathlib import Path
from typing import Any

import psutil


def this_host() -> str:
    """The name of this machine, as it stands in the status of the runs that it trains."""
    return platform.node()


def identify(pid: int | None = None) -> dict[str, Any]:
    """The fields of the status that name a process of this machine, by default this very one.

    Raises `psutil.NoSuchProcess` if it has ended and was waited for.
    """
    process = psutil.Process(pid)
    return {
        "host": this_host(),
        "pid": process.pid,
        "pid_started": process.create_time(),
        "born": birth(process.pid),
    }


def birth(pid: int) -> str:
    """The boot of this machine and the clock ticks from it to the start of the process.

    Unlike a time of day this never changes, whatever is done to the clock. "" where the system
    does not tell (it is Linux that does, in proc(5)).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{boot}/{fields[19]}"  # the 22nd field, of which two stand before the ")"
    except (OSError, IndexError):
        return ""


def is_alive(pid: int | None, started: float | None, born: str = "") -> bool:
    """Whether the very process that began then still runs here; a zombie does not.

    `started` is its start in seconds since 1970, within 2 s; `born` is what `birth` said of it,
    and decides where it is known.
    """
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        now = birth(pid)
        if born and now:
            return born == now
        return started is None or abs(process.create_time() - started) < 2
    except psutil.Error:
        return False


def end(pid: int | None, started: float | None, born: str = "") -> None:
    """Ask the process to end (SIGTERM); never another one that was given its pid."""
    if pid is not None and is_alive(pid, started, born):
        with contextlib.suppress(psutil.Error):
            psutil.Process(pid).terminate()


def kill_group(pid: int | None, started: float | None, born: str = "") -> None:
    """Kill the process, all it started, and its group if it leads one.

    The group of a trainer that somebody started in a shell may hold others: it is left alone.
    """
    if pid is None or not is_alive(pid, started, born):
        return
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        victims = [*process.children(recursive=True), process]
        if hasattr(os, "killpg") and os.getpgid(pid) == pid != os.getpgid(0):
            os.killpg(pid, signal.SIGKILL)
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                victim.kill()
