"""Choices that stand in the URL, so that a link can make them.

Streamlit's own ``bind="query-params"`` writes and reads a picker's labels, where a link holds
names, and leaves out a first choice, which may be another one tomorrow.

Each parameter that Streamlit is given becomes an entry of the browser's history at once. What the
run of a page writes is therefore collected and becomes one entry, so that Back leaves the page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import streamlit as st

# The parameters written so far by the page that runs, "" for one taken out.
_COLLECTED = "url-collected"

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def collected() -> Iterator[None]:
    """Run a page or a fragment; the parameters that it writes are put into the URL at its end.

    A fragment that runs with its page is part of what the page collects.
    """
    if _COLLECTED in st.session_state:
        yield
        return
    st.session_state[_COLLECTED] = {}
    try:
        yield
    finally:
        _flush()


def fragment(draw: Callable[P, None]) -> Callable[P, None]:
    """Let a part of a page run on its own, as `st.fragment` does, and collect what it writes."""

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with collected():
            draw(*args, **kwargs)

    return drawn


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


def follow(parameter: str, key: str, values: Mapping[str, T]) -> T:
    """Let the URL's `parameter` and the picker with that key say the same; call it before.

    `values` are the picker's by what the URL says for each; "" is the default, which the URL leaves
    out. The URL wins where it is not what was seen here last: a link, or the browser's back button.
    It is written only where it means something else than what is chosen: an entry of the history
    that is rewritten as soon as it is visited would keep Back from ever leaving it.
    """
    state, seen = st.session_state, f"{key}-in-url"
    asked = read(parameter) or ""
    meant = values.get(asked, values[""])
    if key not in state or asked != state.get(seen) or state[key] not in values.values():
        state[key] = meant
    # Assigned in any case: Streamlit forgets a picker's value with the view that it stood in.
    value: T = state[key]
    state[key] = value
    if value != meant:
        asked = next(text for text, known in values.items() if known == value)
        write(parameter, asked)
    state[seen] = asked
    return value
