"""The views of the Explore page: one is drawn at a time, and the URL says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.images import sample_photos
from cnnviz.ui.explore import cost, field, opinion, portrait, speed, table, two
from cnnviz.ui.explore.drawing import picture
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

View = Callable[[Selection, Trace], None]


def overview(selection: Selection, _: Trace) -> None:
    """Where the cost sits, the layer table, what was changed, the code."""
    portrait.where(selection)
    st.space("small")
    table.table(selection)
    st.space("small")
    portrait.changes(selection)
    portrait.code(selection)


#: Name in the URL -> title and what draws it, in the order of the control.
VIEWS: dict[str, tuple[str, View]] = {
    "layers": ("Layers", overview),
    "drawing": ("Drawing", picture.show),
    "cost": ("Where it costs", cost.cost),
    "field": ("Receptive field", field.field),
    "speed": ("Speed", speed.speed),
    "opinion": ("Second opinion", opinion.opinion),
    "two": ("Two at once", two.two),
}

#: Views whose pickers are not given their values in every run. The browser forgets what a picker
#: says with the view that it stood in; Streamlit does not, where a fragment alone ran.
_LEFT = {"drawing": picture.left, "two": two.left}


def problems() -> list[str]:
    """Name the choices that the URL asks for and that there are not: the default is shown then.

    What a layer is called is a view's own matter.
    """
    known: dict[str, Sequence[str]] = {
        "view": [*VIEWS],
        "cost": cost.CHOICES,
        "sort": [*table.ORDERS],
        "colour": picture.COLOURS,
        "photo": [*sample_photos()],
    }
    return url.problems(known)


@url.fragment
def show(selection: Selection, trace: Trace) -> None:
    """Write the control that picks a view, and that view."""
    first, *others = VIEWS
    name = url.follow("view", "explore_view", {"": first} | {view: view for view in others})
    st.segmented_control(
        "View",
        list(VIEWS),
        format_func=lambda name: VIEWS[name][0],
        key="explore_view",
        required=True,
        label_visibility="collapsed",
    )
    _view(selection, trace, name)


@st.fragment
def _view(selection: Selection, trace: Trace, name: str) -> None:
    """Draw a view; what is chosen within it reruns no more than it."""
    with url.collected():
        notes = st.container()
        for view, left in _LEFT.items():
            if view != name:
                left()
        VIEWS[name][1](selection, trace)
        for problem in problems():  # asked last: a choice made just now is in the URL
            notes.warning(problem)
