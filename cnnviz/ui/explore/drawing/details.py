"""What is known of a node that was chosen in a drawn network, and its code."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.anatomy import Layer, Trace, format_shape, format_shapes
from cnnviz.anatomy.graph import Graph, Node
from cnnviz.ui.cache.anatomy import source_code
from cnnviz.ui.explore import table
from cnnviz.ui.explore.portrait import share_of
from cnnviz.ui.look.format import count, si
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

_ROW = "Its row of the layer table →"


def write_details(selection: Selection, graph: Graph, node: Node) -> None:
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
