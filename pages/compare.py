import streamlit as st

from cnnviz.ui import compare_panels, panels, predict_panels, url

panels.head(
    "Compare",
    "What accuracy costs: every network trained here, by what it gets right and what it takes.",
)
frame = compare_panels.frame_of(predict_panels.trained_models())
if frame.empty:
    st.info("No trained network has a measured accuracy yet: finish a run on the Train page.")
    url.stop()
dataset, cost = compare_panels.pick(frame)
chosen = frame[frame["dataset"] == dataset].sort_values("accuracy", ascending=False)
# Two runs of one network get their runs' names beside the title.
twice = chosen["title"].duplicated(keep=False)
chosen = chosen.assign(label=chosen["title"].where(~twice, chosen["model"]))
compare_panels.accuracy_and_cost(chosen, cost)
compare_panels.by_class(chosen)
compare_panels.table(chosen)
