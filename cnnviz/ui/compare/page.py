"""The page Compare: what accuracy costs."""

import streamlit as st

from cnnviz.ui.compare import choices, numbers, one_model, rows, scatter
from cnnviz.ui.pick.trained_models import trained_models
from cnnviz.ui.state import url


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    models, alone = trained_models(asked=False)
    runs = rows.frame_of(models, alone)
    cards = {name: model.card for name, model in models.items()} | alone
    if runs.empty:
        st.info("No trained network has a measured accuracy yet: finish a run on the Train page.")
        url.stop()
    recipes = rows.together(runs, cards)
    dataset, cost, grouped = choices.pick(runs, repeated=len(recipes) < len(runs))
    runs, chosen = (
        rows.named(frame[frame["dataset"] == dataset], dataset).sort_values(
            "accuracy", ascending=False
        )
        for frame in (runs, recipes if grouped else runs)
    )
    scatter.accuracy_and_cost(chosen, cost)
    numbers.say_cards_alone(runs)
    numbers.by_class(chosen)
    one_model.closer(runs, cards, alone)
    numbers.table(chosen)
