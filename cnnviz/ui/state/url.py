"""Choices that stand in the URL, so that a link can make them.

Streamlit's own ``bind="query-params"`` writes and reads a picker's labels, where a link holds
names, and leaves out a first choice, which may be another one tomorrow.

Each parameter that Streamlit is given becomes an entry of the browser's history at once. What a run
writes is therefore collected: after a choice it becomes one entry, which Back undoes. The run that
a visitor arrives with makes none: what the page shows then replaces the address that led to it, so
that one press of Back leaves, and a copied address opens what is seen on any machine.

With each message the browser sends the URL that it has, which is an old one where a visitor is
quicker than the answer to the choice before: taken at its word it would undo that choice. So the
session keeps the URL that it gave last, and believes another one only where a whole page runs that
Back or Forward led to, or none of whose choices has changed, as after a link. Streamlit's own idea
of the URL is not told of the replacement, and is known for what it is: see `_Session.stale`.

A visitor who is quick also ends a run before it is done: Streamlit does so at any access to
`st.session_state` and at whatever is written to the page. So what is kept here is an object that is
taken from there once a run: what a page writes and what it remembers with it change together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnviz.ui.look.refusals import unknown
from cnnviz.ui.state import address

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Session:
    """What a visitor's URL is, as far as it is known here."""

    #: The page that ran last, a key of `links.PAGES`; "" before any did.
    page: str = ""
    #: What the URL says, or will say when the page has run.
    query: dict[str, list[str]] = field(default_factory=dict)
    #: What the browser was told last, or had told itself; None where it is to be told anyway.
    told: dict[str, list[str]] | None = field(default_factory=dict)
    #: The pickers whose choices the URL has, too, and what they said at the end of the last run.
    choices: dict[str, Any] = field(default_factory=dict)
    #: What pages remember, see `seen`.
    seen: dict[str, Any] = field(default_factory=dict)
    #: Whether the visitor has just come: by a link, an address, or the history. An answer to what
    #: was there before may have reached the browser when it was at this URL already, and replaced
    #: it: so the URL is given to it again even where the page has nothing to add.
    arrived: bool = False
    #: What the browser may go on sending though its URL says more since the visitor arrived: the
    #: query that led here, and the last one of the page before.
    stale: list[dict[str, list[str]]] = field(default_factory=list)
    #: Where a page that runs writes the script that replaces the address.
    place: DeltaGenerator | None = None
    #: How often that was done.
    replaced: int = 0

    def arrive(self) -> None:
        """Take the query that the browser sent for what the URL says."""
        sent = _sent()
        self.stale = [sent, self.told or {}]
        self.told, self.query = sent, dict(sent)
        self.arrived = True


#: Stands between the words of one parameter: in a URL as it is, and in no name.
BETWEEN = "~"

_KEY = "url"  # of the session in `st.session_state`
#: The session whose parameters the run that goes on collects.
_COLLECTING: ContextVar[_Session | None] = ContextVar("collecting", default=None)


def _session() -> _Session:
    session = _COLLECTING.get()
    if session is None:
        if _KEY not in st.session_state:
            st.session_state[_KEY] = _Session()
        kept: _Session = st.session_state[_KEY]
        if not kept.page:
            kept.told = _sent()
            kept.query = dict(kept.told)
        return kept
    return session


@contextmanager
def collected(page: str = "") -> Iterator[None]:
    """Run a `page` or a fragment; the parameters that it writes are put into the URL at its end.

    A fragment that runs with its page is part of what the page collects. Where another run is asked
    for before the end, that one puts them there.
    """
    if _COLLECTING.get() is not None:
        yield
        return
    session = _session()
    # Its style takes it out of the page: what comes and goes in it moves nothing.
    session.place = st.container(key="url_address") if page else None
    if page:
        if _came_through_history() or page != session.page:
            session.arrive()
        elif _may_be_elsewhere(session):  # a link to the page that is shown: an entry of its own
            session.query, session.told = _sent(), None
        session.page = page
    token = _COLLECTING.set(session)
    try:
        yield
    finally:
        _COLLECTING.reset(token)
    _flush(session)


def _sent() -> dict[str, list[str]]:
    """Return the query that the browser sent with what it asked for."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def _came_through_history() -> bool:
    """Tell whether the browser's Back or Forward led to this run."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


def chosen_by(key: str) -> None:
    """Say that the picker with that key holds a choice that the URL has, too; call it before."""
    _session().choices.setdefault(key, None)


def seen() -> dict[str, Any]:
    """Return what pages remember with the query, as the value of a parameter that they saw last.

    No access to it can end the run, as one to `st.session_state` can, between the writing of a
    parameter and the remembering.
    """
    return _session().seen


def _may_be_elsewhere(session: _Session) -> bool:
    """Tell whether the browser may have come to another URL than the one that it was given.

    Not where it has not been given one, nor where a picker says something else than at the end of
    the last run.
    """
    state = st.session_state
    chosen = any(key in state and state[key] != was for key, was in session.choices.items())
    known = (session.told, *session.stale)
    return not chosen and session.query == session.told and _sent() not in known


def fragment(draw: Callable[P, None]) -> Callable[P, None]:
    """Let a part of a page run on its own, as `st.fragment` does, and collect what it writes."""

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with collected():
            draw(*args, **kwargs)

    return drawn


def _flush(session: _Session) -> None:
    state = st.session_state
    session.choices = {key: state[key] for key in session.choices if key in state}
    if session.arrived and not _came_through_history():
        if session.place is None:
            return  # a callback: the page that follows says it
        session.replaced += 1
        address.replace(session.place, session.page, session.query, session.replaced)
    elif session.arrived or session.query != session.told:
        # An entry of the history, but after Back or Forward, where Streamlit replaces the address.
        st.query_params.from_dict(session.query)  # ends here where another run was asked for
        session.stale = []
    session.told, session.arrived = dict(session.query), False


def stop() -> NoReturn:
    """End the page here, as `st.stop` does, which would let nothing more be put into the URL."""
    _flush(_session())
    st.stop()


def rerun() -> NoReturn:
    """Run the page again, as `st.rerun` does, once the URL says what is chosen.

    Where the visitor has just arrived, it is the next run that says so: it clears this one's script
    away before the browser has run it.
    """
    session = _session()
    if not session.arrived:
        _flush(session)
    st.rerun()


def query() -> dict[str, str]:
    """Return what the URL says, or will say when the page has run."""
    return {key: values[-1] for key, values in _session().query.items()}


def read(key: str) -> str | None:
    """Return what the URL says of `key`, or will say when the page has run; None for nothing."""
    return query().get(key)


def read_all(key: str) -> list[str]:
    """Return the names that the URL gives `key`: with commas, or one by one."""
    values = _session().query.get(key, [])
    return [name for name in dict.fromkeys(",".join(values).split(",")) if name]


def write(key: str, value: str) -> None:
    """Put a parameter into the URL, or take it out where `value` is empty."""
    with collected():  # on its own in a callback, which runs before its page
        if value:
            _session().query[key] = [value]
        else:
            _session().query.pop(key, None)


def remember(key: str, value: str) -> None:
    """Put a parameter into the URL, as `write` does, and remember it as seen."""
    with collected():
        write(key, value)
        seen()[key] = value


def problems(known: Mapping[str, Sequence[str]]) -> list[str]:
    """Name the choices that the URL asks for and that there are not, as `unknown` does.

    `known` has the names that each parameter can have, the one that is shown then first.
    """
    asked = query()
    return [
        unknown(key, asked[key], names)
        for key, names in known.items()
        if key in asked and asked[key] not in names
    ]


def keep_choice(key: str, options: Collection[str], default: str) -> str:
    """Let the URL's parameter `key` and the picker with that key say the same; call it before.

    The URL wins where it is not what was written here last: a deep link, or the browser's back
    button. Where neither names one of `options`, `default` is chosen. Returns what `unknown` says
    where the URL asks for what is no option, else "".
    """
    chosen_by(key)
    state, asked = st.session_state, read(key)
    if asked in options and (key not in state or asked != seen().get(key)):
        state[key] = asked
    elif state.get(key) not in options:
        state[key] = default
    # Assigned in any case: Streamlit forgets a picker's value with the page that it stood on.
    chosen = state[key] = state[key]
    fresh = asked is not None and asked not in options and asked != seen().get(key)
    remember(key, chosen)
    return unknown(key, asked or "", [*options], chosen) if fresh else ""


def follow(parameter: str, key: str, values: Mapping[str, T]) -> T:
    """Let the URL's `parameter` and the picker with that key say the same; call it before.

    `values` are the picker's by what the URL says for each; "" is the default, which the URL leaves
    out. The URL wins where it is not what was seen here last: a link, or the browser's back button.
    It is written only where it means something else than what is chosen: an entry of the history
    that is rewritten as soon as it is visited would keep Back from ever leaving it.
    """
    chosen_by(key)
    state, asked = st.session_state, read(parameter) or ""
    meant = values.get(asked, values[""])
    if key not in state or asked != seen().get(key) or state[key] not in values.values():
        state[key] = meant
    # Assigned in any case: Streamlit forgets a picker's value with the view that it stood in.
    value: T = state[key]
    state[key] = value
    with collected():
        if value != meant:
            asked = next(text for text, known in values.items() if known == value)
            write(parameter, asked)
        seen()[key] = asked
    return value
