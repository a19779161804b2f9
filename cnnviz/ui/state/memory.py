"""What keeps reruns quick: Python's garbage collector leaves alone what stays for good."""

from __future__ import annotations

import gc

#: Objects that one collection may walk through: about ten milliseconds.
FEW = 30_000


def spare() -> None:
    """Take all that is alive out of the collector's walks, once enough of it has come together.

    Streamlit collects garbage after every run, and with torch, pandas and plotly loaded that walks
    through 440,000 objects, a fifth of a second. Modules, traces and cached charts stay anyway;
    frozen, they cost nothing. What was frozen before is looked through again first, so that no
    garbage is frozen for good.
    """
    if len(gc.get_objects()) <= FEW:  # those that are frozen do not count
        return
    gc.unfreeze()
    gc.collect()
    gc.freeze()
