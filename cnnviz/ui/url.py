"""Choices that stand in the URL, so that a link can make them.

Streamlit's own ``bind="query-params"`` writes and reads a picker's labels, where a link holds
names, and leaves out a first choice, which may be another one tomorrow.

Each parameter that Streamlit is given becomes an entry of the browser's history at once. What the
run of a page writes is therefore collected and becomes one entry, so that Back leaves the page.

With each message the browser sends the URL that it has, which is an old one where a visitor is
quicker than the answer to the choice before: taken at its word it would undo that choice, as Back
does. So the session keeps the URL that it gave last, and believes another one only where a whole
page runs and none of its choices has changed, as after a link or Back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import streamlit as st

# The parameters written so far by the page that runs, "" for one taken out.
_COLLECTED = "url-collected"
# The page that ran last, the query that it gave the browser or had from it, and its choices then.
_PAGE, _QUERY, _CHOICES = "url-page", "url-query", "url-choices"
# Whether the browser has yet to be told of that query.
_UNSENT = "url-unsent"
# Whether the visitor came from another page. An answer for that page may have reached the browser
# when it was at this one's address already, so that it put the query of that page behind it.
_ARRIVED = "url-arrived"

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def collected(page: str = "") -> Iterator[None]:
    """Run a `page` or a fragment; the parameters that it writes are put into the URL at its end.

    A fragment that runs with its page is part of what the page collects.
    """
    state = st.session_state
    if _COLLECTED in state:
        yield
        return
    if not state.get(_PAGE) or (page and (page != state[_PAGE] or _may_be_elsewhere())):
        state[_QUERY], state[_UNSENT] = _sent(), False
        state[_ARRIVED] = page != state.get(_PAGE, page)
    if page:
        state[_PAGE] = page
    state[_COLLECTED] = {}
    try:
        yield
    finally:
        _flush()


def _sent() -> dict[str, list[str]]:
    """Return the query that the browser sent."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def chosen_by(key: str) -> None:
    """Say that the picker with that key holds a choice that the URL has, too; call it before."""
    st.session_state.setdefault(_CHOICES, {})[key] = None


def _may_be_elsewhere() -> bool:
    """Tell whether the browser may have come to another URL than the one that it was given.

    Not where it has not been given one, nor where a picker says something else than at the end of
    the last run.
    """
    state = st.session_state
    choices = state.get(_CHOICES, {}).items()
    chosen = any(key in state and state[key] != was for key, was in choices)
    return not chosen and not state.get(_UNSENT)


def fragment(draw: Callable[P, None]) -> Callable[P, None]:
    """Let a part of a page run on its own, as `st.fragment` does, and collect what it writes."""

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with collected():
            draw(*args, **kwargs)

    return drawn


def _flush() -> None:
    state = st.session_state
    if _COLLECTED not in state:
        return  # the page was stopped, or runs anew
    written: dict[str, str] = state.pop(_COLLECTED)
    known: dict[str, list[str]] = state[_QUERY]
    wanted = known | {key: [value] for key, value in written.items()}
    wanted = {key: values for key, values in wanted.items() if values != [""]}
    state[_QUERY] = wanted
    state[_CHOICES] = {key: state[key] for key in state.get(_CHOICES, {}) if key in state}
    changed = wanted != known or bool(state.get(_UNSENT))
    if changed or state.get(_ARRIVED):
        state[_UNSENT] = changed
        st.query_params.from_dict(wanted)  # ends here where another run was asked for meanwhile
        state[_UNSENT] = state[_ARRIVED] = False


def stop() -> NoReturn:
    """End the page here, as `st.stop` does, which would let nothing more be put into the URL."""
    _flush()
    st.stop()


def rerun() -> NoReturn:
    """Run the page again, as `st.rerun` does, once the URL says what is chosen."""
    _flush()
    st.rerun()


def query() -> dict[str, str]:
    """Return what the URL says, without what the page that runs has written so far."""
    state = st.session_state
    known: dict[str, list[str]] = state[_QUERY] if state.get(_PAGE) else _sent()
    return {key: values[-1] for key, values in known.items()}


def read(key: str) -> str | None:
    """Return what the URL says of `key`, or will say when the page has run; None for nothing."""
    written: dict[str, str] = st.session_state.get(_COLLECTED, {})
    return (written[key] or None) if key in written else query().get(key)


def write(key: str, value: str) -> None:
    """Put a parameter into the URL, or take it out where `value` is empty."""
    with collected():  # on its own in a callback, which runs before its page
        st.session_state[_COLLECTED][key] = value


def unknown(key: str, asked: str, names: Sequence[str]) -> str:
    """Say that `asked` is none of the `names` that `key` can have: the first is shown."""
    said = asked if len(asked) <= 60 else f"{asked[:59]}…"
    others = f"{', '.join(names[:-1])} or {names[-1]}"
    return f"There is no {key} called {said!r}; it can be {others}. Showing {names[0]}."


def keep_choice(key: str, options: Collection[str], default: str) -> None:
    """Let the URL's parameter `key` and the picker with that key say the same; call it before.

    The URL wins where it is not what was written here last: a deep link, or the browser's back
    button. Where neither names one of `options`, `default` is chosen.
    """
    chosen_by(key)
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
    chosen_by(key)
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
