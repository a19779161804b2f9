"""What a page chose for a picker by itself: it may choose anew until the visitor has chosen.

The strongest unit on a photo is a choice of the page's. With another photo another one is the
strongest, but a unit that the visitor, or a link, asked for stays.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import streamlit as st

_KEY = "automatic"


class _Chosen:
    """Stands for a choice that is not the page's."""


def begin(key: str, default: Any, of: Hashable = None, *, linked: bool = False) -> None:  # noqa: ANN401
    """Let the picker with that `key` follow its `default` where the page chose so far.

    Call it before the picker's own bookkeeping. The default is chosen anew where it is `of` another
    thing than at the last run. `linked` says that a link asks for a choice, which is then kept.
    """
    made, state = _made(), st.session_state
    if linked:
        made[key] = _Chosen
    elif key not in made:
        made[key] = _Chosen if key in state else (default, of)
    elif made[key] is not _Chosen:
        kept, was = made[key]
        if state.get(key, kept) != kept:
            made[key] = _Chosen
        elif was != of:
            state[key], made[key] = default, (default, of)


def chosen(key: str) -> None:
    """Say that the visitor chose, be it what the page had chosen; for callbacks."""
    _made()[key] = _Chosen


def forget(key: str) -> None:
    """Let the page choose again: what was chosen means nothing any more."""
    _made().pop(key, None)
    st.session_state.pop(key, None)


def _made() -> dict[str, Any]:
    made: dict[str, Any] = st.session_state.setdefault(_KEY, {})
    return made
