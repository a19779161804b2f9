"""What the environment decides: three folders, and how many cores a task takes."""

import os
from pathlib import Path

import psutil

#: What `torchrun` tells each process of its place among several that train one run.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser().resolve() if value else ROOT / default


def is_one_of_several() -> bool:
    """Whether `torchrun` started this process as one of several."""
    return all(name in os.environ for name in TORCHRUN) and os.environ["WORLD_SIZE"] != "1"


def alone_environment() -> dict[str, str]:
    """The environment for a process that is none of those that `torchrun` started."""
    return {name: value for name, value in os.environ.items() if name not in TORCHRUN}


def data_dir() -> Path:
    """The data sets (``CNNVIZ_DATA``, by default ``data/`` in the project's folder)."""
    return _folder("CNNVIZ_DATA", "data")


def runs_dir() -> Path:
    """The training runs, one folder each (``CNNVIZ_RUNS``, by default ``runs/``)."""
    return _folder("CNNVIZ_RUNS", "runs")


def checkpoints_dir() -> Path:
    """The published checkpoints and their cards (``CNNVIZ_CHECKPOINTS``, ``checkpoints/``)."""
    return _folder("CNNVIZ_CHECKPOINTS", "checkpoints")


def cpu_threads() -> int:
    """CPU threads for one task: `OMP_NUM_THREADS`, by default all cores but one.

    That one is left to whoever watches. Two threads on two busy cores are worse than one, since
    each step waits for the thread that was put aside (measured for ResNet-20 beside one other
    busy process: 20 images/s with two threads, 600 with one).
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return max((psutil.cpu_count(logical=False) or 2) - 1, 1)
