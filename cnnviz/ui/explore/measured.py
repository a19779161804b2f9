"""What the views of Explore that measure have in common: large networks are asked for first."""

from __future__ import annotations

import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.ui.look.format import si
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

LARGE_MACS = 1e9
LARGE_BYTES = 100e6  # of weights


def is_large(trace: Trace) -> bool:
    """Tell whether a real pass of the network is worth a question first."""
    return trace.macs > LARGE_MACS or trace.weight_bytes > LARGE_BYTES


def agreed(selection: Selection, trace: Trace, purpose: str, label: str, passes: int) -> bool:
    """Return whether to measure now: small networks at once, large ones when asked to.

    Until then a sentence says what it takes, and a button offers it. `passes` real passes of one
    image are estimated at 20 billion multiply–accumulates a second.
    """
    key = "explore_agreed"
    asked: set[object] = st.session_state.setdefault(key, set())
    wish = (purpose, selection.arguments)
    if wish in asked or not is_large(trace):
        return True
    seconds = round(1 + trace.params / 1e8 + passes * trace.macs / 20e9)
    st.info(
        f"{selection.title} needs {si(trace.weight_bytes, 'B')} of memory for its weights and "
        f"about {seconds} second{'' if seconds == 1 else 's'} of one core for this."
    )
    if st.button(label, type="primary", key=f"explore_start_{purpose}"):
        asked.add(wish)
        url.rerun()
    return False
