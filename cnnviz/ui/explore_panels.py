"""The panels of the Explore page: what a network is, what it costs, layer by layer, its code."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cnnviz.anatomy import Layer, Trace
from cnnviz.anatomy.compare_traces import describe_ratio
from cnnviz.anatomy.markdown import to_markdown
from cnnviz.architectures.published import published
from cnnviz.catalogue import predecessor
from cnnviz.charts import bars, costs
from cnnviz.registry import Variant
from cnnviz.settings import checkpoints_dir
from cnnviz.ui import caches, links, panels, theme, url
from cnnviz.ui.explore_state import Selection
from cnnviz.ui.format import count, percent, si, size
from cnnviz.ui.glyphs import glyph
from cnnviz.ui.panels import Fact
from cnnviz.ui.subject_picker import KINDS

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

#: What the layer table can be sorted by: name in the URL -> label and column, "" the execution's.
_ORDERS = {
    "order": ("Order", ""),
    "parameters": ("Parameters", "params"),
    "macs": ("MACs", "macs"),
    "bytes": ("Bytes of activations", "output_bytes"),
    "field": ("Receptive field", "receptive_field"),
    "layer": ("Name", "path"),
}


def portrait(selection: Selection) -> None:
    """Write who the network is: drawing, title, idea, and the paper it comes from."""
    variant = selection.variant
    family = variant.family
    set_here = _set_here(selection)
    adjusted = f" Here it is changed: {set_here}." if set_here else ""
    theme.drawing(
        f'<div class="portrait" style="--family:{theme.family_variable(family.name)}">'
        f"{glyph(family.name)}<div><h2>{escape(selection.title)}</h2>"
        f'<p class="muted">{escape(variant.summary)}{escape(adjusted)}</p>'
        f"<p>{escape(family.idea)}</p>"
        f'<p class="muted"><a href="{escape(family.url)}" target="_blank" rel="noopener">'
        f"{escape(family.citation)}</a></p></div></div>"
    )
    known = published(variant)
    if known is not None and selection.is_default:
        st.caption(
            f"Published: torchvision's weights ({known.weights.partition('.')[2]}) reach "
            f"{percent(known.top1)} top-1 and {percent(known.top5)} top-5 on ImageNet's "
            "validation images, by its own account; not measured here.",
        )
    with st.container(horizontal=True):
        if known is not None:
            links.link("filters", "Filters learnt on ImageNet →", model=f"{variant.name}@imagenet")
        if max(variant.input_size[1:]) <= links.TRAINABLE_SIDE:
            query = selection.to_query()
            knobs = {knob.name: query[knob.name] for knob in variant.knobs if knob.name in query}
            links.link("train", "Train this network →", variant=variant.name, **knobs)
        if (checkpoints_dir() / f"{variant.name}.json").is_file():
            links.link("deconvnet", "See what its units see →", model=variant.name)


def headline(variant: Variant, trace: Trace) -> None:
    """Write the numbers that matter, each beside its predecessor's on the road."""
    earlier = predecessor(variant)
    reference = None if earlier is None else caches.traced(*Selection(earlier).arguments)
    panels.facts(_facts(trace, reference, "" if earlier is None else short_title(earlier)))


def short_title(variant: Variant) -> str:
    """Return a variant's title without its edition and what stands in brackets: "VGG-11"."""
    return re.sub(r" for CIFAR-10| \(.*\)", "", variant.title)


def _facts(trace: Trace, reference: Trace | None, name: str) -> list[Fact]:
    """Return the numbers of `trace`, as multiples of those of `reference`, called `name`, too."""

    def against(value: int | None, key: str) -> str:
        other = None if reference is None else getattr(reference, key)
        if isinstance(other, tuple):
            other = other[0]
        if value is None or not other:
            return ""
        ratio = f"{describe_ratio(value, other)} {name}"
        return f"; {ratio.replace(' ', chr(0xA0))}"  # kept on one line

    unknown = f", without {len(trace.unknown)} operators not known" if trace.unknown else ""
    field, training = trace.receptive_field, trace.training_bytes
    earlier = "" if reference is None else f"; {reference.depth} in {name}"
    return [
        Fact("Depth", f"{trace.depth} layers", f"in a row, {_weighted(trace)}{earlier}"),
        Fact(
            "Parameters",
            si(trace.params),
            _weights(trace) + against(trace.params, "params"),
            f"{count(trace.params)} parameters, {count(trace.weight_bytes)} bytes",
        ),
        Fact(
            "Multiply–accumulates",
            si(trace.macs, "MACs"),
            f"for one image{unknown}; {si(trace.flops, 'FLOPs')}, counting each as two"
            + against(trace.macs, "macs"),
            f"{count(trace.macs)} MACs",
        ),
        Fact(
            "Activations",
            si(trace.activation_bytes, "B"),
            f"all outputs for one image of {size(trace.input_size)}"
            + against(trace.activation_bytes, "activation_bytes"),
            f"{count(trace.activation_bytes)} bytes",
        ),
        Fact(
            "Kept for training",
            "–" if training is None else si(training, "B"),
            f"for the backward pass of one image{against(training, 'training_bytes')}",
            "" if training is None else f"{count(training)} bytes",
        ),
        Fact(
            "Receptive field",
            "–" if field is None else f"{field[0]} px",
            f"what one position of the last map sees{_whole(trace)}"
            + against(None if field is None else field[0], "receptive_field"),
        ),
    ]


def _weighted(trace: Trace) -> str:
    kinds = Counter(layer.kind for layer in trace.layers)
    return f"of {kinds['conv']} convolutions and {kinds['linear']} fully connected"


def _weights(trace: Trace) -> str:
    idle = idle_params(trace)
    skipped = f"; {si(idle)} of them in parts that prediction skips" if idle else ""
    return f"{si(trace.weight_bytes, 'B')} in 32-bit floats{skipped}"


def _whole(trace: Trace) -> str:
    field = trace.receptive_field
    whole = field is not None and field[0] >= max(trace.input_size[1:])
    return ": the whole picture" if whole else ""


def share_of(fraction: float) -> str:
    """Write a share (0 to 1) as a percentage; nothing is said only where it is nothing."""
    return percent(fraction) if fraction == 0 or fraction >= 0.0005 else "< 0.1 %"


def idle_params(trace: Trace) -> int:
    """Return how many parameters no operator of the pass reads: those of auxiliary classifiers."""
    return trace.params - sum(layer.params for layer in trace.layers)


def where(selection: Selection) -> None:
    """Draw where parameters and multiplications sit."""
    for column, cost in zip(st.columns(2, gap="large"), costs.COSTS, strict=True):
        with column:
            st.subheader(caches.cost_sentence(selection.arguments, cost), anchor=False)
            st.html(bars.STYLE + caches.layer_bars(selection.arguments, cost))


@st.fragment
def table(selection: Selection) -> None:
    """Write every operator as a table that can be searched and taken away."""
    with url.collected():
        _table(selection)


def _table(selection: Selection) -> None:
    frame = caches.layer_frame(*selection.arguments)
    st.header("Layer by layer", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _follow_search()
        wanted = st.text_input(
            "Find a layer or an operator",
            placeholder="for example conv2d",
            key="explore_find",
            width=320,
        )
        order = _pick_order()
        text = frame["path"] + " " + frame["op"] + " " + frame["kind"]
        shown = _sorted(frame[text.str.contains(wanted.strip(), case=False, regex=False)], order)
        _downloads(selection, shown)
    if shown.empty:
        st.info(f"No layer or operator of this network contains “{wanted}”.")
        return
    columns = _columns(frame)
    chosen: Any = st.dataframe(
        shown,
        column_order=list(columns),
        column_config=columns,
        hide_index=True,
        height=min(38 + 35 * len(shown), 560),
        key="explore_table",
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        alt=f"{len(shown)} operators with shapes, parameters, MACs and receptive field",
    )
    label = _ORDERS[order][0]
    said = f"by {label if label == 'MACs' else label.lower()}"
    said = "in order of execution" if order == "order" else said
    rows = [row for row in chosen["selection"]["rows"] if row < len(shown)]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.caption(
            f"{len(shown)} of {len(frame)} operators, {said}."
            + ("" if rows else " Tick a row to go on with its layer."),
            width="content",
        )
        if rows:
            layers = caches.traced(*selection.arguments).layers
            _row_links(selection.variant, layers[int(shown["index"].iloc[rows[0]])])


def _follow_search() -> None:
    """Let the search and the URL's ``find`` say the same, as `url.follow` does for a choice."""
    state, seen = st.session_state, "explore_find-in-url"
    asked = url.read("find") or ""
    if "explore_find" not in state or asked != state.get(seen):
        state["explore_find"] = asked
    # Assigned in any case: Streamlit forgets a text with the view that it stood in.
    state["explore_find"] = text = state["explore_find"]
    state[seen] = text.strip()
    url.write("find", text.strip())


def _pick_order() -> str:
    """Write the picker of the table's order; the URL has it as ``sort``."""
    first, *others = _ORDERS
    order = url.follow("sort", "explore_sort", {"": first} | {name: name for name in others})
    st.selectbox(
        "Sort by",
        list(_ORDERS),
        key="explore_sort",
        format_func=lambda name: _ORDERS[name][0],
        width=210,
        help="Names from A to Z, numbers from the largest; a click on a column's title sorts too",
    )
    return order


def _sorted(frame: pd.DataFrame, order: str) -> pd.DataFrame:
    column = _ORDERS[order][1]
    if not column:
        return frame
    return frame.sort_values(column, ascending=column == "path", kind="stable", na_position="last")


def _row_links(variant: Variant, layer: Layer) -> None:
    """Write where the chosen row's layer can be looked at."""
    st.caption(f"**{layer.path}**", width="content")
    sight_links(variant, [layer])


def sight_links(variant: Variant, layers: Sequence[Layer]) -> None:
    """Write links to what the last of `layers` with feature maps looks for and answers to."""
    seen = [
        layer
        for layer in layers
        if len(layer.output_shape) == 4 and min(layer.output_shape[2:]) > 1 and layer.kind in KINDS
    ]
    if not seen:
        return
    with st.container(horizontal=True, gap="medium"):
        links.link("filters", "Its filters →", variant=variant.name, layer=seen[-1].path)
        links.link("deconvnet", "What its units see →", variant=variant.name, layer=seen[-1].path)


def _columns(frame: pd.DataFrame) -> dict[str, ColumnConfig]:
    """Return the columns shown, in their order, with title, width in pixels and explanation."""
    columns = st.column_config

    def number(title: str, width: int, explained: str) -> ColumnConfig:
        return columns.NumberColumn(title, format="localized", width=width, help=explained)

    def share(title: str, name: str) -> ColumnConfig:
        highest = float(frame[name].fillna(0).max()) or 1.0
        return columns.ProgressColumn(
            title, format="percent", width=105, min_value=0, max_value=highest
        )

    return {
        "path": columns.TextColumn("Layer", width=165, pinned=True),
        "index": columns.NumberColumn(
            "Row", width=42, help="Place in the order of execution, from 0"
        ),
        "op": columns.TextColumn("Operator", width=105),
        "output_shape": columns.TextColumn(
            "Output", width=105, help="Channels × height × width, for one image"
        ),
        "params": number("Parameters", 95, "Those that this operator is the first to use"),
        "params_share": share("of all", "params_share"),
        "macs": number("MACs", 115, "Multiply–accumulates; twice as many FLOPs. Empty: not known"),
        "macs_share": share("of all MACs", "macs_share"),
        "output_bytes": number("Bytes", 88, "Memory of the output; 0 where written in place"),
        "receptive_field": number(
            "Sees", 52, "Receptive field: side, in input pixels, of what one output position sees"
        ),
        "jump": number("Jump", 52, "Distance in input pixels between neighbouring positions"),
        "note": columns.TextColumn("Remark", width=100, help="Why there is no receptive field"),
    }


def _downloads(selection: Selection, frame: pd.DataFrame) -> None:
    """Write buttons that save the rows of `frame`, in its order, with the network's totals."""
    name = selection.variant.name

    def as_csv() -> str:
        return frame.to_csv(index=False)

    def as_json() -> str:
        whole = caches.traced(*selection.arguments).to_dict()
        shown = [whole["layers"][index] for index in frame["index"]]
        return json.dumps(whole | {"layers": shown}, indent=1)

    def as_markdown() -> str:
        trace = caches.traced(*selection.arguments)
        shown = [trace.layers[index] for index in frame["index"]]
        return to_markdown(trace, selection.title, shown)

    st.download_button("CSV", as_csv, f"{name}.csv", "text/csv", on_click="ignore")
    st.download_button("JSON", as_json, f"{name}.json", "application/json", on_click="ignore")
    st.download_button("Markdown", as_markdown, f"{name}.md", "text/markdown", on_click="ignore")


def changes(selection: Selection) -> None:
    """Write what the family changed on the road, and each departure of the network shown."""
    variant = selection.variant
    road, paper = st.columns(2, gap="large")
    with road:
        st.header("What it changed", anchor=False)
        st.markdown(variant.family.changed)
    with paper:
        st.header("What we changed", anchor=False)
        if set_here := _set_here(selection):
            st.markdown(f"Set under **Adjust**: {set_here}.")
        elif not variant.changes:
            st.markdown("Nothing: this network is built as its paper describes it.")
        rows = "".join(
            f"<dt>{escape(change.what)}</dt><dd>{escape(change.why)}</dd>"
            for change in variant.changes
        )
        if rows:
            st.html(f'<dl class="changes">{rows}</dl>')


def _set_here(selection: Selection) -> str:
    """What is not as the variant has it: "groups 1, without LRN"."""
    return selection.title.removeprefix(selection.variant.title).removeprefix(", ")


def code(selection: Selection) -> None:
    """Write the class that the variant builds, after what of ours configures or changes it."""
    name, knobs, _, _ = selection.arguments
    st.header("The code", anchor=False)
    with st.container(height=480, border=False):  # reachable by keyboard, unlike a tall st.code
        for source in caches.sources(name, knobs):
            st.caption(f"{source.place}, from line {source.line}")
            st.code(source.text, language="python", wrap_lines=True)
