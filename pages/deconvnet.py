import streamlit as st

from cnnviz.ui import deconv_views, panels, subject_picker

panels.head(
    "Deconvnet",
    "See which images excite a unit of a network, and what it saw in each of them.",
)
notes = st.container()  # above the pickers, that share a row
with st.container(horizontal=True, vertical_alignment="bottom"):
    # The kind of network that the paper looks into: plain, rectified, with maximum pools.
    subject = subject_picker.pick_subject(notes, families=("zfnet", "alexnet"))
subject_picker.say_weights(subject)
deconv_views.show(subject)
