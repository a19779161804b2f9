"""The pictures that pages offer, kept between reruns."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.images import encode_png, sample_photos
from cnnviz.training.data import load

#: The sample to begin with where networks were trained on digits.
DIGIT = "handwritten digit"


@st.cache_data(show_spinner=False)
def sample_digit() -> bytes:
    """Return the first test image of the digits as PNG."""
    digit = load("digits").test_images[0]  # (3, H, W)
    return encode_png(np.ascontiguousarray(digit.permute(1, 2, 0).numpy()))


def samples() -> dict[str, bytes]:
    """The sample pictures by what they show."""
    return {**sample_photos(), DIGIT: sample_digit()}
