"""The traces of networks and what follows from them, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.anatomy.compare_traces import Pair, compare_traces
from cnnviz.anatomy.graph import Graph
from cnnviz.networks.catalogue import inspect_variant
from cnnviz.ui.cache.anatomy.source_places import Knobs as Knobs

#: What a network is made by: variant, knobs, input size (C, H, W) and number of classes.
Arguments = tuple[str, Knobs, tuple[int, int, int], int]


@st.cache_resource(max_entries=128, show_spinner="Tracing the network …")
def traced(
    variant: str,
    knobs: Knobs = (),
    input_size: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
) -> Trace:
    """Return the trace of a variant, built without weights; its own sizes where None.

    Raises `CnnvizError` where the network cannot be built or cannot read such an input.
    """
    return inspect_variant(variant, input_size, num_classes, dict(knobs))


@st.cache_data(max_entries=128, show_spinner=False)
def layer_frame(
    variant: str,
    knobs: Knobs = (),
    input_size: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
) -> pd.DataFrame:
    """Return one row for each operator of the trace, with its shares of the totals (0 to 1)."""
    trace = traced(variant, knobs, input_size, num_classes)
    frame: pd.DataFrame = trace.to_frame()
    frame["params_share"] = frame["params"] / max(trace.params, 1)
    frame["macs_share"] = frame["macs"].astype("Float64") / max(trace.macs, 1)
    return frame


@st.cache_resource(max_entries=64, show_spinner=False)
def graph(variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int) -> Graph:
    """Return the foldable graph of a variant's trace."""
    return Graph(traced(variant, knobs, input_size, num_classes))


@st.cache_data(max_entries=64, show_spinner=False)
def pairs(
    left: Arguments,
    right: Arguments,
) -> list[Pair]:
    """Return the layers of two networks side by side; each is the arguments of `traced`."""
    return compare_traces(traced(*left), traced(*right))


@st.cache_data(max_entries=256, show_spinner=False)
def html(key: tuple[object, ...], _make: Callable[[], str]) -> str:
    """Return the HTML that `_make` makes, kept under `key`: all that decides on it."""
    del key
    return _make()
