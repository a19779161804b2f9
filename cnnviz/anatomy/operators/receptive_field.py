"""Receptive fields: which input pixels each position of each tensor depends on.

For every tensor the state says which of its dimensions walks along which spatial axis of the
input, and, per input axis, the window that position 0 sees as ``(low, high, jump)`` in pixels;
position i sees ``low + i * jump`` to ``high + i * jump``. Windows may reach beyond the image, as in
the usual arithmetic (Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019). Where branches meet, the window is the hull of theirs: an upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

WHOLE = "whole input"
UNALIGNED = "unaligned"
UNKNOWN = "unknown"
CONSTANT = "constant"

_SEVERITY = (UNKNOWN, WHOLE, UNALIGNED)  # what wins where branches with and without windows meet


@dataclass(frozen=True)
class Window:
    """What position 0 sees along one input axis, both ends included, and the step per position."""

    low: Fraction
    high: Fraction
    jump: Fraction

    def slide(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> Window:
        """Window of a sliding operator's output."""
        return Window(
            self.low - self.jump * padding,
            self.high + self.jump * (dilation * (kernel - 1) - padding),
            self.jump * stride,
        )

    def shift(self, positions: int, jump: Fraction | None = None) -> Window:
        """Window when position 0 becomes `positions`, counted in steps of `jump`."""
        by = positions * (self.jump if jump is None else jump)
        return Window(self.low + by, self.high + by, self.jump)

    def resample(self, before: Fraction, after: Fraction, scale: Fraction) -> Window:
        """Window of a finer grid whose output o reads the inputs o/scale + before … + after."""
        return Window(
            self.low + self.jump * before, self.high + self.jump * after, self.jump / scale
        )

    def size(self) -> int:
        """Count the pixels seen."""
        return math.floor(self.high - self.low) + 1


Reach = Window | str


@dataclass(frozen=True)
class Field:
    """State of one tensor.

    `axes` has the input axis that each dimension walks along, or None; `reaches` has, for each
    input axis, the window, or why there is none.
    """

    axes: tuple[int | None, ...]
    reaches: tuple[Reach, ...]

    @classmethod
    def of_input(cls) -> Field:
        """State of the input image, (1, channels, height, width)."""
        pixel = Window(Fraction(0), Fraction(0), Fraction(1))
        return cls((None, None, 0, 1), (pixel, pixel))

    def with_reach(self, axis: int, reach: Reach) -> Field:
        """Return the same state with another reach along one input axis."""
        reaches = list(self.reaches)
        reaches[axis] = reach
        return replace(self, reaches=tuple(reaches))

    def spoil(self, axes: Sequence[int], reason: str) -> Field:
        """Give up the windows along `axes`; a worse reason that is there already stays."""
        field = self
        for axis in axes:
            field = field.with_reach(axis, _meet(field.reaches[axis], reason))
        return field

    def arrange(self, axes: Sequence[int | None], reason: str = WHOLE) -> Field:
        """Give the dimensions new axes; an axis that no dimension carries any more is `reason`."""
        lost = {axis for axis in self.axes if axis is not None} - set(axes)
        return replace(self, axes=tuple(axes)).spoil(sorted(lost), reason)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Windows of position (0, …), input axis by input axis.

        () where an axis has none, or the dimensions do not walk along the axes in their order.
        """
        windows = tuple(reach for reach in self.reaches if isinstance(reach, Window))
        walked = [axis for axis in self.axes if axis is not None]
        return windows if walked == list(range(len(self.reaches))) == [*range(len(windows))] else ()

    def summary(self) -> tuple[int | None, int | float | None, str]:
        """(size, jump, note) of the axis with the largest window."""
        windows = [reach for reach in self.reaches if isinstance(reach, Window)]
        if len(windows) < len(self.reaches):
            reasons = [reach for reach in self.reaches if isinstance(reach, str)]
            return None, None, min(reasons, key=_SEVERITY.index)
        largest = max(windows, key=lambda window: (window.size(), window.jump))
        jump = largest.jump
        return largest.size(), int(jump) if jump.denominator == 1 else float(jump), ""


def _meet(first: Reach, second: Reach) -> Reach:
    """Reach of a value that depends on two others at the same position."""
    if isinstance(first, Window) and isinstance(second, Window):
        if first.jump != second.jump:
            return UNALIGNED
        return Window(min(first.low, second.low), max(first.high, second.high), first.jump)
    reasons = [reach for reach in (first, second) if isinstance(reach, str)]
    return min(reasons, key=_SEVERITY.index)


def merge(parts: Sequence[tuple[Field | None, Sequence[int]]], rank: int) -> Field | None:
    """State of an element-wise function of several tensors, given with their shapes.

    Shapes broadcast as in PyTorch; `rank` is the number of dimensions of the result. A part
    without a state is a constant and leaves the others as they are.
    """
    states = [_broadcast(field, shape, rank, parts) for field, shape in parts if field is not None]
    if not states:
        return None
    axes: list[int | None] = [None] * rank
    clashes: set[int] = set()
    for state in states:
        for dimension, axis in enumerate(state.axes):
            if axis is None:
                continue
            elsewhere = axis in axes and axes.index(axis) != dimension
            if axes[dimension] not in (None, axis) or elsewhere:
                clashes |= {axis, *(a for a in (axes[dimension],) if a is not None)}
            else:
                axes[dimension] = axis
    reaches = list(states[0].reaches)
    for state in states[1:]:
        reaches = [_meet(*pair) for pair in zip(reaches, state.reaches, strict=True)]
    return Field(tuple(axes), tuple(reaches)).spoil(sorted(clashes), UNALIGNED)


def _broadcast(
    field: Field,
    shape: Sequence[int],
    rank: int,
    parts: Sequence[tuple[Field | None, Sequence[int]]],
) -> Field:
    """Line a state up with `rank` dimensions; a position spread over many is on no grid."""
    missing = rank - len(shape)
    axes = [None] * missing + list(field.axes)
    spread = []
    for dimension, axis in enumerate(field.axes, start=missing):
        widest = max(
            other[dimension - rank] for _, other in parts if len(other) >= rank - dimension
        )
        if axis is not None and shape[dimension - missing] == 1 < widest:
            spread.append(axis)
            axes[dimension] = None
    return replace(field, axes=tuple(axes)).spoil(spread, UNALIGNED)


def reshape(field: Field, before: Sequence[int], after: Sequence[int]) -> Field:
    """State after a reshape: dimensions of the same size behind the same number of elements.

    A dimension that is split keeps its axis in the first factor, with the window of the group.
    """
    prefixes = [math.prod(before[:d]) for d in range(len(before))]
    free = list(range(len(before)))
    axes: list[int | None] = []
    result = field
    for d, size in enumerate(after):
        prefix = math.prod(after[:d])
        same = [e for e in free if prefixes[e] == prefix and before[e] == size]
        if same:
            axes.append(field.axes[same[0]])
            free.remove(same[0])
            continue
        split = [e for e in free if prefixes[e] == prefix and size > 1 and before[e] % size == 0]
        axis = field.axes[split[0]] if split else None
        axes.append(axis)
        if axis is not None:
            free.remove(split[0])
            reach, group = result.reaches[axis], before[split[0]] // size
            if isinstance(reach, Window):
                result = result.with_reach(axis, reach.slide(group, group, 0))
    return result.arrange(axes)
