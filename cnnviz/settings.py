"""Where cnnviz reads and writes: three folders, each movable by an environment variable."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser().resolve() if value else ROOT / default


def data_dir() -> Path:
    """The data sets (``CNNVIZ_DATA``, by default ``data/`` in the project's folder)."""
    return _folder("CNNVIZ_DATA", "data")


def runs_dir() -> Path:
    """The training runs, one folder each (``CNNVIZ_RUNS``, by default ``runs/``)."""
    return _folder("CNNVIZ_RUNS", "runs")


def checkpoints_dir() -> Path:
    """The published checkpoints and their cards (``CNNVIZ_CHECKPOINTS``, ``checkpoints/``)."""
    return _folder("CNNVIZ_CHECKPOINTS", "checkpoints")
