"""The rows of `list`, kept on disk: tracing every variant takes seconds, reading them does not.

They lie in the user's cache folder (``$XDG_CACHE_HOME``, by default ``~/.cache``) under the hash of
all that they follow from: the sources that build and count the variants, torchvision's among them,
and the versions of Python, torch and torchvision. Whatever changes there makes another file, so
none is ever stale.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, NonNegativeInt, TypeAdapter, ValidationError

from cnnviz.settings import ROOT

# What builds a variant and counts it.
_DECIDING = ("architectures", "anatomy", "families.py", "registry.py", "networks")


class ListedVariant(BaseModel, extra="forbid"):
    """A row of `list`."""

    name: str
    family: str
    year: int
    edition: Literal["paper", "cifar"]
    input_size: tuple[int, int, int]
    num_classes: int
    params: NonNegativeInt
    macs: NonNegativeInt


_ROWS = TypeAdapter(list[ListedVariant])


def listed(make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows that `make` makes, from the disk where they have been made before."""
    file = _folder() / f"variants-{fingerprint()}.json"
    with suppress(OSError, ValidationError):  # not there yet, or damaged
        kept = _ROWS.validate_json(file.read_bytes())
        return [row.model_dump(mode="json") for row in kept]
    rows = make()
    with suppress(OSError):  # a disk that is full or read-only only costs time
        _keep(file, _ROWS.dump_json(_ROWS.validate_python(rows)))
    return rows


def fingerprint() -> str:
    """Return the hash of the sources and versions that decide what a variant costs."""
    state = hashlib.sha256()
    for part in (platform.python_version(), version("torch"), version("torchvision")):
        state.update(f"{part}\0".encode())
    own = (ROOT / "cnnviz" / name for name in _DECIDING)
    for place in (*own, _torchvision() / "models"):
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            state.update(f"{file.name}\0".encode() + file.read_bytes())
    return state.hexdigest()[:32]


def _torchvision() -> Path:
    """Return torchvision's folder without importing it, which takes seconds."""
    spec = find_spec("torchvision")
    return Path(spec.origin or "").parent if spec else Path("torchvision")


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(cache) if cache else Path.home() / ".cache") / "cnnviz"


def _keep(file: Path, data: bytes) -> None:
    """Write a file so that nobody reads half of it, and remove those of earlier sources."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as written:
        written.write(data)
    Path(written.name).replace(file)
    for old in file.parent.glob("variants-*.json"):
        if old != file:
            old.unlink(missing_ok=True)
