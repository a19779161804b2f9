"""What counts as a wrong argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cnnviz.errors import CnnvizError

T = TypeVar("T")


class UsageError(CnnvizError):
    """An argument that cannot be right, whatever the state of the machine."""


def checked(make: Callable[[], T]) -> T:
    """Run `make`; what it refuses is a wrong argument."""
    try:
        return make()
    except CnnvizError as error:
        raise UsageError(str(error)) from error
