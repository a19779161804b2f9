"""Where the names beside the points of a chart stand, so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_LETTER, _LINE = 5.8, 17.0  # a letter's mean width and a line's height, in pixels at 13 px
_MARK = 8.0  # half a mark, its edge included
_GAP = 6.0  # between a mark and a name at its side
_ROUNDS = 8  # a handful of points is at rest after two or three

# Plotly's words for a label's place -> the label's middle against the mark's, as shares of
# (half the label and half the mark), and whether the gap comes in between.
_PLACES: dict[str, tuple[int, int]] = {
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top center": (0, -1),
    "bottom center": (0, 1),
    "top right": (1, -1),
    "bottom right": (1, 1),
    "top left": (-1, -1),
    "bottom left": (-1, 1),
}


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def shared_with(self, other: _Box) -> float:
        """The area that two boxes share, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def place(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    sizes: Sequence[tuple[float, float]],
) -> list[str]:
    """Choose for each point the place of its name, as Plotly's ``textposition``.

    `points` are (x, y) from the top left of the plot, as fractions of its width and height, and
    `sizes` the plot's (width, height) in pixels on the screens to think of. At first each name
    stands at its mark's side, toward the middle of the plot. Then one after another moves to where
    it covers least of the other names, of the marks and of the plot's edge, until none can do
    better.
    """
    orders = [_order(x > 0.5) for x, _ in points]
    chosen = [order[0] for order in orders]
    plots = [_Plot(points, names, size) for size in sizes]
    for _ in range(_ROUNDS):
        before = list(chosen)
        for index, order in enumerate(orders):
            covers = {side: sum(p.cover(index, side, chosen) for p in plots) for side in order}
            chosen[index] = min(order, key=covers.__getitem__)
        if chosen == before:
            break
    return chosen


class _Plot:
    """The plot at one size: where the marks are, and the names at each of their places."""

    def __init__(
        self,
        points: Sequence[tuple[float, float]],
        names: Sequence[str],
        size: tuple[float, float],
    ) -> None:
        pixels = [(x * size[0], y * size[1]) for x, y in points]
        self._marks = [_Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in pixels]
        self._names = [
            {side: _box(side, *each) for side in _PLACES}
            for each in zip(pixels, names, strict=True)
        ]
        self._edge = _Box(0, 0, *size)

    def cover(self, index: int, side: str, chosen: Sequence[str]) -> float:
        """What a name at `side` covers and what of it is cut off, in square pixels."""
        box = self._names[index][side]
        area = (box.right - box.left) * (box.bottom - box.top)
        others = [i for i in range(len(chosen)) if i != index]
        names = sum(box.shared_with(self._names[i][chosen[i]]) for i in others)
        marks = sum(box.shared_with(self._marks[i]) for i in others)
        return names + marks + area - box.shared_with(self._edge)


def _order(right_of_middle: bool) -> list[str]:
    """The places, best first: `min` takes the first of those that are equally free."""
    inwards = "left" if right_of_middle else "right"
    return sorted(_PLACES, key=lambda side: (not side.startswith("middle"), inwards not in side))


def _box(side: str, point: tuple[float, float], name: str) -> _Box:
    right, down = _PLACES[side]
    width, height = len(name) * _LETTER, _LINE
    beside = _GAP if down == 0 else 0.0
    x = point[0] + right * (width / 2 + _MARK + beside)
    y = point[1] + down * (height / 2 + _MARK)
    return _Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
