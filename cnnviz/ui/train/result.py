"""What a finished run reached: how it errs and whether its confidence can be trusted."""

from __future__ import annotations

import streamlit as st

from cnnviz.runs import Run
from cnnviz.runs.trainer.snapshots import list_snapshots
from cnnviz.ui.cache import run_data
from cnnviz.ui.look.evaluation import evaluated
from cnnviz.ui.pick import photo_picker
from cnnviz.ui.state import links


def ways_on(run: Run) -> None:
    """Write links to where the model of a finished run can be looked at."""
    name = run_data.model_name(run)
    with st.container(horizontal=True, gap="medium"):
        shown = photo_picker.for_dataset(run.recipe.dataset)
        links.link("predict", "Ask it about a photo →", model=name, **shown)
        links.link("filters", "See its filters →", model=name)
        links.link("deconvnet", "See what its units see →", model=name)
        if list_snapshots(run):
            links.link("deconvnet", "See its units evolve →", model=name, view="evolution")
        links.link("compare", "Find it in the comparison →", dataset=run.recipe.dataset)


def show(run: Run) -> None:
    """Write the evaluation on the test images, as far as the run's card has it."""
    card = run_data.card_of(run)
    if card is None or not (card.confusion or card.calibration or card.per_class):
        return
    st.header("On the test images", anchor=False)
    evaluated(card)
