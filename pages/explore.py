import streamlit as st

from cnnviz.ui import caches, explore_panels, explore_views, panels
from cnnviz.ui.explore_pick import pick
from cnnviz.ui.format import plain

panels.head(
    "Explore",
    "Look inside a network: what it computes, layer by layer, and what that costs.",
)
selection, problems = pick()
# However many parts these are, those below keep their places, so that a browser keeps them too.
with st.container():
    for problem in problems:
        st.warning(plain(problem))
    explore_panels.portrait(selection)
trace = caches.traced(*selection.arguments)
explore_panels.headline(selection.variant, trace)
st.space("small")
explore_views.show(selection, trace)
