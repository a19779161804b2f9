"""The pickers of the page Predict: which photos, and which networks are asked."""

from __future__ import annotations

import streamlit as st

from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.cache.photos import samples
from cnnviz.ui.pick.photo_picker import FILE_TYPES

UPLOAD_MB = 10


Image = tuple[str, bytes]


def pick_images() -> list[Image]:
    """Uploaded photos, or a sample where none was uploaded."""
    upload, sample = st.columns([3, 2], gap="large")
    with upload:
        files = st.file_uploader(
            "Your photos",
            type=FILE_TYPES,
            accept_multiple_files=True,
            max_upload_size=UPLOAD_MB,
            key="photos",
            help="They stay on this machine, in memory, for as long as this page is open.",
        )
    photos = samples()
    with sample:
        chosen = st.selectbox(
            "Or a sample photo",
            list(photos),
            key="sample",
            bind="query-params",
            disabled=bool(files),
            help="Photos that scikit-image ships, and a digit that no network was trained on",
        )
    if files:
        return [(file.name, file.getvalue()) for file in files]
    return [(chosen, photos[chosen])]


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
