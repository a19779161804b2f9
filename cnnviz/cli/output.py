"""How the command line prints: JSON, CSV or a table."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from typing import Any, TypeGuard


def print_json(value: object) -> None:
    """Print one JSON document; JSON knows no infinity, so a loss that overflowed is null."""
    print(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_rows(rows: list[dict[str, Any]], columns: list[str], options: argparse.Namespace) -> None:
    """Print rows: every field as JSON, the named columns as CSV or as an aligned table."""
    if options.json:
        print_json(rows)
    elif getattr(options, "csv", False):
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_plain(row[c]) for c in columns] for row in rows])
    else:
        _print_table([[_shown(c, row[c]) for c in columns] for row in rows], columns)


def print_record(record: dict[str, Any], options: argparse.Namespace) -> None:
    """Print one record, as JSON or a field a line."""
    if options.json:
        print_json(record)
        return
    width = max(map(len, record))
    for name, value in record.items():
        print(f"{name:{width}}  {_shown(name, value)}")


def _plain(value: object) -> object:
    """A cell of a CSV file: shapes as 3x32x32, joined by +, nothing where nothing is known."""
    if _is_nested(value):
        return " + ".join(str(_plain(part)) for part in value)
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return "" if value is None else value


def _is_nested(value: object) -> TypeGuard[Sequence[Sequence[object]]]:
    if not isinstance(value, list | tuple):
        return False
    return bool(value) and all(isinstance(part, list | tuple) for part in value)


def _shown(name: str, value: object) -> str:
    """A cell of a table: numbers that count something are grouped, names such as 1998 are not."""
    return str(value) if name in ("year", "seed") else _pretty(value)


def _pretty(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list | tuple) and all(isinstance(part, int) for part in value):
        return "×".join(map(str, value))
    if _is_nested(value):
        return " + ".join(map(_pretty, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_pretty, value))
    return str(value)


def _print_table(cells: list[list[str]], columns: list[str]) -> None:
    if not cells:
        print("nothing to show", file=sys.stderr)
        return
    widths = [max(len(row[i]) for row in [columns, *cells]) for i in range(len(columns))]
    numeric = [
        all(row[i][:1].isdigit() or row[i] == "–" for row in cells) for i in range(len(columns))
    ]
    for row in [columns, *cells]:
        line = "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        print(line.rstrip())
