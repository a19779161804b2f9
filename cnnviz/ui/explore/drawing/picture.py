"""The view of the Explore page that draws the network, folded, and shows what was chosen in it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.anatomy.graph import Graph, Node
from cnnviz.charts.drawing import network
from cnnviz.charts.drawing.nested import Drawing, lay_out
from cnnviz.charts.drawing.network import Caption, ColourBy
from cnnviz.ui.cache.anatomy import networks, source_code
from cnnviz.ui.explore import portrait
from cnnviz.ui.explore.drawing import script
from cnnviz.ui.explore.drawing.captions import describe
from cnnviz.ui.explore.drawing.details import write_details
from cnnviz.ui.look import theme
from cnnviz.ui.look.format import size
from cnnviz.ui.look.refusals import quoted, unknown
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_KEY = "drawing_network"
_OF, _OPENED = "drawing_of", "drawing_opened"
_CHOSEN, _LEVEL, _COLOUR = "drawing_chosen", "drawing_level", "drawing_colour"
_SEEN = "drawing_seen"  # what the URL said of the three above when it was looked at last
_LEVELS = {"stages": "Stages", "blocks": "Blocks", "operators": "Operators"}
LEVELS, COLOURS = ("blocks", "stages", "operators"), ("kind", "share")  # the first: unasked
_COLOURS: dict[ColourBy, str] = {"kind": "Kind", "share": "Share of MACs"}
_BY_URL: dict[str, ColourBy] = {"": "kind", "share": "share"}
_component = st.components.v2.component(
    "cnnviz_network",
    html=script.HTML,
    css=script.CSS,
    js=script.JS,
)


def show(selection: Selection, trace: Trace) -> None:
    """Draw the network beside what is known of the node that was chosen in it."""
    graph = networks.graph(*selection.arguments)
    for problem in _remember(selection, graph):
        st.warning(problem)
    idle = portrait.idle_params(trace)
    exporting = _controls(graph)
    chosen: str = st.session_state.get(_CHOSEN) or ""
    colour_by: ColourBy = st.session_state[_COLOUR]
    drawing = lay_out(graph, st.session_state[_OPENED])

    def picture(dark: bool | None) -> str:
        return _svg(selection, graph, drawing, chosen, colour_by, dark)

    dark = theme.is_dark()  # asked here: the click that calls for the file knows no theme
    exporting.download_button(
        "Save as SVG",
        lambda: picture(dark),
        f"{selection.file_name}.svg",
        "image/svg+xml",
        on_click="ignore",
        help="This drawing as a file",
    )
    left, right = st.columns([1.8, 1], gap="medium")
    with left:
        legend = _legend(drawing, colour_by)
        _component(
            key=_KEY,
            data={"svg": picture(None), "legend": legend, "chosen": chosen},
            on_pressed_change=lambda: _press(graph),
        )
        st.caption(
            "Press a folded box to unfold it, a frame's title to fold it again. Drag, also with a "
            "finger, or scroll to move; zoom with the buttons, two fingers, or Ctrl and the wheel."
            + (" Auxiliary classifiers, which only training runs, are not drawn." if idle else "")
        )
    with right:
        if chosen:
            write_details(selection, graph, graph.nodes[chosen])
        else:
            st.info(
                "Press an operator, or find a layer above, to see what it is and what it costs."
            )
    _write_url(chosen)


def _controls(graph: Graph) -> DeltaGenerator:
    """Write what decides on the drawing; return the place for its download."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control(
            "Show",
            list(_LEVELS),
            format_func=_LEVELS.__getitem__,
            key=_LEVEL,
            on_change=_set_level,
            args=(graph,),
            required=True,
        )
        st.segmented_control(
            "Colour", list(_COLOURS), format_func=_COLOURS.__getitem__, key=_COLOUR, required=True
        )
        st.selectbox(
            "Find a layer",
            list(graph.nodes)[1:],
            index=None,
            key=_CHOSEN,
            placeholder="for example conv",
            on_change=_reveal,
            args=(graph,),
            width=260,
        )
        return st.empty()


def left() -> None:
    """Let the pickers begin with what the URL says, another view having been shown."""
    st.session_state.pop(_OF, None)


def _remember(selection: Selection, graph: Graph) -> list[str]:
    """Start afresh, at the layer that the URL names, for another network or another URL.

    Returns what to say of a link that names what there is not. What the URL still says of the
    network before is no mistake of the visitor's.
    """
    state = st.session_state
    url.follow("colour", _COLOUR, _BY_URL)
    shown = state.get(_OF) == selection.arguments and _LEVEL in state
    if shown and _in_url() == state.get(_SEEN):
        state[_CHOSEN] = state.get(_CHOSEN)
        return []
    asked, level, opened = _in_url()
    linked = _in_url() != state.get(_SEEN)
    state[_OF] = selection.arguments
    state[_LEVEL] = level if level in _LEVELS else "blocks"
    state[_OPENED] = _opened_at(graph, state[_LEVEL])
    if opened:
        state[_LEVEL] = None
        state[_OPENED] = set(opened.split(url.BETWEEN)) & graph.nodes.keys()
    state[_CHOSEN] = asked if asked in graph.nodes and asked != graph.root.id else None
    _reveal(graph)
    if not linked:
        return []
    problems = [unknown("level", level, LEVELS)] if level and level not in LEVELS else []
    named = dict.fromkeys([asked, *(opened.split(url.BETWEEN) if opened else ())])
    return problems + [
        f"{quoted(name)} is no part of this network; the drawing opens without it."
        for name in named
        if name and name not in graph.nodes
    ]


def _write_url(chosen: str) -> None:
    level = st.session_state[_LEVEL]
    url.write("layer", chosen)
    url.write("level", "" if level in (None, "blocks") else level)
    url.write("open", "" if level else url.BETWEEN.join(sorted(st.session_state[_OPENED])))
    st.session_state[_SEEN] = _in_url()


def _in_url() -> tuple[str, str, str]:
    """Return what the URL says of the layer, the level and what is unfolded, "" for nothing."""
    layer, level, opened = (url.read(key) or "" for key in ("layer", "level", "open"))
    return layer, level, opened


def _set_level(graph: Graph) -> None:
    level = st.session_state[_LEVEL]
    if level is None:
        return
    st.session_state[_OPENED] = _opened_at(graph, level)


def _opened_at(graph: Graph, level: str) -> set[str]:
    """Return the groups that stand open at a level."""
    opened = {"stages": graph.stages, "blocks": graph.blocks, "operators": graph.operators}
    return set(opened[level]())


def _reveal(graph: Graph) -> None:
    """Unfold what holds the chosen node.

    At a level, what held the one before is folded again: the URL has a level and one node.
    """
    state = st.session_state
    if chosen := state[_CHOSEN]:
        opened = _opened_at(graph, state[_LEVEL]) if state[_LEVEL] else state[_OPENED]
        state[_OPENED] = opened | set(graph.ancestors(chosen))


def _press(graph: Graph) -> None:
    """Choose the node that was pressed, and fold or unfold it."""
    pressed = st.session_state[_KEY].pressed
    if pressed not in graph.nodes:
        return
    state = st.session_state
    state[_CHOSEN] = pressed
    if graph.nodes[pressed].children:
        state[_OPENED] ^= {pressed}
        levels = (level for level in LEVELS if _opened_at(graph, level) == state[_OPENED])
        state[_LEVEL] = next(levels, None)


def _svg(
    selection: Selection,
    graph: Graph,
    drawing: Drawing,
    chosen: str,
    colour_by: ColourBy,
    dark: bool | None,
) -> str:
    trace = graph.trace

    name, knobs, _, _ = selection.arguments
    classes = source_code.module_classes(name, knobs)

    def caption(node: Node) -> Caption:
        return describe(node, trace, classes, colour_by)

    shown = sum(not box.framed for box in drawing.boxes)
    title = f"{selection.title}, {shown} boxes of {len(trace.layers)} operators"
    entry = f"input {size(trace.input_size)}"
    return network.svg(
        drawing, caption, entry, title=title, chosen=chosen, colour_by=colour_by, dark=dark
    )


def _legend(drawing: Drawing, colour_by: ColourBy) -> str:
    return "".join(
        f'<span><i style="background:{colour}"></i>{escape(label)}</span>'
        for label, colour in network.legend(colour_by, drawing, None)
    )
