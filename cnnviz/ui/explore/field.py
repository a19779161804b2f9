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
from cnnviz.charts.costs.by_layer import stage_names, stage_starts
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels, decode, encode_png, sample_photos, square
from cnnviz.networks.subjects import Subject, published_subject, trained_subject
from cnnviz.prediction import survey_models
from cnnviz.training.saved.card import Card
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.anatomy import measured, networks
from cnnviz.ui.look import theme
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.look.words import data_name
from cnnviz.ui.pick import photo_picker, subject_picker
from cnnviz.ui.pick.photo_picker import Picked
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

_KINDS = ("conv", "pool", "merge")  # what changes a field; the operators between them do not
_URL = "explore_layer_url"  # the last layer that the URL named and that was found


def field(selection: Selection, trace: Trace) -> None:
    """Draw the field of the chosen layer over a photo, and how fields grow with depth."""
    layers = [layer for layer in trace.layers if layer.receptive_field is not None]
    if not layers:
        st.info("No layer of this network has positions on the picture: it reads it as a whole.")
        return
    notes = st.container()  # above the pickers, that share a row
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = _pick_layer(selection, trace, layers, notes)
        photo = photo_picker.pick_following(sample_photos(), "photo", "explore_photo")
        subject = _pick_weights(selection, notes)
    if subject is not None and not subject.is_here:
        subject_picker.say_weights(subject)  # offers to download them, and stops here
    photo_picker.say(notes, photo)
    if photo is None:
        return
    try:
        found = _field(selection, layer, subject)
    except CnnvizError as error:
        st.error(str(error))
        return
    picture, growth = st.columns([1.1, 1], gap="large")
    with picture:
        weights = "" if subject is None else subject.key
        key = ("field", selection.arguments, layer.path, weights)
        _picture(found, photo, selection.arguments[2], key)
    with growth:
        _growth(layers, layer, max(trace.input_size[1:]), selection.arguments)
        _explain(layer, found, trace.input_size, subject)


def _field(selection: Selection, layer: Layer, subject: Subject | None) -> EffectiveField:
    if subject is None:
        return measured.field_of(*selection.arguments, layer.path)
    return measured.field_of_subject(subject.key, layer.path, subject, subjects.model_of)


def _pick_layer(
    selection: Selection, trace: Trace, layers: list[Layer], notes: DeltaGenerator
) -> Layer:
    """Write the picker of the layer; the URL has its path as ``layer``."""
    by_path = {layer.path: layer for layer in layers}
    key, asked = f"explore_field_{selection.variant.name}", url.read("layer")
    default = _default(layers, min(trace.input_size[1:])).path
    meant = {"": default} | {path: path for path in by_path}
    block = _inside_block(selection, asked or "")
    ends = [layer.path for layer in block if layer.path in by_path]
    if asked and ends:
        meant[asked] = ends[-1]
    if asked not in meant and asked == st.session_state.get(_URL):
        url.write("layer", "")  # left over from another variant: no mistake of the visitor's
    path = url.follow("layer", key, meant)
    asked = url.read("layer")
    if asked is not None and asked not in meant:
        known = bool(block) or any(layer.path == asked for layer in trace.layers)
        _say_unknown(asked, known, default, notes)
    st.session_state[_URL] = asked if asked in meant else path
    paths = [layer.path for layer in layers if layer.kind in _KINDS or layer.path == path]
    st.selectbox(
        "Layer",
        paths,
        key=key,
        format_func=lambda path: f"{path} · sees {by_path[path].receptive_field:,} px",
        width=320,
    )
    return by_path[path]


def _default(layers: list[Layer], side: int) -> Layer:
    """The last layer whose field takes up to half of the picture."""
    fitting = [layer for layer in layers if (layer.receptive_field or 0) <= side / 2]
    shown = [layer for layer in fitting if layer.kind in _KINDS]
    return (shown or fitting or layers)[-1]


def _inside_block(selection: Selection, name: str) -> tuple[Layer, ...]:
    """Return the layers of the block of that name, which the drawing may have chosen."""
    graph = networks.graph(*selection.arguments)
    node = graph.nodes.get(name)
    return () if node is None or not node.children else graph.trace.layers[node.start : node.stop]


def _say_unknown(asked: str, known: bool, shown: str, notes: DeltaGenerator) -> None:
    reason = "has no positions on the picture" if known else "is no layer of this network"
    notes.warning(f"{quoted(asked)} {reason}. Showing {shown} instead.")


def _pick_weights(selection: Selection, notes: DeltaGenerator) -> Subject | None:
    """Write the picker of the weights where there are any to pick; None: random ones.

    The URL has the subject's name as ``weights``.
    """
    fitting = {subject.name: subject for subject in _subjects(selection)}
    key, asked = f"explore_weights_{selection.variant.name}", url.read("weights") or ""
    if asked and asked not in fitting:
        notes.warning(
            f"{quoted(asked)} is no trained model of this network. Showing random weights instead."
        )
        url.write("weights", "")
    name = url.follow("weights", key, {text: text for text in ("", *fitting)})
    if fitting:
        st.selectbox(
            "Weights",
            ["", *fitting],
            key=key,
            format_func=lambda name: _weights_label(fitting[name]) if name else "random",
            width=240,
        )
    return fitting.get(name)


def _subjects(selection: Selection) -> list[Subject]:
    """Return this very network with each of its weights: trained here, or published."""
    variant = selection.variant
    models = survey_models().models
    found = [
        trained_subject(name, model)
        for name, model in models.items()
        if _fits(model.card, selection)
    ]
    if variant.weights and selection.arguments == Selection(variant).arguments:
        found.append(published_subject(variant))
    return found


def _weights_label(subject: Subject) -> str:
    if subject.weights == "trained":
        return f"trained: {subject.name}"
    return "ImageNet" if subject.is_here else f"ImageNet ({subject.megabytes:.0f} MB to download)"


def _fits(card: Card, selection: Selection) -> bool:
    """Tell whether a trained model is the network that the page shows."""
    variant, knobs, size, classes = selection.arguments
    return (
        card.variant == variant
        and selection.variant.check_knobs(card.knobs) == dict(knobs)
        and (card.input_size, len(card.classes)) == (size, classes)
    )


def _picture(
    found: EffectiveField, photo: Picked, size: tuple[int, int, int], key: tuple[object, ...]
) -> None:
    """Draw the field over the `photo`; `key` is what decides on the field."""
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
    st.subheader(sentence, anchor=False)
    # Beside the boxes, not in them: so the browser moves the boxes and keeps what stays.
    under = networks.html(
        (*key, photo.key),
        lambda: charts.pictures(
            encode_png(_seen(photo.data, size)),
            encode_png(charts.heat_map(found.density)),
        ),
    )
    st.html(under)
    alt = f"{sentence}. A photo of {sides[0]} × {sides[1]} pixels with the field's box, of which "
    alt += f"{_pixels(clipped)} are inside, and a heat map of the gradient."
    frame, inner = _frame(clipped), _inside(core, sides)
    theme.drawing(charts.STYLE + charts.field_picture(sides, frame, inner, alt))
    border = "" if clipped == found.box else ", cut at the border"
    dotted = "" if core is None else " Dotted: the square with half of the gradient."
    st.caption(
        f"Solid: what the position can see{border}.{dotted} "
        "Colour: how much each pixel changes the position (square root of the gradient)."
    )


def _pixels(box: Box) -> str:
    return f"{box.height:,} × {box.width:,} pixels"


def _frame(box: Box) -> charts.Frame:
    return charts.Frame(box.top, box.left, box.height, box.width)


def _inside(core: Box | None, sides: tuple[int, int]) -> charts.Frame | None:
    return None if core is None else _frame(core.clip(*sides))


def _seen(photo: bytes, size: tuple[int, int, int]) -> Pixels:
    """The photo as the network's input has it, (H, W): grey and darker, under the heat map."""
    image = Image.fromarray(square(decode(photo).pixels))
    side, longer = image.width, max(size[1:])
    wide, high = side * size[2] / longer, side * size[1] / longer  # its middle, not stretched
    middle = ((side - wide) / 2, (side - high) / 2, (side + wide) / 2, (side + high) / 2)
    small = image.resize((size[2], size[1]), Image.Resampling.BOX, box=middle)
    return (np.asarray(small.convert("L"), dtype=np.float32) * 0.8).astype(np.uint8)


def _growth(layers: list[Layer], layer: Layer, side: int, key: networks.Arguments) -> None:
    rows = [
        (item.path, item.receptive_field) for item in layers if item.kind in _KINDS or item is layer
    ]
    frame = pd.DataFrame(rows, columns=["path", "receptive_field"])
    st.subheader(charts.growth_sentence(frame, side), anchor=False)
    alt = f"Dots by layer, a large one for {layer.path} at {layer.receptive_field} pixels; the "
    alt += "table of the view Layers has every number."
    every = networks.layer_frame(*key)
    stages = stage_names(every).set_axis(every["path"])
    names = stage_starts(stages[frame["path"]].tolist())
    drawn = networks.html(
        ("growth", key, layer.path),
        lambda: charts.field_growth(frame, side, layer.path, alt, names),
    )
    theme.drawing(drawn)


def _explain(
    layer: Layer,
    found: EffectiveField,
    size: tuple[int, int, int],
    subject: Subject | None,
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
        if subject is None
        else f"The weights are trained, on {_dataset(subject)}: the gradient is the mean over "
        f"the {found.draws} sample photos."
    )
    st.caption(f"{weights} Where branches meet, the solid box is the hull of their fields.")


def _dataset(subject: Subject) -> str:
    if subject.weights == "imagenet":
        return "ImageNet by torchvision"
    return data_name(subject.dataset)


def _map(layer: Layer) -> str:
    return "an output of " + " × ".join(str(side) for side in layer.output_shape[1:])
