import streamlit as st

from cnnviz.ui import panels, train_panels

panels.head(
    "Train",
    "Start a training run and watch it learn. It has a process of its own: close the page, even "
    "the app, and it goes on.",
)
train_panels.new_run()
st.divider()
train_panels.watch_runs()
train_panels.log(st.session_state.get("run"))
