"""The views of the Deconvnet page: one is drawn at a time, and the URL says which."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cnnviz.networks.subjects import Subject
from cnnviz.ui.deconvnet import evolution
from cnnviz.ui.deconvnet.evidence import heat_maps, invariance
from cnnviz.ui.deconvnet.photo import view as photo
from cnnviz.ui.deconvnet.units import gallery
from cnnviz.ui.state import url

View = Callable[[Subject], None]

#: Name in the URL -> title and what draws it, in the order of the control.
VIEWS: dict[str, tuple[str, View]] = {
    "units": ("Units", gallery.show),
    "photo": ("One photo", photo.show),
    "evolution": ("Evolution", evolution.show),
    "evidence": ("Occlusion and Grad-CAM", heat_maps.show),
    "invariance": ("Invariance and correspondence", invariance.show),
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
