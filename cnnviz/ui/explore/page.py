"""The page Explore: one network, layer by layer."""

import streamlit as st

from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.explore import portrait, views
from cnnviz.ui.explore.pick import pick
from cnnviz.ui.look.format import plain


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    selection, problems = pick()
    # However many parts these are, those below keep their places, so that a browser keeps them too.
    with st.container():
        for problem in problems:
            st.warning(plain(problem))
        portrait.portrait(selection)
    trace = networks.traced(*selection.arguments)
    portrait.headline(selection.variant, trace)
    st.space("small")
    views.show(selection, trace)
