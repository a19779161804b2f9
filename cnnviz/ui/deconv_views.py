"""The views of the Deconvnet page: one is drawn at a time, and the URL says which."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cnnviz.subjects import Subject
from cnnviz.ui import (
    deconv_evidence,
    deconv_evolution,
    deconv_invariance,
    deconv_photo,
    deconv_units,
    url,
)

View = Callable[[Subject], None]

#: Name in the URL -> title and what draws it, in the order of the control.
VIEWS: dict[str, tuple[str, View]] = {
    "units": ("Units", deconv_units.show),
    "photo": ("One photo", deconv_photo.show),
    "evolution": ("Evolution", deconv_evolution.show),
    "evidence": ("Occlusion and Grad-CAM", deconv_evidence.show),
    "invariance": ("Invariance and correspondence", deconv_invariance.show),
}


def show(subject: Subject) -> None:
    """Write the control that picks a view, and that view."""
    url.keep_choice("view", VIEWS, next(iter(VIEWS)))
    name = st.segmented_control(
        "View",
        list(VIEWS),
        format_func=lambda name: VIEWS[name][0],
        key="view",
        required=True,
        label_visibility="collapsed",
    )
    VIEWS[name or "units"][1](subject)
