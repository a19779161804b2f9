"""A layer's receptive field on a picture: what one position can see, and what it does see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from cnnviz.anatomy import Layer, Trace
from cnnviz.anatomy.effective_field import Box, EffectiveField
from cnnviz.charts import field as charts
from cnnviz.errors import CnnvizError
from cnnviz.images import decode, encode_png, sample_photos, square
from cnnviz.prediction import survey_models
from cnnviz.training.checkpoints import Card, Checkpoint
from cnnviz.ui import caches, panels, theme
from cnnviz.ui.compare_panels import DATASET_LABELS
from cnnviz.ui.explore_state import Selection

_KINDS = ("conv", "pool", "merge")  # what changes a field; the operators between them do not
_PICTURE_SIDE = 448  # pixels: small inputs are enlarged to it, so that their pixels can be seen
_URL = "explore_layer_url"  # what the URL said when it was written last


def field(selection: Selection, trace: Trace) -> None:
    """Draw the field of the chosen layer over a photo, and how fields grow with depth."""
    layers = [layer for layer in trace.layers if layer.receptive_field is not None]
    if not layers:
        st.info("No layer of this network has positions on the picture: it reads it as a whole.")
        return
    notes = st.container()  # above the pickers, that share a row
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = _pick_layer(selection, trace, layers, notes)
        photo = _pick_photo()
        trained = _pick_weights(selection, notes)
    try:
        found = _field(selection, layer, trained)
    except CnnvizError as error:
        st.error(str(error))
        return
    picture, growth = st.columns([1.1, 1], gap="large")
    with picture:
        _picture(found, photo, selection.arguments[2])
    with growth:
        _growth(layers, layer, min(trace.input_size[1:]))
        _explain(layer, found, trace.input_size, trained)


def _field(selection: Selection, layer: Layer, trained: Checkpoint | None) -> EffectiveField:
    if trained is None:
        return caches.field_of(*selection.arguments, layer.path)
    return caches.trained_field_of(trained.path, trained.card.sha256, layer.path)


def _pick_layer(
    selection: Selection, trace: Trace, layers: list[Layer], notes: DeltaGenerator
) -> Layer:
    """Write the picker of the layer; the URL has its path as ``layer``."""
    by_path = {layer.path: layer for layer in layers}
    key = f"explore_field_{selection.variant.name}"
    asked = st.query_params.get("layer")
    known = st.session_state.get(key) in by_path
    if asked in by_path and (not known or asked != st.session_state.get(_URL)):
        st.session_state[key] = asked
    elif not known:
        st.session_state[key] = _default(layers, min(trace.input_size[1:])).path
        # A name left over from another variant is no mistake of the visitor's.
        if asked is not None and asked != st.session_state.get(_URL):
            _say_unknown(asked, trace, st.session_state[key], notes)
    chosen = st.session_state[key]
    paths = [layer.path for layer in layers if layer.kind in _KINDS or layer.path == chosen]
    path = st.selectbox(
        "Layer",
        paths,
        key=key,
        format_func=lambda path: f"{path} · sees {by_path[path].receptive_field} px",
        width=320,
    )
    st.query_params["layer"] = st.session_state[_URL] = path
    return by_path[path]


def _default(layers: list[Layer], side: int) -> Layer:
    """The last layer whose field takes up to half of the picture."""
    fitting = [layer for layer in layers if (layer.receptive_field or 0) <= side / 2]
    shown = [layer for layer in fitting if layer.kind in _KINDS]
    return (shown or fitting or layers)[-1]


def _say_unknown(asked: str, trace: Trace, shown: str, notes: DeltaGenerator) -> None:
    known = [layer for layer in trace.layers if layer.path == asked]
    name = asked if len(asked) <= 60 else f"{asked[:59]}…"
    reason = "has no positions on the picture" if known else "is no layer of this network"
    notes.warning(f"“{name}” {reason}. Showing {shown} instead.")


def _pick_photo() -> bytes:
    """Write the picker of the photo; the URL has its name as ``photo``."""
    photos = sample_photos()
    first = next(iter(photos))
    if st.session_state.get("explore_photo") not in photos:
        asked = st.query_params.get("photo", first)
        st.session_state["explore_photo"] = asked if asked in photos else first
    name = st.selectbox("Photo", list(photos), key="explore_photo", width=200)
    if name != first:
        st.query_params["photo"] = name
    elif "photo" in st.query_params:
        del st.query_params["photo"]
    return photos[name]


def _pick_weights(selection: Selection, notes: DeltaGenerator) -> Checkpoint | None:
    """Write the picker of the weights where the network has been trained; None: random ones.

    The URL has the trained model's name as ``weights``.
    """
    models = survey_models().models
    fitting = {name: model for name, model in models.items() if _fits(model.card, selection)}
    key, asked = f"explore_weights_{selection.variant.name}", st.query_params.get("weights", "")
    if asked and asked not in fitting:
        name = asked if len(asked) <= 60 else f"{asked[:59]}…"
        notes.warning(
            f"“{name}” is no trained model of this network. Showing random weights instead."
        )
    name = ""
    if fitting:
        if st.session_state.get(key) not in ("", *fitting):
            st.session_state[key] = asked if asked in fitting else ""
        name = st.selectbox(
            "Weights",
            ["", *fitting],
            key=key,
            format_func=lambda name: f"trained: {name}" if name else "random",
            width=240,
        )
    if name:
        st.query_params["weights"] = name
    elif "weights" in st.query_params:
        del st.query_params["weights"]
    return fitting.get(name)


def _fits(card: Card, selection: Selection) -> bool:
    """Tell whether a trained model is the network that the page shows."""
    variant, knobs, size, classes = selection.arguments
    return (
        card.variant == variant
        and selection.variant.check_knobs(card.knobs) == dict(knobs)
        and (card.input_size, len(card.classes)) == (size, classes)
    )


def _picture(found: EffectiveField, photo: bytes, size: tuple[int, int, int]) -> None:
    sides = size[1:]
    clipped = found.box.clip(*sides)
    core = found.core()
    sentence = f"One position of {found.layer} sees {_pixels(found.box)}"
    if core is None:
        sentence += "; no gradient reaches the picture"
    elif core.height >= found.box.height:
        sentence += "; no smaller square holds half of its gradient"
    else:
        sentence += f"; half of its gradient comes from {core.height} × {core.width}"
    figure = charts.field_picture(
        _seen(photo, size), found.density, _frame(clipped), _inside(core, sides), theme.is_dark()
    )
    panels.chart(
        figure,
        sentence,
        key="explore_field_picture",
        alt=f"A photo of {sides[0]} × {sides[1]} pixels with the field's box, of which "
        f"{_pixels(clipped)} are inside, and a heat map of the gradient.",
    )
    border = "" if clipped == found.box else ", cut at the border"
    st.caption(
        f"Solid: what the position can see{border}. Dotted: the square with half of the gradient. "
        "Colour: how much each pixel changes the position (square root of the gradient)."
    )


def _pixels(box: Box) -> str:
    return f"{box.height} × {box.width} pixels"


def _frame(box: Box) -> charts.Frame:
    return charts.Frame(box.top, box.left, box.height, box.width)


def _inside(core: Box | None, sides: tuple[int, int]) -> charts.Frame | None:
    return None if core is None else _frame(core.clip(*sides))


def _seen(photo: bytes, size: tuple[int, int, int]) -> bytes:
    """The photo as the network's input has it, as PNG: its pixels enlarged, its colours muted."""
    _, height, width = size
    image = Image.fromarray(square(decode(photo).pixels))
    small = image.resize((width, height), Image.Resampling.BOX)
    # Grey and darker, so that the heat map is all that has a colour.
    grey = np.asarray(small.convert("L"), dtype=np.float32) * 0.8
    factor = max(1, round(_PICTURE_SIDE / max(height, width)))
    pixels = np.clip(grey, 0, 255).astype(np.uint8).repeat(factor, 0).repeat(factor, 1)
    return encode_png(pixels)


def _growth(layers: list[Layer], layer: Layer, side: int) -> None:
    rows = [
        (item.path, item.receptive_field) for item in layers if item.kind in _KINDS or item is layer
    ]
    frame = pd.DataFrame(rows, columns=["path", "receptive_field"])
    panels.chart(
        charts.field_growth(frame, side, layer.path, theme.is_dark()),
        charts.growth_sentence(frame, side),
        key="explore_field_growth",
        alt=f"Dots by layer, a large one for {layer.path} at {layer.receptive_field} pixels; the "
        "table of the view Layers has every number.",
    )


def _explain(
    layer: Layer,
    found: EffectiveField,
    size: tuple[int, int, int],
    trained: Checkpoint | None,
) -> None:
    row, column = found.position
    clipped = found.box.clip(*size[1:])
    inside = "" if clipped == found.box else f", {_pixels(clipped)} of them inside the picture"
    st.markdown(
        f"The position is the middle one, row {row} and column {column} from 0, of "
        f"{_map(layer)}. It sees {_pixels(found.box)}{inside}; its neighbours see the same, "
        f"{layer.jump:g} {'pixel' if layer.jump == 1 else 'pixels'} further on."
    )
    weights = (
        f"The weights are random: the gradient is the mean of {found.draws} draws of He's "
        "initialisation, each with an image of noise (Luo et al. 2016)."
        if trained is None
        else f"The weights are trained, on {_dataset(trained.card)}: the gradient is the mean over "
        f"the {found.draws} sample photos."
    )
    st.caption(f"{weights} Where branches meet, the solid box is the hull of their fields.")


def _dataset(card: Card) -> str:
    return DATASET_LABELS.get(card.dataset, card.dataset)


def _map(layer: Layer) -> str:
    return "an output of " + " × ".join(str(side) for side in layer.output_shape[1:])
