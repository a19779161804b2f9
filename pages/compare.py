import streamlit as st

from cnnviz.ui import compare_panels, panels, predict_panels, url

panels.head(
    "Compare",
    "What accuracy costs: every network trained here, by what it gets right and what it takes.",
)
models = predict_panels.trained_models()
runs = compare_panels.frame_of(models)
if runs.empty:
    st.info("No trained network has a measured accuracy yet: finish a run on the Train page.")
    url.stop()
recipes = compare_panels.together(runs, models)
dataset, cost, grouped = compare_panels.pick(runs, repeated=len(recipes) < len(runs))
runs, chosen = (
    compare_panels.named(frame[frame["dataset"] == dataset], dataset).sort_values(
        "accuracy", ascending=False
    )
    for frame in (runs, recipes if grouped else runs)
)
compare_panels.accuracy_and_cost(chosen, cost)
compare_panels.by_class(chosen)
compare_panels.closer(runs, models)
compare_panels.table(chosen)
