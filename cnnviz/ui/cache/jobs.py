"""Long work behind a progress bar, begun once and its result kept between reruns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from cnnviz.ui.state import background
from cnnviz.ui.state.background import Job, Report

_Result = TypeVar("_Result")


@st.cache_resource(max_entries=56, show_spinner=False)
def kept(*key: object) -> Job:  # noqa: ARG001 - the cache's key
    """Return the job that is known by `key`; a new one has not begun."""
    return Job()


def finished(key: tuple[object, ...], work: Callable[[Report], _Result], text: str) -> _Result:
    """Return what `work` makes, kept under `key`: behind a bar that says `text` the first time."""
    job = kept(*key)
    job.start(work)
    found: _Result = background.watch(job, text)
    return found
