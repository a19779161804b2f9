"""The networks of subjects and their traces, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import streamlit as st
from torch import nn

from cnnviz.anatomy import Trace
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache.anatomy import networks

# Networks are kept by size, since a dozen small ones take less memory than one VGG.
_SMALL_BYTES = 60_000_000


@st.cache_resource(max_entries=12, show_spinner="Loading the network …")
def _small_model(name: str, key: str, _subject: Subject) -> nn.Module:  # noqa: ARG001 - the key
    return _subject.load()


@st.cache_resource(max_entries=2, show_spinner="Loading the network …")
def _large_model(name: str, key: str, _subject: Subject) -> nn.Module:  # noqa: ARG001 - the key
    return _subject.load()


def model_of(subject: Subject) -> nn.Module:
    """Return a subject's network, in evaluation mode; a new file of weights makes a new one."""
    small = trace_of(subject).weight_bytes <= _SMALL_BYTES
    return (_small_model if small else _large_model)(subject.name, subject.key, subject)


def trace_of(subject: Subject) -> Trace:
    """Return the trace of a subject's network on its own input."""
    return networks.traced(
        subject.variant.name, subject.knobs, subject.input_size, subject.num_classes
    )
