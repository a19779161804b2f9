"""The view of the Explore page that draws the network, folded, and shows what was chosen in it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.anatomy import Layer, Trace, format_shape, format_shapes
from cnnviz.anatomy.graph import Graph, Node
from cnnviz.charts.drawing import network
from cnnviz.charts.drawing.nested import Drawing, lay_out
from cnnviz.charts.drawing.network import Caption, ColourBy
from cnnviz.ui.cache import networks, source_code
from cnnviz.ui.explore import portrait, table
from cnnviz.ui.explore.drawing import script
from cnnviz.ui.explore.portrait import share_of
from cnnviz.ui.look import theme
from cnnviz.ui.look.format import count, si, size
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
_ROW = "Its row of the layer table →"


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
            _details(selection, graph, graph.nodes[chosen])
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
    problems = [url.unknown("level", level, LEVELS)] if level and level not in LEVELS else []
    named = dict.fromkeys([asked, *(opened.split(url.BETWEEN) if opened else ())])
    return problems + [
        f"{url.quoted(name)} is no part of this network; the drawing opens without it."
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


def describe(
    node: Node, trace: Trace, classes: Mapping[str, type], colour_by: ColourBy = "kind"
) -> Caption:
    """Return the words on a node: its MACs, or their share where that is the colour.

    `classes` are the modules' by their paths, see `source_places.classes`.
    """
    share = node.macs / max(trace.macs, 1)
    macs = f"{si(node.macs, 'MACs')}{' + ?' if node.unknown else ''}"
    if colour_by == "share":
        cost = share_of(share) if node.macs else ""
    elif node.macs or node.unknown:
        cost = macs if node.macs else "MACs not known"
    else:
        cost = f"{si(node.params)} params" if node.params else ""
    name = short_name(node)
    layer = None if node.children else trace.layers[node.start]
    if layer is not None:
        detail, words = operator_words(layer), layer.op
    elif node.repeats > 1:
        detail, words = f"× {node.repeats}", f"{node.repeats} equal blocks"
        name = _class_name(node.children[0], classes) or name
    else:
        detail = words = f"{node.operators} operators"
        cls = _class_name(node, classes)
        if cls:
            detail, words = cls, f"{cls} of {words}"
        elif " · " in node.name:
            detail = ""  # the operators are its name
    if layer is not None and node.name.isdigit():
        name, detail = detail, node.name  # of "0" and "conv 3×3" the second says more
    parts = [
        node.id,
        words,
        f"output {format_shape(node.output_shape)}",
        f"{count(node.params)} parameters",
        "MACs not known" if node.unknown else f"{count(node.macs)} MACs ({share_of(share)})",
    ]
    return Caption(
        name=name,
        detail="" if detail == name.replace("_", " ") else detail,
        shape=format_shape(node.output_shape),
        cost=cost,
        title=", ".join(parts),
        share=share,
    )


def _class_name(node: Node, classes: Mapping[str, type]) -> str:
    """Return the class of the module that a node is, "" where that says nothing."""
    name = classes[node.module].__name__ if node.module in classes and node.module else ""
    return "" if name == "Sequential" else name


def short_name(node: Node) -> str:
    """Return what a node is called on its box: `conv1`; with its stage if but a number."""
    name = node.name.partition("#")[0].rstrip("_") or node.name
    if not name[0].isdigit():
        return name
    first, _, last = name.partition(" – ")
    path = (node.module or node.children[0].module).split(".")
    above = path[: -len(first.split("."))]
    start = max((i for i, part in enumerate(above) if not part[0].isdigit()), default=0)
    numbered = ".".join(path[start:]) or first
    end = "".join(first.partition(".")[1:])
    if last and end and last.endswith(end):  # "blocks.6 – 10" rather than "blocks.6.full – 10.full"
        return f"{numbered.removesuffix(end)} – {last.removesuffix(end)}"
    return f"{numbered} – {last}" if last else numbered


def operator_words(layer: Layer) -> str:
    """Say what an operator is: "conv 3×3 / 2", "depthwise 7×7", "max pool 2×2 / 2"."""
    kernel = layer.attributes.get("kernel_size")
    stride = layer.attributes.get("stride") or ()
    groups = layer.attributes.get("groups", 1)
    name = layer.op.rstrip("_").replace("_", " ")
    name = name.removesuffix("1d").removesuffix("2d").removesuffix("3d").replace("adaptive ", "")
    if layer.kind == "conv" and groups > 1:
        name = "depthwise" if groups == layer.input_shape[1] else "grouped"
    if layer.pointwise:
        return f"{name} 1×1"
    if not kernel:
        return name
    strides = set(stride) if isinstance(stride, tuple) else {stride}
    step = f" / {max(strides)}" if strides - {1} else ""
    sides = kernel if isinstance(kernel, tuple) else (kernel,) * 2
    return f"{name} {'×'.join(map(str, sides))}{step}"


def _details(selection: Selection, graph: Graph, node: Node) -> None:
    """Write what is known of a node: its row of the layer table, and its code."""
    layer = None if node.children else graph.trace.layers[node.start]
    named = node.name.startswith("block ") and node.name not in node.id
    st.subheader(f"{node.name}: {node.id}" if named else node.id, anchor=False)
    rows = _group_rows(node, graph.trace) if layer is None else _operator_rows(layer, graph.trace)
    st.html(
        f'<dl class="node-facts">{"".join(_row(*row) for row in rows)}</dl><style>{_STYLE}</style>'
    )
    name, knobs, _, _ = selection.arguments
    module = node.children[0].module if node.repeats > 1 else node.module
    found = source_code.place(name, knobs, module, "" if layer is None else layer.op)
    # No link: one to the page that is shown would not put the view into the URL.
    if layer is not None and st.button(_ROW, type="tertiary", key="explore_row"):
        for key, value in (("view", ""), ("find", layer.path), ("sort", "")):
            url.write(key, value)
        url.rerun()
    table.sight_links(selection, graph.trace.layers[node.start : node.stop])
    if found is None:
        return
    st.caption(f"{found.sentence}, from line {found.line}")
    if found.mentions:
        mentions = "\n".join(f"{number}  {text}" for number, text in found.mentions)
        st.code(mentions, "python", wrap_lines=True)
    with st.expander(f"Code of {found.owner}"):
        st.code(found.text, "python", wrap_lines=True)


_STYLE = """
.node-facts { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 0;
  padding: 0 !important;
  font-size: .92rem; line-height: 1.45; }
.node-facts dt { color: var(--muted); font-weight: 400; margin: 0; }
.node-facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
"""


def _row(label: str, value: str) -> str:
    return f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>"


def _costs(node_params: int, macs: int | None, trace: Trace) -> list[tuple[str, str]]:
    share = share_of((macs or 0) / max(trace.macs, 1))
    return [
        (
            "Parameters",
            f"{count(node_params)} ({share_of(node_params / max(trace.params, 1))} of all)",
        ),
        ("MACs", "not known" if macs is None else f"{count(macs)} ({share} of all)"),
    ]


def _group_rows(node: Node, trace: Trace) -> list[tuple[str, str]]:
    inside = trace.layers[node.start : node.stop]
    rows = [("Equal blocks", str(node.repeats))] if node.repeats > 1 else []
    return [
        *rows,
        ("Operators", f"{node.operators}: rows {node.start} to {node.stop - 1} of the table"),
        ("Input", format_shape(inside[0].input_shape) or "none"),
        ("Output", format_shape(node.output_shape)),
        *_costs(node.params, node.macs, trace),
        ("Output bytes", si(sum(layer.output_bytes for layer in inside), "B")),
        ("Receptive field", _field(inside[-1])),
    ]


def _operator_rows(layer: Layer, trace: Trace) -> list[tuple[str, str]]:
    def text(value: object) -> str:
        return " × ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)

    attributes = [
        (key.replace("_", " ").capitalize(), text(value)) for key, value in layer.attributes.items()
    ]
    kind = f"{layer.kind}, at every position: a 1 × 1 convolution" * layer.pointwise or layer.kind
    reads = ["the input" if i < 0 else trace.layers[i].path for i in layer.inputs]
    return [
        ("Operator", f"{layer.op}, row {layer.index} of the layer table"),
        ("Kind", kind),
        ("Reads", ", ".join(reads) or "parameters only"),
        ("Input", format_shapes(layer) or "none"),
        ("Output", format_shape(layer.output_shape)),
        *attributes,
        *_costs(layer.params, layer.macs, trace),
        ("Additions of a bias", count(layer.bias_adds)),
        ("Other arithmetic", count(layer.other_ops)),
        (
            "Output bytes",
            si(layer.output_bytes, "B")
            if layer.output_bytes
            else "none: written in place, or a view",
        ),
        ("Receptive field", _field(layer)),
    ]


def _field(layer: Layer) -> str:
    if layer.receptive_field is None:
        return layer.note or "not known"
    return f"{layer.receptive_field:,} px, neighbours {layer.jump:g} px apart"
