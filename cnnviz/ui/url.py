"""Choices that stand in the URL, so that a link can make them.

Streamlit's own ``bind="query-params"`` writes and reads a picker's labels, where a link holds
names, and leaves out a first choice, which may be another one tomorrow.
"""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st


def write(key: str, value: str) -> None:
    """Put a parameter into the URL, or take it out where `value` is empty."""
    if value:
        st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]


def keep_choice(key: str, options: Collection[str], default: str) -> None:
    """Let the URL's parameter `key` and the picker with that key say the same; call it before.

    The URL wins where it is not what was written here last: a deep link, or the browser's back
    button. Where neither names one of `options`, `default` is chosen.
    """
    state, written = st.session_state, f"{key}-in-url"
    asked = st.query_params.get(key)
    if asked in options and (key not in state or asked != state.get(written)):
        state[key] = asked
    elif state.get(key) not in options:
        state[key] = default
    # Assigned in any case: Streamlit forgets a picker's value with the page that it stood on.
    st.query_params[key] = state[written] = state[key] = state[key]
