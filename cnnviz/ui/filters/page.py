"""The page Filters: what each filter of a layer looks for, and where it finds it in a photo."""

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.ui.filters import grid, maps, pick
from cnnviz.ui.state import url


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    try:
        look = pick.pick()
        if look.view == "filters":
            grid.show(look)
        elif look.photo:
            maps.show(look)
    except CnnvizError as error:
        st.error(str(error))
        url.stop()
