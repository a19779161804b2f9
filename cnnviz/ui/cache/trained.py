"""What trained networks answer and cost, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from torch import nn

from cnnviz.compare import Costs, Network, Row, compare_card, compare_one
from cnnviz.images import decode
from cnnviz.prediction import Prediction, predict_with
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import read_checkpoint


@st.cache_resource(max_entries=32, show_spinner=False)
def trained_model(path: Path, sha256: str) -> tuple[nn.Module, Card]:  # noqa: ARG001 - the key
    """Return a trained network, in evaluation mode, and its card. `sha256` makes a new one new."""
    checkpoint = read_checkpoint(path)
    return checkpoint.load_model(), checkpoint.card


@st.cache_data(max_entries=2048, show_spinner=False)  # what a network of 32 × 32 sees: 3 kB
def prediction(name: str, path: Path, sha256: str, image_sha256: str, _data: bytes) -> Prediction:
    """Return what the checkpoint at `path` says about an image, known by its hash."""
    del image_sha256  # the key; hashing the bytes again would only cost time
    model, card = trained_model(path, sha256)
    return predict_with(model, card, decode(_data), name=name)


@st.cache_data(max_entries=4096, show_spinner="Measuring latency …")  # a row: 1 kB
def comparison_row(name: str, path: Path, sha256: str) -> Row:  # noqa: ARG001 - the key
    """Return a model's row of the comparison; its network is traced and timed once."""
    return compare_one(name, read_checkpoint(path), _costs())


@st.cache_data(max_entries=4096, show_spinner="Measuring latency …")
def card_row(name: str, sha256: str, _card: Card) -> Row:  # noqa: ARG001 - the key
    """Return the row of a model whose weights are not here, by its card."""
    return compare_card(name, _card, _costs())


@st.cache_resource
def _costs() -> dict[Network, Costs]:
    return {}
