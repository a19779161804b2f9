"""What the page Filters looks at, and the choices that its two views share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.anatomy import Layer
from cnnviz.networks.subjects import Subject
from cnnviz.sight import Filters
from cnnviz.ui.cache import subjects
from cnnviz.ui.filters.tiling import PART
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.pick import layer_picker
from cnnviz.ui.state import automatic, links, url

View = Literal["filters", "maps"]


@dataclass(frozen=True)
class Look:
    """A subject, what is shown of it and at which layer, and the photo (a file's bytes).

    No bytes: the visitor's file is no photo, and no other one is shown in its place.
    """

    subject: Subject
    view: View
    layer: str
    photo: bytes

    @property
    def row(self) -> Layer | None:
        """The layer in the trace; None where a pass does not call it once."""
        layers = subjects.trace_of(self.subject).layers
        return next((layer for layer in layers if layer.path == self.layer), None)


def press(unit: int) -> None:
    """Choose a unit; for callbacks, before the pickers are written."""
    st.session_state["unit"] = str(unit)
    automatic.chosen("unit")


def keep_unit(look: Look, count: int, default: int) -> int:
    """Bring the URL and the picker of the unit together; call it before `pick_unit`.

    Another layer, or another photo, starts at its `default`, unless the visitor or a link chose.
    """
    state = st.session_state
    of = (look.subject.name, look.layer, look.view)
    if state.get("unit-of", of)[:2] != of[:2]:
        if url.read("unit") == url.seen().get("unit"):
            url.write("unit", "")
        automatic.forget("unit")
    state["unit-of"] = of
    options = [str(unit) for unit in range(count)]
    asked = url.read("unit")
    if asked is not None and asked not in options and asked != url.seen().get("unit"):
        st.warning(f"{look.layer} has no unit {quoted(asked)}: its units are 0 to {count - 1}.")
    linked = asked in options and asked != url.seen().get("unit")
    automatic.begin("unit", str(default), hashlib.sha256(look.photo).digest(), linked=linked)
    url.keep_choice("unit", options, str(default))
    return int(state["unit"])


def pick_unit(count: int, label: str) -> None:
    """Write the picker of the unit."""
    st.selectbox(label, [str(unit) for unit in range(count)], key="unit", width=120)


def pick_part(
    look: Look, order: Sequence[int] | NDArray[np.intp], unit: int, noun: str
) -> list[int]:
    """Return the units to show, at most `PART`; of more, write the picker of the part.

    Where another unit is chosen, the part with it is shown.
    """
    parts = [str(part) for part in range(1, math.ceil(len(order) / PART) + 1)]
    if len(parts) == 1:
        url.write("part", "")
        return [int(one) for one in order]
    state = st.session_state
    place = next(i for i, one in enumerate(order) if one == unit)
    of = (look.subject.name, look.layer, look.view, state.get("order"), unit)
    home = str(place // PART + 1)
    if state.get("part-of", of) != of:
        state["part"] = home
    state["part-of"] = of
    url.keep_choice("part", parts, home)
    st.selectbox(
        noun,
        parts,
        key="part",
        width=150,
        format_func=lambda part: _span(int(part), len(order)),
        help=f"{PART} of {len(order)} are shown at a time, in the order chosen",
    )
    first = (int(state["part"]) - 1) * PART
    return [int(one) for one in order[first : first + PART]]


def _span(part: int, count: int) -> str:
    return f"{(part - 1) * PART + 1}–{min(part * PART, count)} of {count}"


def link_to_deconvnet(look: Look, layer: str, unit: int) -> None:
    """Write the link to what a unit of `layer` saw, where the layer has maps."""
    if layer in layer_picker.maps_of(look.subject):
        state = {"model": look.subject.name, "layer": layer, "unit": str(unit)}
        links.link("deconvnet", f"What unit {unit} saw →", **state)


_READING = {
    "colour": "These filters read the photo itself, so each can be drawn in the colours that it "
    "looks for: mid-grey is zero, a colour brighter than grey excites, its opposite inhibits. In a "
    "**trained** network they are edges in all directions and blobs of colour: what every picture "
    "is made of. Noise means that a filter learnt little, or that the weights are random.",
    "grey": "These filters read the grey photo itself, so each is a small picture of what it looks "
    "for: blue weights excite, red ones inhibit. In a **trained** network they are edges, bars and "
    "spots. Noise means that a filter learnt little, or that the weights are random.",
    "deep": "Behind the first layer a filter no longer reads colours but the maps of the layer "
    "before, one **slice** for each. Blue weights excite, red ones inhibit, and a pale slice is a "
    "map that the filter ignores. What it all adds up to cannot be read off the weights; the "
    "feature maps and the Deconvnet page show it.",
    "depthwise": "A depthwise convolution has one small kernel for each map and mixes none: each "
    "tile is all that a filter has. Blue weights excite, red ones inhibit. Expect edges, blurs and "
    "single points, and many of them alike.",
    "matrix": "A 1 × 1 convolution looks at no neighbours: at each position it mixes the maps of "
    "the layer before, by a matrix. A row is a filter, a column a map that is read. Blue weights "
    "add, red ones take away; a pale column is a map that nobody reads.",
    "maps": "A feature map is what one filter answers at each position of the photo: blue where it "
    "is above zero, red where below, which a rectifier cuts off. In the first layers a map still "
    "looks like the photo's edges; deeper ones are coarse and most positions are zero, since a "
    "filter that looks for something rare answers rarely. A silent map is no fault: its pattern is "
    "just not in this photo.",
}


def how_to_read(found: Filters | None) -> None:
    """Write what the pictures of filters show and what they do not; of feature maps for None."""
    kind: str = "maps"
    if found is not None:
        grey = found.kind == "deep" and found.weights.shape[1] * found.groups == 1
        kind = "matrix" if found.is_matrix else "grey" if grey else found.kind
    st.subheader("How to read it", anchor=False)
    st.markdown(_READING[kind])
