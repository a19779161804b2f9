"""The page Compare: what accuracy costs."""

import streamlit as st

from cnnviz.ui.compare import panels
from cnnviz.ui.predict.panels import trained_models
from cnnviz.ui.state import url


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    models = trained_models()
    runs = panels.frame_of(models)
    if runs.empty:
        st.info("No trained network has a measured accuracy yet: finish a run on the Train page.")
        url.stop()
    recipes = panels.together(runs, models)
    dataset, cost, grouped = panels.pick(runs, repeated=len(recipes) < len(runs))
    runs, chosen = (
        panels.named(frame[frame["dataset"] == dataset], dataset).sort_values(
            "accuracy", ascending=False
        )
        for frame in (runs, recipes if grouped else runs)
    )
    panels.accuracy_and_cost(chosen, cost)
    panels.by_class(chosen)
    panels.closer(runs, models)
    panels.table(chosen)
