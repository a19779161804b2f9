"""What the page Filters keeps between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from torch.nn import Conv2d

from cnnviz.networks.subjects import Subject
from cnnviz.sight import Filters, convolutions, filters
from cnnviz.sight.filters import Order, Pair
from cnnviz.ui.cache import subjects


def kernel_shapes(subject: Subject) -> dict[str, tuple[int, ...]]:
    """Return the shape of the kernels of each convolution, by its path, in the network's order."""
    modules = subjects.model_of(subject).named_modules()
    return {
        path: tuple(module.weight.shape) for path, module in modules if isinstance(module, Conv2d)
    }


@st.cache_resource(max_entries=16, show_spinner=False)
def _filters(name: str, key: str, layer: str, _subject: Subject) -> Filters:  # noqa: ARG001
    return filters(subjects.model_of(_subject), layer)


def filters_of(subject: Subject, layer: str) -> Filters:
    """Return the kernels of a convolution; they are kept, so read them only."""
    return _filters(subject.name, subject.key, layer, subject)


@st.cache_data(max_entries=64, show_spinner=False)
def _duplicates(name: str, key: str, layer: str, _subject: Subject) -> list[Pair]:  # noqa: ARG001
    return filters_of(_subject, layer).duplicates()


def duplicates_of(subject: Subject, layer: str) -> list[Pair]:
    """Return the near duplicates among the filters of a convolution."""
    return _duplicates(subject.name, subject.key, layer, subject)


@st.cache_data(max_entries=64, show_spinner=False)
def _filter_order(
    name: str,  # noqa: ARG001 - the key, as below
    key: str,  # noqa: ARG001
    layer: str,
    by: Order,
    _subject: Subject,
) -> NDArray[np.intp]:
    return filters_of(_subject, layer).order(by)


def filter_order(subject: Subject, layer: str, by: Order) -> NDArray[np.intp]:
    """Return the numbers of a convolution's filters in an order."""
    return _filter_order(subject.name, subject.key, layer, by, subject)


@st.cache_data(max_entries=16, show_spinner="Comparing the filters of every layer …")
def _filter_table(name: str, key: str, _subject: Subject) -> pd.DataFrame:  # noqa: ARG001
    model = subjects.model_of(_subject)
    rows = []
    for path in convolutions(model):
        found = filters(model, path)
        norms = found.norms
        rows.append(
            {
                "path": path,
                "kernels": " × ".join(map(str, found.weights.shape)),
                "kind": found.kind,
                "lowest": float(norms.min()),
                "median": float(np.median(norms)),
                "highest": float(norms.max()),
                "dead": int(found.dead.sum()),
                "duplicates": len(found.duplicates()),
            }
        )
    return pd.DataFrame(rows)


def filter_table(subject: Subject) -> pd.DataFrame:
    """Return one row for each convolution of a network.

    The columns are path, kernels (their shape), kind, lowest, median and highest norm, dead filters
    and pairs of near duplicates.
    """
    return _filter_table(subject.name, subject.key, subject)
