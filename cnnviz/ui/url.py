"""Choices that stand in the URL, so that a link can make them.

Streamlit's own ``bind="query-params"`` writes and reads a picker's labels, where a link holds
names, and leaves out a first choice, which may be another one tomorrow.

Each parameter that Streamlit is given becomes an entry of the browser's history at once. What the
run of a page writes is therefore collected and becomes one entry, so that Back leaves the page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

# The parameters written so far by the page that runs, "" for one taken out.
_COLLECTED = "url-collected"


@contextmanager
def collected() -> Iterator[None]:
    """Run a page; the parameters that it writes are put into the URL together, at its end."""
    st.session_state[_COLLECTED] = {}
    try:
        yield
    finally:
        _flush()


def _flush() -> None:
    written: dict[str, str] = st.session_state.pop(_COLLECTED, {})
    known = {key: st.query_params.get_all(key) for key in st.query_params}
    wanted = known | {key: [value] for key, value in written.items()}
    wanted = {key: values for key, values in wanted.items() if values != [""]}
    if wanted != known:
        st.query_params.from_dict(wanted)


def stop() -> NoReturn:
    """End the page here, as `st.stop` does, which would let nothing more be put into the URL."""
    _flush()
    st.stop()


def rerun() -> NoReturn:
    """Run the page again, as `st.rerun` does, once the URL says what is chosen."""
    _flush()
    st.rerun()


def read(key: str) -> str | None:
    """Return what the URL says of `key`, or will say when the page has run; None for nothing."""
    written: dict[str, str] = st.session_state.get(_COLLECTED, {})
    return (written[key] or None) if key in written else st.query_params.get(key)


def write(key: str, value: str) -> None:
    """Put a parameter into the URL, or take it out where `value` is empty."""
    if _COLLECTED in st.session_state:
        st.session_state[_COLLECTED][key] = value
    elif value:
        # Streamlit sends a message, and the browser looks at it, even if nothing changes.
        if st.query_params.get_all(key) != [value]:
            st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]


def keep_choice(key: str, options: Collection[str], default: str) -> None:
    """Let the URL's parameter `key` and the picker with that key say the same; call it before.

    The URL wins where it is not what was written here last: a deep link, or the browser's back
    button. Where neither names one of `options`, `default` is chosen.
    """
    state, written = st.session_state, f"{key}-in-url"
    asked = read(key)
    if asked in options and (key not in state or asked != state.get(written)):
        state[key] = asked
    elif state.get(key) not in options:
        state[key] = default
    # Assigned in any case: Streamlit forgets a picker's value with the page that it stood on.
    state[written] = state[key] = state[key]
    write(key, state[key])
