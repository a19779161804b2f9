"""The page Predict: what each trained network says of a photo."""

import streamlit as st

from cnnviz.ui.predict import panels


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    models = panels.trained_models()
    images = panels.pick_images()
    asked = panels.pick_models(models)
    for place, image in enumerate(images):
        st.divider()
        panels.answers(place, image, asked)
