import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.ui import filters_grid, filters_maps, filters_panels, panels, url

panels.head(
    "Filters and feature maps",
    "See what each filter of a network looks for, and where it finds it in your photo.",
)
try:
    look = filters_panels.pick()
    if look.view == "filters":
        filters_grid.show(look)
    else:
        filters_maps.show(look)
except CnnvizError as error:
    st.error(str(error))
    url.stop()
