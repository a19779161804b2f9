"""The page Deconvnet: what units look for."""

import streamlit as st

from cnnviz.ui.deconvnet import views
from cnnviz.ui.pick import subject_picker


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    notes = st.container()  # above the pickers, that share a row
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # The kind of network that the paper looks into: plain, rectified, with maximum pools.
        subject = subject_picker.pick_subject(notes, families=("zfnet", "alexnet"))
    subject_picker.say_weights(subject)
    views.show(subject)
