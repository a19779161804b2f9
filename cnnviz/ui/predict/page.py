"""The page Predict: what each trained network says of a photo."""

import streamlit as st

from cnnviz.ui.pick import photo_picker, trained_models
from cnnviz.ui.predict import answers, pickers


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    models, _ = trained_models.trained_models()
    notes = st.container()  # above the pickers, that share a row
    with st.container(horizontal=True, vertical_alignment="bottom"):
        photos = photo_picker.pick_several(notes, digits=pickers.only_digits(models))
        asked = pickers.pick_models(models, notes)
    photo_picker.say(st.container())
    for place, photo in enumerate(photos):
        st.divider()
        answers.answers(place, photo, asked)
