"""The page Predict: what each trained network says of a photo."""

import streamlit as st

from cnnviz.ui.look.panels import head
from cnnviz.ui.pick import trained_models
from cnnviz.ui.predict import answers, pickers


def show() -> None:
    """Write the page."""
    head(
        "Predict",
        "Show the trained networks a photo: each ranks the classes it knows.",
    )
    models, _ = trained_models.trained_models()
    images = pickers.pick_images()
    asked = pickers.pick_models(models)
    for place, image in enumerate(images):
        st.divider()
        answers.answers(place, image, asked)
