"""The files in which a view can be saved: its pictures and the numbers behind them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import streamlit as st


def offer(name: str, png: Callable[[], bytes], arrays: Callable[[], Mapping[str, Any]]) -> None:
    """Offer the view as a picture and as arrays; both are made when asked for."""

    def packed() -> bytes:
        buffer = io.BytesIO()
        given: dict[str, Any] = {key: np.asarray(array) for key, array in arrays().items()}
        np.savez_compressed(buffer, **given)
        return buffer.getvalue()

    with st.container(horizontal=True):
        st.download_button(
            "PNG",
            png,
            f"{name}.png",
            "image/png",
            on_click="ignore",
            icon=":material/download:",
            help="These pictures as one file",
        )
        st.download_button(
            "NPZ",
            packed,
            f"{name}.npz",
            "application/octet-stream",
            on_click="ignore",
            icon=":material/download:",
            help="The numbers behind them as NumPy arrays",
        )
