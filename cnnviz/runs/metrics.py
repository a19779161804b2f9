"""Reading metrics.jsonl while a trainer may be writing it."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EPOCH = re.compile(r'"kind":\s*"epoch"')
#: What every record of a kind has; its other numbers may be missing.
_NEEDED = {
    "step": ("step", "epoch", "loss"),
    "epoch": ("step", "epoch", "train_loss", "train_accuracy"),
}


@dataclass(frozen=True)
class Metrics:
    """The records of metrics.jsonl: `steps` within epochs, `epochs` at their ends.

    `damaged` counts the lines that could not be read.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0


def parse_metrics(text: str) -> Metrics:
    """Read the records. A torn last line is one still being written; other damage is counted."""
    steps: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    damaged = 0
    for line in filter(None, text.split("\n")[:-1]):  # what follows the last newline is unfinished
        try:
            record = json.loads(line)
            whole = _is_whole(record)
        except (ValueError, TypeError, KeyError, RecursionError):
            whole = False
        if whole:
            (epochs if record["kind"] == "epoch" else steps).append(record)
        damaged += not whole
    return Metrics(steps, epochs, damaged)


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether `record` has what its kind needs, and numbers or nothing where it has any more."""
    needed = _NEEDED[record["kind"]]
    others = record.keys() - {"kind", "notice", *needed}
    return all(math.isfinite(record[name]) for name in needed) and all(
        isinstance(record[name], int | float | None) for name in others
    )


def last_epoch(path: Path, block: int = 16_384) -> dict[str, Any]:
    """The last whole epoch's record of the file at `path`, or {} if there is none.

    Reads the last `block` bytes, and more only where no epoch ended in them: a list of runs asks
    this of each, and a long run has written megabytes.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = end
            while start:
                start = max(end - block, 0)
                file.seek(start)
                lines = file.read(end - start).decode(errors="replace").split("\n")
                # The last is being written, and the first may be cut.
                whole = lines[1:-1] if start else lines[:-1]
                for line in filter(_EPOCH.search, reversed(whole)):
                    if found := parse_metrics(line + "\n").epochs:
                        return found[0]
                block *= 8
    except OSError:
        pass
    return {}
