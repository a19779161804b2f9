"""Everything the app keeps between reruns: all of its ``st.cache_*`` is here.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.anatomy import Trace
from cnnviz.catalogue import inspect_variant
from cnnviz.registry import KnobValue

Knobs = tuple[tuple[str, KnobValue], ...]


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
    frame = trace.to_frame()
    frame["params_share"] = frame["params"] / max(trace.params, 1)
    frame["macs_share"] = frame["macs"].astype("Float64") / max(trace.macs, 1)
    return frame


@dataclass(frozen=True)
class Source:
    """The code of a network's class: its text, where it stands, and its first line."""

    text: str
    place: str
    line: int


@st.cache_data(max_entries=128, show_spinner=False)
def source(variant: str, knobs: Knobs = ()) -> Source:
    """Return the source of the class that `variant` builds, ours or torchvision's."""
    import torch

    with torch.device("meta"):
        kind = type(registry.get(variant).build(**dict(knobs)))
    lines, first = inspect.getsourcelines(kind)
    file = Path(inspect.getsourcefile(kind) or "")
    package = kind.__module__.split(".")[0]
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    return Source("".join(lines), f"{'/'.join(parts)}, class {kind.__name__}", first)
