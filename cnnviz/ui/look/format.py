"""Numbers as people read them, with three or four digits and an SI prefix, and text as it is."""

from __future__ import annotations

import math
import re

_PREFIXES = ("", "k", "M", "G", "T", "P")


def si(value: float, unit: str = "", digits: int = 3) -> str:
    """Write `value` with an SI prefix: 25,557,032 -> "25.6 M"; with a unit, "4.09 GMACs".

    Numbers below 1000 that are whole are written whole. Thousands are 1000, bytes too.
    """
    if not math.isfinite(value):
        return "–"
    step = 0
    scaled = float(value)
    while abs(float(f"{scaled:.{digits}g}")) >= 1000 and step < len(_PREFIXES) - 1:
        scaled /= 1000
        step += 1
    if step == 0 and scaled == int(scaled):
        number = f"{int(scaled)}"
    else:
        scaled = float(f"{scaled:.{digits}g}")  # first: rounding may carry into another digit
        places = max(0, digits - 1 - math.floor(math.log10(abs(scaled))))
        number = f"{scaled:.{places}f}"
    return f"{number} {_PREFIXES[step]}{unit}".rstrip()


def count(value: int) -> str:
    """Write a count exactly, grouped by thousands: 25,557,032."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Write a count of things: 1, "epoch" -> "1 epoch"; 20, "epoch" -> "20 epochs"."""
    return f"{value:,} {noun}{'s' * (value != 1)}"


def percent(fraction: float, digits: int = 1) -> str:
    """Write a fraction of one as a percentage: 0.9174 -> "91.7 %"."""
    return f"{fraction * 100:.{digits}f} %"


def plain(text: str) -> str:
    """Return `text` on one line, with what Markdown would read as markup escaped.

    What a link or a file says may be anything. Addresses and names between colons become links,
    icons and emojis when the escapes are gone already; a word joiner, unseen, stops that.
    """
    one_line = re.sub(r"\s*[\r\n]+\s*", " ", text)
    escaped = re.sub(r"([\\`*_\[\]<>$~|#&])", r"\\\1", one_line)
    return re.sub(r"(:(?=\S)|@|www(?=\.))", "\\1\N{WORD JOINER}", escaped, flags=re.IGNORECASE)


def size(shape: tuple[int, ...] | list[int]) -> str:
    """Write a shape: (3, 224, 224) -> "3 × 224 × 224"."""
    return " × ".join(str(side) for side in shape)


def milliseconds(value: float) -> str:
    """Write a time given in milliseconds: 12.34 -> "12.3 ms", 1234 -> "1.23 s"."""
    return f"{value:.3g} ms" if value < 999.5 else f"{value / 1000:.3g} s"
