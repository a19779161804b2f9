"""Controls of one choice, which stands in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

import streamlit as st

from cnnviz.ui.state import url

Scale = Literal["each", "all"]
SCALES: dict[Scale, str] = {"each": "Each its own", "all": "One for all"}
_Name = TypeVar("_Name", bound=str)


def pick_one(
    label: str, key: str, options: Mapping[_Name, str], default: _Name, tip: str = ""
) -> _Name:
    """Write a control whose choice stands in the URL under the name `key`."""
    url.keep_choice(key, options, default)
    chosen = st.segmented_control(
        label,
        list(options),
        key=key,
        required=True,
        format_func=options.__getitem__,
        help=tip or None,
    )
    return chosen or default


def pick_scale() -> Scale:
    """Write the picker of the scale of signed pictures."""
    return pick_one(
        "Contrast",
        "scale",
        SCALES,
        "each",
        "Each its own: every picture at full contrast, which shows patterns best. One for all: a "
        "weak one looks weak. Zero has the same tone in both.",
    )
