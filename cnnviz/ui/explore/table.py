"""The layer table of the Explore page: every operator, searchable, sortable, to take away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cnnviz.anatomy import Layer
from cnnviz.anatomy.markdown import to_markdown
from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.look import panels
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.pick.layer_picker import KINDS
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.pick.subject_picker import first_weights
from cnnviz.ui.state import links, url

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ButtonColumnResult, ColumnConfig

#: What the layer table can be sorted by: name in the URL -> label and column, "" the execution's.
ORDERS = {
    "order": ("Order", ""),
    "parameters": ("Parameters", "params"),
    "macs": ("MACs", "macs"),
    "bytes": ("Bytes of activations", "output_bytes"),
    "field": ("Receptive field", "receptive_field"),
    "layer": ("Name", "path"),
}


@st.fragment
def table(selection: Selection) -> None:
    """Write every operator as a table that can be searched and taken away."""
    with url.collected():
        _table(selection)


def _table(selection: Selection) -> None:
    frame = networks.layer_frame(*selection.arguments)
    st.header("Layer by layer", anchor=False)
    if asked := _unknown_layer(selection, frame):
        st.warning(f"{quoted(asked)} is no part of this network: no row is chosen.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _follow_search()
        wanted = st.text_input(
            "Find a layer or an operator",
            placeholder="for example conv2d",
            key="explore_find",
            width=320,
        )
        order = _pick_order()
        shown = _sorted(frame[_found(frame, wanted)], order)
        _downloads(selection, shown, wanted.strip())
    if shown.empty:
        st.info(f"No layer or operator of this network contains {quoted(wanted)}.")
        return
    chosen = shown["path"] == url.read("layer")
    columns: dict[str, ColumnConfig | ButtonColumnResult] = {
        "chosen": _choice_column(shown["path"].tolist()),
        **_columns(frame),
    }
    st.dataframe(
        shown.assign(chosen=chosen.map(_MARKS), **{name: 100 * shown[name] for name in _SHARES}),
        column_order=list(columns),
        column_config=columns,
        hide_index=True,
        height=min(38 + 35 * len(shown), 560),
        placeholder="",
        alt=f"{len(shown)} operators with shapes, parameters, MACs and receptive field",
    )
    label = ORDERS[order][0]
    by = f"sorted by {label if label == 'MACs' else label.lower()}"
    said = "in order of execution" if order == "order" else by
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.caption(
            f"{len(shown)} of {len(frame)} operators; the files have them {said}."
            + ("" if chosen.any() else " Press a row's circle to go on with its layer."),
            width="content",
        )
        for index in shown["index"][chosen]:
            _row_links(selection, networks.traced(*selection.arguments).layers[index])


_KNOWN = "explore_table_layer"  # the layer that the URL named last and that was one of the network
_SHOWN = {"conv": "filters"}  # of a kind of layer, by the page Filters
#: What stands in a row's circle: whether the URL names its layer.
_MARKS = {True: ":material/radio_button_checked:", False: ":material/radio_button_unchecked:"}


def _choice_column(paths: Sequence[str]) -> ButtonColumnResult:
    """Return the column that chooses a row's layer, and takes the choice back when pressed again.

    Buttons, for the rows of Streamlit's tables can be selected but tell so only 150 ms later. Those
    of other rows have another key: who presses one in a table that is about to go means its row.
    """
    key = f"explore_table_{hash(tuple(paths))}"
    return st.column_config.ButtonColumn(
        "", type="tertiary", width=36, pinned=True, key=key, on_click=_choose, args=(key, paths)
    )


def _choose(key: str, paths: Sequence[str]) -> None:
    """Put the layer of the row that was pressed into the URL, or take it out of there."""
    pressed = paths[st.session_state[key].row]
    url.write("layer", "" if pressed == url.read("layer") else pressed)


def _unknown_layer(selection: Selection, frame: pd.DataFrame) -> str:
    """Return what a link names and the network has not, "" for nothing.

    What the URL still says of the network before is no mistake of the visitor's: it is taken out.
    """
    asked, seen = url.read("layer") or "", url.seen()
    names = {"", *frame["path"]}
    blocks = networks.graph(*selection.arguments).nodes  # the drawing's
    if asked in names or asked in blocks:
        seen[_KNOWN] = asked
        return ""
    if asked != seen.get(_KNOWN):
        return asked
    url.write("layer", "")
    return ""


def _follow_search() -> None:
    """Let the search and the URL's ``find`` say the same, as `url.follow` does for a choice."""
    state, asked = st.session_state, url.read("find") or ""
    if "explore_find" not in state or asked != url.seen().get("find"):
        state["explore_find"] = asked
    # Assigned in any case: Streamlit forgets a text with the view that it stood in.
    state["explore_find"] = state["explore_find"]
    url.remember("find", state["explore_find"].strip())


def _pick_order() -> str:
    """Write the picker of the table's order; the URL has it as ``sort``."""
    first, *others = ORDERS
    order = url.follow("sort", "explore_sort", {"": first} | {name: name for name in others})
    st.selectbox(
        "Sort by",
        list(ORDERS),
        key="explore_sort",
        format_func=lambda name: ORDERS[name][0],
        width=210,
        help="Names from A to Z, numbers from the largest. A click on a column's title sorts what "
        "you see, not the files",
    )
    return order


def _found(frame: pd.DataFrame, wanted: str) -> pd.Series[bool]:
    """Tell which rows hold every word of `wanted`: "branch2 conv", "pooling", "3x3"."""
    rows = pd.Series(True, index=frame.index)
    if not wanted.strip():
        return rows
    roles = frame["role"].map(_ROLES).fillna("")
    columns = [frame[name] for name in ("op", "kind", "output_shape", "attributes")]
    text = frame["path"].str.cat(pd.concat([roles, *columns], axis=1), sep=" ")
    text = text.str.replace("×", "x").str.lower()
    for word in wanted.replace("×", "x").lower().split():
        rows &= text.str.contains(word, regex=False)
    return rows


#: What the drawing's legend calls the roles.
_ROLES = {
    "conv": "convolution",
    "linear": "fully connected",
    "norm": "normalisation",
    "pool": "pooling",
    "merge": "branches meet",
}


def _sorted(frame: pd.DataFrame, order: str) -> pd.DataFrame:
    column = ORDERS[order][1]
    if not column:
        return frame
    return frame.sort_values(column, ascending=column == "path", kind="stable", na_position="last")


def _row_links(selection: Selection, layer: Layer) -> None:
    """Write where the chosen row's layer can be looked at."""
    st.caption(f"**{layer.path}**", width="content")
    sight_links(selection, [layer])


def sight_links(selection: Selection, layers: Sequence[Layer]) -> None:
    """Write links to what the last of `layers` with feature maps looks for and answers to.

    None where the network was changed: there are no weights of it.
    """
    if not selection.has_own_layers:
        return
    seen = [
        layer
        for layer in layers
        if len(layer.output_shape) == 4 and min(layer.output_shape[2:]) > 1 and layer.kind in KINDS
    ]
    if not seen:
        return
    with st.container(horizontal=True, gap="medium"):
        state = {"model": first_weights(selection.variant), "layer": seen[-1].path}
        links.link("filters", f"Its {_SHOWN.get(seen[-1].kind, 'feature maps')} →", **state)
        links.link("deconvnet", "What its units see →", **state)


_SHARES = ("params_share", "macs_share")  # fractions of one in the files, per cent on the page


def _columns(frame: pd.DataFrame) -> dict[str, ColumnConfig]:
    """Return the columns shown, in their order, with title, width in pixels and explanation."""
    columns = st.column_config

    def number(title: str, width: int, explained: str) -> ColumnConfig:
        return columns.NumberColumn(
            title, format=panels.GROUPED, step=1, width=width, help=explained
        )

    def share(title: str, name: str) -> ColumnConfig:
        return panels.share_column(title, 93, 100 * float(frame[name].fillna(0).max()))

    return {
        "path": columns.TextColumn("Layer", width=178, pinned=True),
        "index": columns.NumberColumn(
            "Row", width=42, help="Place in the order of execution, from 0"
        ),
        "op": columns.TextColumn("Operator", width=95),
        "output_shape": columns.TextColumn(
            "Output", width=95, help="Channels × height × width, for one image"
        ),
        "params": number("Parameters", 95, "Those that this operator is the first to use"),
        "params_share": share("of all", "params_share"),
        "macs": number("MACs", 115, "Multiply–accumulates; twice as many FLOPs. Empty: not known"),
        "macs_share": share("of all MACs", "macs_share"),
        "output_bytes": number("Bytes", 88, "Memory of the output; 0 where written in place"),
        "receptive_field": number(
            "Sees", 52, "Receptive field: side, in input pixels, of what one output position sees"
        ),
        "jump": columns.NumberColumn(
            "Jump",
            format="%g",
            width=52,
            help="Distance in input pixels between neighbouring positions; may be a fraction",
        ),
        "note": columns.TextColumn("Remark", width=100, help="Why there is no receptive field"),
    }


def _downloads(selection: Selection, frame: pd.DataFrame, wanted: str) -> None:
    """Write buttons that save the rows of `frame`, in its order: those that contain `wanted`."""
    name = selection.file_name
    if wanted:
        name += "-" + re.sub(r"[^\w.]+", "-", wanted)[:40]
    forms: dict[str, tuple[str, Callable[[], str]]] = {
        "CSV": ("csv", lambda: as_csv(frame)),
        "JSON": ("json", lambda: as_json(selection, frame, wanted)),
        "Markdown": ("markdown", lambda: as_markdown(selection, frame)),
    }
    for label, (form, make) in forms.items():
        ending = {"markdown": "md"}.get(form, form)
        kind = {"json": "application/json"}.get(form, f"text/{form}")
        st.download_button(label, make, f"{name}.{ending}", kind, on_click="ignore")


def as_csv(frame: pd.DataFrame) -> str:
    """Return the rows of a layer frame as CSV; whole numbers have no decimals."""
    return frame.drop(columns=["role"]).to_csv(index=False, float_format="%.6g")


def as_json(selection: Selection, frame: pd.DataFrame, wanted: str = "") -> str:
    """Return the network, its settings and totals, and the rows of a layer frame as JSON.

    ``part`` says what the rows contain and of how many operators they are, null for all of them.
    """
    trace = networks.traced(*selection.arguments)
    layers = [trace.layers[index].to_dict() for index in frame["index"]]
    variant, knobs, _, classes = selection.arguments
    document = {
        "name": variant,
        "title": selection.title,
        "knobs": dict(knobs),
        "num_classes": classes,
        **trace.to_dict(),
        "part": {"find": wanted, "operators": len(trace.layers)} if wanted else None,
        "layers": layers,
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def as_markdown(selection: Selection, frame: pd.DataFrame) -> str:
    """Return the network's totals and the rows of a layer frame as Markdown."""
    trace = networks.traced(*selection.arguments)
    return to_markdown(trace, selection.title, [trace.layers[index] for index in frame["index"]])
