"""The page Predict: what each trained network says of a photo."""

import streamlit as st

from cnnviz.ui.look.panels import head
from cnnviz.ui.predict import panels


def show() -> None:
    """Write the page."""
    head(
        "Predict",
        "Show the trained networks a photo: each ranks the classes it knows.",
    )
    models, _ = panels.trained_models()
    images = panels.pick_images()
    asked = panels.pick_models(models)
    for place, image in enumerate(images):
        st.divider()
        panels.answers(place, image, asked)
