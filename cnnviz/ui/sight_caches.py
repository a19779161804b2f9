"""What the pages Filters and Deconvnet keep between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import streamlit as st
from torch import nn

from cnnviz.anatomy import Trace
from cnnviz.subjects import Subject
from cnnviz.ui import caches


@st.cache_resource(max_entries=8, show_spinner="Loading the network …")
def _model(name: str, key: str, _subject: Subject) -> nn.Module:  # noqa: ARG001 - the cache's key
    return _subject.load()


def model_of(subject: Subject) -> nn.Module:
    """Return a subject's network, in evaluation mode; a new file of weights makes a new one."""
    return _model(subject.name, subject.key, subject)


def trace_of(subject: Subject) -> Trace:
    """Return the trace of a subject's network on its own input."""
    return caches.traced(
        subject.variant.name, subject.knobs, subject.input_size, subject.num_classes
    )
