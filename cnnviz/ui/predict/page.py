"""The page Predict: what each trained network says of a photo."""

import streamlit as st

from cnnviz.ui.look.panels import head
from cnnviz.ui.pick import photo_picker
from cnnviz.ui.predict import panels


def show() -> None:
    """Write the page."""
    head(
        "Predict",
        "Show the trained networks a photo: each ranks the classes it knows.",
    )
    models = panels.trained_models()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        photos = photo_picker.pick_several(digits=panels.only_digits(models))
        asked = panels.pick_models(models)
    photo_picker.say(st.container())
    for place, photo in enumerate(photos):
        st.divider()
        panels.answers(place, photo, asked)
