"""The code that makes a network, found once.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

import streamlit as st
import torch

from cnnviz import registry
from cnnviz.ui.cache.anatomy import source_places
from cnnviz.ui.cache.anatomy.source_places import Knobs


@st.cache_resource(max_entries=64, show_spinner=False)
def module_classes(variant: str, knobs: Knobs) -> dict[str, type]:
    """Return the class of each of a variant's modules by its path."""
    return source_places.classes(variant, knobs)


@st.cache_data(max_entries=256, show_spinner=False)
def place(variant: str, knobs: Knobs, module: str, op: str) -> source_places.Place | None:
    """Return where a variant's module, or the operator `op` that it calls, is written."""
    return source_places.find(module_classes(variant, knobs), module, op)


@dataclass(frozen=True)
class Source:
    """A piece of code that makes a network: its text, where it stands, and its first line."""

    text: str
    place: str
    line: int


@st.cache_data(max_entries=128, show_spinner=False)
def sources(variant: str, knobs: Knobs = ()) -> list[Source]:
    """Return the source of the class that `variant` builds, ours or torchvision's.

    Where a function of ours configures the class or changes what it made, as for a ResNet without
    shortcuts, that function comes first, with what it calls of its own file.
    """
    chosen = registry.get(variant)
    with torch.device("meta"):
        kind = type(chosen.build(None, **dict(knobs)))
    builder = getattr(chosen.builder, "func", chosen.builder)  # of a functools.partial
    if not inspect.isfunction(builder):
        return [_source(kind)]
    called = (builder.__globals__.get(name) for name in builder.__code__.co_names)
    own = [
        item
        for item in called
        if (inspect.isfunction(item) or inspect.isclass(item))
        and item.__module__ == builder.__module__
    ]
    return [_source(item) for item in (builder, *own, kind)]


def _source(item: type | FunctionType) -> Source:
    lines, first = inspect.getsourcelines(item)
    file = Path(inspect.getsourcefile(item) or "")
    package = item.__module__.split(".")[0]
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    word = "class" if inspect.isclass(item) else "function"
    return Source("".join(lines), f"{'/'.join(parts)}, {word} {item.__name__}", first)
