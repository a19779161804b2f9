import streamlit as st

from cnnviz.ui import deconv_views, panels, subject_picker

panels.head(
    "Deconvnet",
    "See which images excite a unit of a network, and what it saw in each of them.",
)
with st.container(horizontal=True, vertical_alignment="bottom"):
    subject = subject_picker.pick_subject()
subject_picker.say_weights(subject)
deconv_views.show(subject)
