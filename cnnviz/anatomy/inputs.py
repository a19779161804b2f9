"""Check input sizes, and say in one sentence why an input does not fit a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cnnviz.anatomy.operators.known import KIND
from cnnviz.errors import CnnvizError

LARGEST_SIDE = 65_536
"""Largest number of channels or pixels on a side that a trace accepts."""

_EMPTY_OUTPUT = re.compile(
    r"output size is too small|can't be greater than actual input size"
    r"|padding size should be less than|non-empty|should be greater than zero",
    re.IGNORECASE,
)


def parse_input_size(text: str) -> tuple[int, int, int]:
    """Read an input size written as ``3x224x224``: channels, height, width.

    Raises:
        CnnvizError: if `text` is anything else.

    """
    parts = re.split(r"\s*[x×]\s*", text.strip().lower())
    if len(parts) != 3 or not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise CnnvizError(
            f"An input size is written as channels x height x width, such as 3x224x224, "
            f"not {text[:40]!r}."
        )
    return check_input_size([int(part) for part in parts])


def check_input_size(input_size: Sequence[int]) -> tuple[int, int, int]:
    """Return (channels, height, width) as a tuple of ints.

    Raises:
        CnnvizError: unless `input_size` is three whole numbers from 1 to `LARGEST_SIDE`.

    """
    sizes = tuple(input_size) if isinstance(input_size, Sequence) else ()
    whole = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
    if len(sizes) != 3 or not whole or not all(1 <= size <= LARGEST_SIDE for size in sizes):
        raise CnnvizError(
            "The input size must be three whole numbers (channels, height, width) from 1 to "
            f"{LARGEST_SIDE}, such as (3, 224, 224), not {str(input_size)[:40]}."
        )
    channels, height, width = sizes
    return channels, height, width


@dataclass(frozen=True)
class Place:
    """An operator of a pass: its path, its name, and the how manyeth of its kind it is, from 1.

    `groups` are those of a convolution.
    """

    path: str
    op: str
    number: int
    groups: int = 1

    def in_words(self) -> str:
        """Return it as in "fifth pool (features.30)", for other kinds "layer head.0 (flatten)"."""
        noun = _NOUNS.get(KIND.get(self.op, "other"))
        if noun is None:
            return f"layer {self.path} ({self.op})"
        return f"{_ordinal(self.number)} {noun} ({self.path})"


_NOUNS = {"conv": "convolution", "pool": "pool"}
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]


def _ordinal(number: int) -> str:
    if number <= len(_ORDINALS):
        return _ORDINALS[number - 1]
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def explain_misfit(
    model: str,
    input_size: Sequence[int],
    place: Place,
    arguments: Sequence[torch.Tensor],
    error: BaseException | None,
) -> CnnvizError:
    """Say why the operator at `place` refuses its `arguments` in a pass of one image.

    `input_size` is (channels, height, width); `error` is what the operator raised, None where its
    output is empty.
    """
    size = "x".join(map(str, input_size))
    layer = f"{place.path} ({place.op})"
    message = "" if error is None else next(iter(str(error).splitlines()), type(error).__name__)
    if place.op == "conv3d" and arguments and arguments[0].dim() < 5:
        return CnnvizError(
            f"{model} reads videos or volumes, not images: its layer {layer} expects another axis."
        )
    wanted = _channels(place, arguments)
    if wanted is not None:
        expected, received, what = wanted
        return CnnvizError(
            f"The input {size} does not fit {model}: its layer {layer} expects {expected} {what} "
            f"and would get {received}."
        )
    if error is None or _EMPTY_OUTPUT.search(message):
        sides = " × ".join(map(str, input_size[1:]))
        return CnnvizError(
            f"A {sides} input is too small for {model}: its {place.in_words()} would be empty."
        )
    shape = "×".join(map(str, arguments[0].shape)) if arguments else "none"
    return CnnvizError(
        f"The input {size} does not fit {model}: its layer {layer} refuses an input of shape "
        f"{shape} ({message[:200].rstrip('.')})."
    )


def _channels(place: Place, arguments: Sequence[Any]) -> tuple[int, int, str] | None:
    """Give (expected, received, what) where a convolution or linear layer gets a wrong width."""
    if len(arguments) < 2:
        return None
    data, weight = arguments[:2]
    op = place.op
    if op == "linear" and weight.dim() == 2 and data.dim() > 0:
        if data.shape[-1] != weight.shape[1]:
            return weight.shape[1], data.shape[-1], "features"
    elif op.startswith("conv") and weight.dim() > 2 and data.dim() >= weight.dim() - 1:
        received = data.shape[1 - weight.dim()]
        wanted = weight.shape[0] if "transpose" in op else weight.shape[1] * place.groups
        if received != wanted:
            return wanted, received, "channel" if wanted == 1 else "channels"
    return None
