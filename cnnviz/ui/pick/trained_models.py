"""The trained models that a page can show, and what it says where there are none."""

from __future__ import annotations

import streamlit as st

from cnnviz import registry
from cnnviz.prediction import survey_models
from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.state import links, url


def trained_models() -> dict[str, Checkpoint]:
    """The trained models; broken ones are named. Without any, says how to get one and stops."""
    models, problems = survey_models()
    known = {variant.name for variant in registry.list_variants()}
    for name in [name for name, model in models.items() if model.card.variant not in known]:
        variant = models.pop(name).card.variant
        problems[name] = f"{name} is a {variant}, which this cnnviz does not know: update cnnviz."
    for problem in problems.values():
        st.warning(problem)
    if not models:
        st.info("No network has been trained yet. LeNet on the digits takes seconds.")
        links.link("train", "Train LeNet on digits →", variant="lenet5", dataset="digits")
        url.stop()
    return models
