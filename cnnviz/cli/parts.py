"""Parts of the arguments that commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_command(
    within: Any,  # noqa: ANN401 - argparse's own type is private
    name: str,
    function: Callable[..., int | None],
    help_text: str,
    *forms: str,
) -> argparse.ArgumentParser:
    """Add a command that runs `function` and can print JSON or one of `forms`; return its parser.

    The forms are "csv" and "markdown".
    """
    made: argparse.ArgumentParser = within.add_parser(name, help=help_text, description=help_text)
    made.set_defaults(command=function)
    group = made.add_mutually_exclusive_group()
    for form in ("json", *forms):
        group.add_argument(f"--{form}", action="store_true", help=f"print {_FORMS[form]}")
    return made


_FORMS = {"json": "one JSON document", "csv": "CSV", "markdown": "a Markdown table"}


def add_knobs(parser: argparse.ArgumentParser) -> None:
    """Add `--width` and `--set`."""
    parser.add_argument("--width", type=float, metavar="A", help="width multiplier, where offered")
    parser.add_argument("--set", action="append", metavar="KNOB=VALUE", help="any other knob")


def positive(text: str) -> int:
    """Read a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)
