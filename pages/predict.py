import streamlit as st

from cnnviz.ui import panels, predict_panels

panels.head(
    "Predict",
    "Show the trained networks a photo: each ranks the classes it knows.",
)
models = predict_panels.trained_models()
images = predict_panels.pick_images()
asked = predict_panels.pick_models(models)
for place, image in enumerate(images):
    st.divider()
    predict_panels.answers(place, image, asked)
