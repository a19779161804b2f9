"""The page Filters: what is looked at, and every convolution in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.anatomy import Layer
from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import filter_sets
from cnnviz.ui.filters.state import Look, View
from cnnviz.ui.look.format import size
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.pick import layer_picker, photo_picker, subject_picker
from cnnviz.ui.state import url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.column_types import ColumnConfig

VIEWS: dict[View, str] = {"filters": "Filters", "maps": "Feature maps"}
_READS = {"colour": "the photo", "depthwise": "a map each", "deep": "maps"}


def pick() -> Look:
    """Write the pickers and return what they say.

    A link may name a ``variant`` instead of a ``model``: its best weights are shown. Stops where
    published weights have yet to be downloaded.
    """
    variant = url.read("variant")
    if variant is not None:
        if url.read("model") is None:
            url.write("model", variant)
        url.write("variant", "")
    row = st.container(horizontal=True, vertical_alignment="bottom")
    notes = st.container()
    with row:
        subject = subject_picker.pick_subject(notes)
    with notes:
        subject_picker.say_weights(subject)
        kernels = _kernels(subject)
        maps = layer_picker.maps_of(subject)
        view = _keep_view(subject, kernels, maps)
    with row:
        layer = _pick_layer(subject, view, kernels, maps, notes)
        photo = photo_picker.pick_photo(subject, notes)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.segmented_control(
            "View",
            list(VIEWS),
            key="view",
            required=True,
            format_func=VIEWS.__getitem__,
            label_visibility="collapsed",
        )
        layer_picker.link_to_explore(subject, layer)
        _table(subject, layer)
    return Look(subject, view, layer, photo or b"")


def _kernels(subject: Subject) -> dict[str, str]:
    """The paths of the convolutions, and the shapes of their kernels."""
    shapes = filter_sets.kernel_shapes(subject)
    if not shapes:
        raise CnnvizError(f"{subject.variant.title} has no convolutions: choose another network.")
    return {path: size(shape) for path, shape in shapes.items()}


def _keep_view(subject: Subject, kernels: dict[str, str], maps: dict[str, Layer]) -> View:
    """Bring the URL and the switch of the view together, and say which layers cannot be shown.

    A link that names a layer but no view opens a convolution's kernels and another one's maps.
    """
    asked, state = url.read("layer"), st.session_state
    new = asked is not None and asked != url.seen().get("layer")
    if new and url.read("view") is None:
        state["view"] = "maps" if asked in maps and asked not in kernels else "filters"
    url.keep_choice("view", VIEWS, "filters")
    # The picker of maps says itself what it does not know.
    if new and asked not in kernels and asked not in maps and state["view"] == "filters":
        known = {layer.path for layer in subjects.trace_of(subject).layers}
        why = "has no filters and no feature maps" if asked in known else "is no layer of it"
        st.warning(f"{quoted(asked or '')} {why}. Showing another layer of {subject.title}.")
    view: View = state["view"]
    return view


def _pick_layer(
    subject: Subject,
    view: View,
    kernels: dict[str, str],
    maps: dict[str, Layer],
    notes: DeltaGenerator,
) -> str:
    """Write the picker of the layer, of those that the view can show."""
    last = url.read("layer") or st.session_state.get("layer", "")
    if view == "maps":
        rectified = [path for path, layer in maps.items() if layer.kind == "activation"]
        return layer_picker.pick_layer(maps, (rectified or list(maps))[0], notes)
    default = _convolution_before(subject, last, kernels)
    url.keep_choice("layer", kernels, default)
    return st.selectbox(
        "Layer",
        list(kernels),
        key="layer",
        format_func=lambda path: f"{path or 'the network'} · {kernels[path]}",
        help="Filters × input channels that each reads × height × width of a kernel",
    )


def _convolution_before(subject: Subject, path: str, kernels: dict[str, str]) -> str:
    """The convolution whose output the operator at `path` is given, or the first of all."""
    before = next(iter(kernels))
    for layer in subjects.trace_of(subject).layers:
        if layer.path in kernels:
            before = layer.path
        if layer.path == path:
            return before
    return next(iter(kernels))


def _table(subject: Subject, layer: str) -> None:
    """Offer every convolution of the network in a table; choosing a row opens its filters."""
    count = len(filter_sets.kernel_shapes(subject))
    with st.popover(
        f"All {count} convolutions",
        icon=":material/table_rows:",
        key="filters_layers",
        on_change="rerun",  # comparing all filters takes seconds in a large network
    ) as place:
        if place.open:
            _write_table(subject, layer)


def _write_table(subject: Subject, layer: str) -> None:
    frame = filter_sets.filter_table(subject)
    columns = st.column_config

    def norm(title: str, explained: str) -> ColumnConfig:
        return columns.NumberColumn(title, format="%.3f", width=75, help=explained)

    shown = {
        "path": columns.TextColumn("Layer", width=150, pinned=True),
        "kernels": columns.TextColumn(
            "Kernels", width=128, help="Filters × input channels of each × height × width"
        ),
        "reads": columns.TextColumn("Reads", width=85),
        "dead": columns.NumberColumn(
            "Next to nothing", width=110, help="Filters below 1/1000 of the layer's median norm"
        ),
        "duplicates": columns.NumberColumn(
            "Alike", width=60, help="Pairs of filters with a cosine of 0.95 or more"
        ),
        "median": norm("Norm", "The median of the Euclidean norms of the filters' weights"),
        "lowest": norm("Least", "The smallest norm"),
        "highest": norm("Largest", "The largest norm"),
    }

    key = f"filters_table_{subject.name}_{layer}"  # nothing is chosen in a new layer

    def choose() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            st.session_state["layer"] = frame["path"].iloc[rows[0]]
            st.session_state["view"] = "filters"

    st.dataframe(
        frame.assign(reads=frame["kind"].map(_READS)),
        column_order=list(shown),
        column_config=shown,
        hide_index=True,
        width=900,
        height=min(38 + 35 * len(frame), 420),
        key=key,
        on_select=choose,
        selection_mode="single-row",
        alt=f"{len(frame)} convolutions with kernels, norms, dead filters and duplicates",
    )
    st.caption("Choose a row, by the box before it, to open its filters.")
