"""Names and files of runs and checkpoints: safe to take from a user, safe to be killed in."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

from cnnviz.errors import CnnvizError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")


def safe_name(name: str) -> str:
    """Return `name` if it can name a run or a checkpoint, or raise `CnnvizError`.

    Allowed are 1 to 100 small letters, digits, `_`, `-` and `.`, the first a letter or digit,
    without `..`: no path, no hidden file, and nothing that collides on a disk which ignores case.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        shown = name if len(name) <= 100 else f"{name[:100]}…"
        raise CnnvizError(
            f"{shown!r} cannot be a name: use 1 to 100 small letters, digits, '_', '-' or '.', "
            "beginning with a letter or digit and without '..'."
        )
    return name


def inside(folder: Path, name: str, suffix: str = "") -> Path:
    """Return the path of `name` + `suffix` directly in `folder`, whether or not it exists.

    Raises `CnnvizError` for an unsafe name, for a link that leads out of the folder, and for a
    name that differs only by case from one that is there.
    """
    filename = safe_name(name) + suffix
    root = folder.resolve()
    path = root / filename
    try:
        itself = path.resolve() == path
    except (OSError, RuntimeError):  # links in a circle
        itself = False
    if not itself:
        raise CnnvizError(
            f"{filename} is a link that leads out of {folder} or to another name: put the file "
            "itself there."
        )
    if root.is_dir():
        for entry in os.listdir(root):  # noqa: PTH208 - names alone, without a Path for each
            if entry != filename and entry.lower() == filename.lower():
                raise CnnvizError(
                    f"{filename!r} differs only by case from {entry!r} in {folder}: rename one."
                )
    return path


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that at every moment the old or the new file is there, whole.

    A temporary file beside the target is written and forced to disk, then takes the target's
    place. Missing folders are made. Raises `CnnvizError` where the disk is full or the folder
    cannot be written; the old file is then untouched.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(".tmp", f".{path.name[:100]}.", path.parent)
        temporary = Path(made)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would hide a published file from others
        temporary.replace(path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> CnnvizError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CnnvizError(
            f"The disk is full: {path} was not written and its old state is kept; free some space "
            "and try again."
        )
    reason = error.strerror or str(error)
    return CnnvizError(f"{path} cannot be written ({reason}): choose a folder that can be.")


def sync_folder(folder: Path) -> None:
    """Force the folder's own entries to disk, so that a rename in it survives a power cut."""
    if os.name != "posix":  # Windows has no handle on a folder to force
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_temporaries(folder: Path) -> int:
    """Delete what killed writers left in `folder`; return the number of files.

    To be called at a start, by the one process that writes in the folder.
    """
    orphans = [path for path in folder.glob(".*.tmp") if path.is_file()]
    for path in orphans:
        path.unlink(missing_ok=True)
    return len(orphans)
