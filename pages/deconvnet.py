import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.ui import deconv_panels, panels, predict_panels

panels.head(
    "Deconvnet",
    "See what excites a feature map: its strongest activation, carried back to the pixels of your "
    "photo.",
)
models = predict_panels.trained_models()
with st.container(horizontal=True, vertical_alignment="bottom"):
    name = deconv_panels.pick_model(models)
    layer = deconv_panels.pick_layer(models[name])
    data = deconv_panels.pick_photo()
rule = deconv_panels.pick_rule()
try:
    found = deconv_panels.reconstructions(name, models[name], layer, rule, data)
except CnnvizError as error:
    st.error(str(error))
    st.stop()
st.subheader(deconv_panels.heading(models[name], layer, found), anchor=False)
deconv_panels.grid(found, rule, layer)
deconv_panels.compare_rules(name, models[name], layer, data)
deconv_panels.caution()
