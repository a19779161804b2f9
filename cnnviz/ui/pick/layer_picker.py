"""The picker of a layer whose feature maps are looked at, and links to it on other pages.

The URL has it as ``layer``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.anatomy import Layer, format_shape
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache import subjects
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import links, url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


#: The kinds of operators whose outputs are looked at.
KINDS = ("conv", "activation", "pool", "norm", "merge")


def link_to_explore(subject: Subject, layer: str) -> None:
    """Link to a layer of the subject's network, with its knobs and sizes, as Explore draws it."""
    network = Selection(
        subject.variant, dict(subject.knobs), subject.input_size, subject.num_classes
    )
    links.link(
        "explore", "This layer in Explore →", **network.to_query(), view="drawing", layer=layer
    )


def maps_of(subject: Subject) -> dict[str, Layer]:
    """Return the operators of a subject whose outputs are feature maps, by their paths."""
    return {
        layer.path: layer
        for layer in subjects.trace_of(subject).layers
        if len(layer.output_shape) == 4 and min(layer.output_shape[2:]) > 1 and layer.kind in KINDS
    }


def maps_or_say(subject: Subject) -> dict[str, Layer]:
    """Return the same, and say so where there are none."""
    layers = maps_of(subject)
    if not layers:
        st.info("This network has no feature maps: no layer keeps rows and columns.")
    return layers


def first_layer(layers: dict[str, Layer]) -> str:
    """Return the layer to begin with: a rectified one in the middle of the network."""
    rectified = [path for path, layer in layers.items() if layer.kind == "activation"]
    return (rectified or list(layers))[len(rectified or layers) // 2]


def pick_layer(layers: dict[str, Layer], default: str, notes: DeltaGenerator | None = None) -> str:
    """Write the picker of one of `layers` and return its path.

    Where a link names another layer, `notes`, or the place of the picker, says what is shown.
    """
    asked = url.read("layer")
    # A name left over from another network is no mistake of the visitor's.
    if asked is not None and asked not in layers and asked != url.seen().get("layer"):
        (notes or st).warning(
            f"{quoted(asked)} gives no feature maps in this network. Showing {default} instead."
        )
    url.keep_choice("layer", layers, default)
    return st.selectbox(
        "Layer",
        list(layers),
        key="layer",
        format_func=lambda path: f"{path} · {format_shape(layers[path].output_shape)}",
    )


def layer_links(subject: Subject, layer: Layer) -> None:
    """Link to other pages, with this layer open there."""
    link_to_explore(subject, layer.path)
    if layer.kind == "conv" and "filters" in links.PAGES:
        links.link("filters", "Its filters →", model=subject.name, layer=layer.path)
