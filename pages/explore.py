import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.ui import caches, explore_panels, explore_views, panels, url
from cnnviz.ui.explore_state import pick

panels.head(
    "Explore",
    "Look inside a network: what it computes, layer by layer, and what that costs.",
)
selection, problems = pick()
for problem in problems:
    st.warning(problem)

explore_panels.portrait(selection)
try:
    trace = caches.traced(*selection.arguments)
except CnnvizError as error:
    st.error(str(error))
    url.stop()

explore_panels.headline(selection.variant, trace)
st.space("small")
explore_views.show(selection, trace)
