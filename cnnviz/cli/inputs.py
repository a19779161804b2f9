"""What several commands read from their arguments: knobs and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cnnviz.errors import CnnvizError


def given_knobs(options: argparse.Namespace) -> dict[str, Any]:
    """Return the knobs of `--width` and `--set`, unchecked."""
    knobs: dict[str, Any] = {}
    for text in options.set or []:
        name, separator, value = text.partition("=")
        if not separator:
            raise CnnvizError(f"--set takes NAME=VALUE, not {text!r}.")
        knobs[name] = value
    if options.width is not None:
        knobs["width"] = options.width
    return knobs


def read_picture(path: str) -> bytes:
    """Read a picture and refuse a broken one by its name, before any network is asked."""
    from cnnviz.images import decode

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CnnvizError(
            f"{path} cannot be read ({error.strerror}): check the name and its permissions."
        ) from error
    decode(data, Path(path).name)
    return data
