"""The pages' rooms, which take seconds to import on a server that has just started: torch.

The shell and Home are there without them. The server begins to import them when it starts, in a
thread of its own, and a page that is opened before shows its head and a skeleton. One import runs
at a time, so that no two wait for modules of each other.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from time import monotonic, sleep
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.ui.state.background import Job, Report
from cnnviz.ui.state.links import PAGES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LOOK_SECONDS = 0.1
#: As long as this after visitors' last request nothing is imported, so that it is answered first:
#: what nobody waits for, and what a page waits for whose head is on its way.
_QUIET_SECONDS = 1.5
_HEAD_SECONDS = 0.3
#: Whoever answers a visitor waits this long each time that it takes the interpreter from an import.
_SWITCH_SECONDS = 0.0005

_importing = threading.Lock()
_asked = threading.Event()  # a visitor waits for a room
_jobs = {
    # The first two are most of what a room needs; between two imports a visitor goes first.
    **{module: Job() for module in ("torch", "torchvision")},
    **{f"cnnviz.ui.{name}.page": Job() for name in PAGES if name != "home"},
}


def enter(name: str) -> None:
    """Write the room of the page called `name`, behind a skeleton until it can be imported."""
    module = f"cnnviz.ui.{name}.page"
    place = st.empty()  # in every run: what stands below keeps its place, so a browser keeps it
    _asked.set()
    job = _begun(module)
    if not job.wait(0):
        place.skeleton(height=240)
        while not job.wait(_LOOK_SECONDS):
            st.session_state.get(name)  # where Streamlit ends the run of who went to another page
        place.empty()
    job.result()  # or what the import raised
    import_module(module).show()  # anew where its file has changed


@asynccontextmanager
async def warmed(app: st.App) -> AsyncIterator[None]:  # noqa: ARG001 - Streamlit's signature
    """Begin to import every room when the server starts; nothing waits for it."""
    Visits.last = monotonic()
    threading.Thread(target=_warm, daemon=True).start()
    yield


class Visits:
    """Notes when a visitor asks the server for something; a layer around its ASGI application."""

    last = 0.0

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; one that only asks whether the server is up is no visit."""
        if not scope.get("path", "").endswith("/_stcore/health"):
            Visits.last = monotonic()
        await self.app(scope, receive, send)


def _warm() -> None:
    for module in _jobs:
        _begun(module).wait()


def _begun(module: str) -> Job:
    def load(report: Report) -> None:  # noqa: ARG001 - an import does not tell how far it is
        with _importing:
            _stand_back()
            usual = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_SECONDS)
            try:
                import_module(module)
            finally:
                sys.setswitchinterval(usual)

    job = _jobs[module]
    job.start(load)
    return job


def _stand_back() -> None:
    while monotonic() < Visits.last + (_HEAD_SECONDS if _asked.is_set() else _QUIET_SECONDS):
        sleep(0.05)
