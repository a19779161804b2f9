"""The picker of the page Predict: which networks are asked."""

from __future__ import annotations

import streamlit as st

from cnnviz.training.saved.checkpoints import Checkpoint


def only_digits(models: dict[str, Checkpoint]) -> bool:
    """Tell whether all models that the page is opened for, or all there are, read digits."""
    wanted = [name for name in st.query_params.get_all("model") if name in models]
    return all(models[name].card.dataset == "digits" for name in wanted or models)


def pick_models(models: dict[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Which models are asked: all of them unless some are chosen."""
    wanted = st.query_params.get_all("model")
    default = [name for name in wanted if name in models]
    if len(models) == 1:
        return models
    chosen = st.multiselect(
        "Networks",
        list(models),
        default=default,
        format_func=lambda name: label(name, models[name]),
        placeholder=f"All {len(models)} trained networks",
        key="asked",
    )
    return {name: models[name] for name in chosen} or models


def label(name: str, checkpoint: Checkpoint) -> str:
    """What a model is called in a picker."""
    card = checkpoint.card
    return f"{card.title} · {card.dataset if name == card.variant else name}"
