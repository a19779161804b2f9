"""One small drawing for each family: its idea in a few lines, on a canvas of 120 × 64."""

from __future__ import annotations


def _box(x: float, y: float, width: float, height: float, kind: str = "tint") -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="1.5"/>'


def _line(*points: tuple[float, float], kind: str = "line") -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline class="{kind}" points="{path}"/>'


def _dot(x: float, y: float, radius: float = 2.5, kind: str = "solid") -> str:
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>'


def _stack(x: float, y: float, side: float, sheets: int) -> str:
    """Draw maps behind one another, the nearest last."""
    return "".join(_box(x + 4 * i, y - 4 * i, side, side) for i in reversed(range(sheets)))


def _grid(x: float, y: float, cell: float, columns: int, rows: int) -> str:
    cells = [(i, j) for j in range(rows) for i in range(columns)]
    return "".join(_box(x + cell * i, y + cell * j, cell - 1.5, cell - 1.5) for i, j in cells)


def _lenet() -> str:
    """Draw maps that shrink and multiply, then a decision."""
    maps = _stack(8, 24, 30, 3) + _stack(56, 28, 18, 4)
    return maps + "".join(_dot(104, y) for y in (16, 24, 32, 40, 48))


def _alexnet() -> str:
    """Draw two halves, one on each graphics card, that meet in the middle."""
    halves = ""
    for y in (4, 38):
        halves += _box(6, y, 22, 22) + _box(42, y + 3, 16, 16) + _box(72, y + 5, 12, 12)
        halves += _box(98, y + 5, 12, 12, "solid")
        halves += _line((28, y + 11), (42, y + 11)) + _line((84, y + 11), (98, y + 11))
    crossing = _line((58, 15), (72, 49)) + _line((58, 49), (72, 15))
    return halves + crossing + _line((58, 15), (72, 15)) + _line((58, 49), (72, 49))


def _zfnet() -> str:
    """Draw the way to one unit, and its activation carried back to the picture."""
    picture = _grid(8, 14, 9, 4, 4) + _box(26, 23, 16.5, 16.5, "solid")
    forward = '<path class="line" d="M48 24 Q 74 4 98 24"/>'
    back = '<path class="line dashed" d="M98 40 Q 74 60 50 41"/>' + _line(
        (57, 42), (50, 41), (53, 48)
    )
    return picture + forward + back + _dot(102, 32, 6)


def _vgg() -> str:
    """Draw two layers of 3, which see as far as one layer of 5."""
    rows = {52: (20, 40, 60, 80, 100), 32: (40, 60, 80), 12: (60,)}
    cone = "".join(
        _line((x, upper), (x + shift, upper + 20))
        for upper, units in ((32, rows[32]), (12, rows[12]))
        for x in units
        for shift in (-20, 0, 20)
    )
    return cone + "".join(_dot(x, y, 4) for y, units in rows.items() for x in units)


def _googlenet() -> str:
    """Draw four ways at once, laid side by side at the end."""
    ways = ((6, 4), (22, 8), (38, 12), (54, 6))
    branches = "".join(
        _line((14, 32), (38, y + 2), (46, y + 2))
        + _box(46, y + 2 - size / 2, 26, size)
        + _line((72, y + 2), (80, y + 2), (101, 32))
        for y, size in ways
    )
    return branches + _dot(12, 32, 4) + _box(101, 12, 7, 40, "solid")


def _resnet() -> str:
    """Draw the input, carried past two layers and added."""
    body = _line((6, 40), (24, 40)) + _box(24, 30, 20, 20) + _line((44, 40), (54, 40))
    body += _box(54, 30, 20, 20) + _line((74, 40), (88, 40)) + _line((102, 40), (114, 40))
    arc = '<path class="line strong" d="M14 40 C 14 4, 95 4, 95 33"/>'
    plus = '<circle class="tint" cx="95" cy="40" r="7"/>' + _line((91, 40), (99, 40))
    return body + arc + plus + _line((95, 36), (95, 44))


def _mobilenet() -> str:
    """Draw each map filtered by itself, then mixed point by point."""
    maps = "".join(
        _box(8, y, 15, 15) + _line((23, y + 7.5), (44, y + 7.5)) + _box(44, y, 15, 15)
        for y in (4, 24.5, 45)
    )
    mixing = "".join(_line((59, y), (96, z)) for y in (11.5, 32, 52.5) for z in (11.5, 32, 52.5))
    return maps + mixing + "".join(_dot(98, y, 4) for y in (11.5, 32, 52.5))


def _convnext() -> str:
    """Draw patches, then a block that is wide in the middle."""
    patches = _grid(6, 14, 9, 4, 4)
    wide = '<polygon class="tint" points="58,25 74,8 90,8 106,25 106,39 90,56 74,56 58,39"/>'
    return patches + _line((44, 32), (58, 32)) + wide + _line((106, 32), (116, 32))


_DRAWINGS = {
    "lenet": _lenet,
    "alexnet": _alexnet,
    "zfnet": _zfnet,
    "vgg": _vgg,
    "googlenet": _googlenet,
    "resnet": _resnet,
    "mobilenet": _mobilenet,
    "convnext": _convnext,
}


def glyph(family: str) -> str:
    """Return the family's drawing as decorative inline SVG, empty for a family without one.

    It takes its colour from the CSS variable ``--family`` (see `cnnviz.ui.look.theme.style_sheet`).
    """
    if family not in _DRAWINGS:
        return ""
    return (
        '<svg class="glyph" viewBox="0 0 120 64" aria-hidden="true" focusable="false">'
        f"{_DRAWINGS[family]()}</svg>"
    )
