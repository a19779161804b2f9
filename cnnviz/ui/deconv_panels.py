"""The Deconvnet page: a photo's strongest feature maps, each carried back to the pixels."""

from __future__ import annotations

import base64
import hashlib
import io
from html import escape

import numpy as np
import streamlit as st

from cnnviz import registry
from cnnviz.anatomy import Layer, format_shape
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels, decode, encode_png, enlarge
from cnnviz.sight import signed_picture
from cnnviz.sight.rules import Rule
from cnnviz.training.checkpoints import Checkpoint
from cnnviz.ui import caches, predict_panels, url
from cnnviz.ui.caches import Reconstructions
from cnnviz.ui.format import size

RULES: dict[Rule, str] = {"deconvnet": "Deconvnet", "guided": "Guided", "gradient": "Gradient"}
SHOWN = 12
_LARGE = 224
#: Networks that came with rules of ours for what the paper does not have.
_EXTENDED = {"gelu", "silu", "tanh", "sigmoid", "layer_norm", "hardswish", "relu6"}

_STYLE = """<style>
.units { display: grid; grid-template-columns: repeat(auto-fill, minmax(276px, 1fr)); gap: 1.4rem; }
.units figure, .rules figure { margin: 0; }
.units .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; }
.units img, .rules img { width: 100%; image-rendering: pixelated; display: block;
  border-radius: 3px; }
.units figcaption, .rules figcaption { font-size: .85rem; color: var(--muted); margin-top: .3rem; }
.rules { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1.2rem; }
</style>"""


def pick_model(models: dict[str, Checkpoint]) -> str:
    """The network, by its checkpoint's name; the most accurate one on photos at first."""
    names = sorted(models, key=lambda name: _rank(models[name]))
    url.keep_choice("model", names, names[0])
    return st.selectbox(
        "Network", names, key="model", format_func=lambda n: predict_panels.label(n, models[n])
    )


def _rank(checkpoint: Checkpoint) -> tuple[bool, float]:
    return checkpoint.card.dataset != "cifar10", -(checkpoint.card.accuracy or 0.0)


def pick_layer(checkpoint: Checkpoint) -> str:
    """The operator whose maps are shown: rectified ones in the middle of the network at first."""
    card = checkpoint.card
    trace = caches.traced(
        card.variant, tuple(sorted(card.knobs.items())), card.input_size, len(card.classes)
    )
    layers = {layer.path: layer for layer in trace.layers if _has_maps(layer)}
    rectified = [path for path, layer in layers.items() if layer.kind == "activation"]
    first = (rectified or list(layers))[len(rectified or layers) // 2]
    url.keep_choice("layer", layers, first)
    chosen = st.selectbox(
        "Layer",
        list(layers),
        key="layer",
        format_func=lambda path: f"{path} · {format_shape(layers[path].output_shape)}",
    )
    if any(layer.op in _EXTENDED for layer in trace.layers):
        st.session_state["deconv_extended"] = True
    return chosen


def _has_maps(layer: Layer) -> bool:
    shape = layer.output_shape
    return (
        len(shape) == 4
        and min(shape[2:]) > 1
        and layer.kind in ("conv", "activation", "pool", "norm", "merge")
    )


def pick_rule() -> Rule:
    """How the signal passes a rectifier on its way back."""
    url.keep_choice("rule", RULES, "deconvnet")
    return (
        st.segmented_control(
            "Rule",
            list(RULES),
            key="rule",
            required=True,
            format_func=RULES.__getitem__,
            help="Deconvnet passes what is positive on its way back, the gradient what was positive"
            " on its way up, guided backpropagation what is both.",
        )
        or "deconvnet"
    )


def reconstructions(
    name: str, checkpoint: Checkpoint, layer: str, rule: Rule, data: bytes
) -> Reconstructions:
    """The strongest units of `layer` on a photo, carried back by `rule`."""
    digest = hashlib.sha256(data).hexdigest()
    sha = checkpoint.card.sha256
    return caches.reconstructions(name, checkpoint.path, sha, layer, rule, SHOWN, digest, data)


def grid(found: Reconstructions, rule: Rule, layer: str) -> None:
    """Each unit's map beside what it saw, the strongest first."""
    cells = []
    for place, unit in enumerate(found.units):
        picture = signed_picture(found.pixels[place])
        alt = f"unit {unit} of {escape(layer)}"
        cells.append(
            f'<figure><div class="pair">{_img(_map(found.maps[place]), f"Map of {alt}")}'
            f"{_img(picture, f'{RULES[rule]} reconstruction of {alt}')}</div>"
            f"<figcaption>unit {unit} · activation {found.activations[place]:.3g} at row "
            f"{found.positions[place][0]}, column {found.positions[place][1]}</figcaption></figure>"
        )
    st.html(f'{_STYLE}<div class="units">{"".join(cells)}</div>')
    st.caption(
        "Left of each pair: the unit's map, bright where it is active. Right: its strongest "
        "activation carried back to the pixels; mid-grey is zero, each picture on its own scale."
    )


def compare_rules(name: str, checkpoint: Checkpoint, layer: str, data: bytes) -> None:
    """One unit by all three rules, beside what the network was shown."""
    by_rule = {rule: reconstructions(name, checkpoint, layer, rule, data) for rule in RULES}
    units = [str(unit) for unit in by_rule["deconvnet"].units]
    st.subheader("One unit, three rules", anchor=False)
    url.keep_choice("unit", units, units[0])
    unit = st.selectbox("Unit", units, key="unit", width=160)
    place = units.index(unit)
    cells = [
        f"<figure>{_img(by_rule['deconvnet'].seen, 'The photo as the network sees it')}"
        "<figcaption>what the network sees</figcaption></figure>"
    ]
    for rule, found in by_rule.items():
        cells.append(
            f"<figure>{_img(signed_picture(found.pixels[place]), f'Unit {unit} by {rule}')}"
            f"<figcaption>{RULES[rule]}</figcaption></figure>"
        )
    st.html(f'{_STYLE}<div class="rules">{"".join(cells)}</div>')
    _download(by_rule, layer)


def _download(by_rule: dict[Rule, Reconstructions], layer: str) -> None:
    def packed() -> bytes:
        buffer = io.BytesIO()
        first = by_rule["deconvnet"]
        np.savez_compressed(
            buffer,
            units=first.units,
            positions=first.positions,
            maps=first.maps,
            deconvnet=first.pixels,
            guided=by_rule["guided"].pixels,
            gradient=by_rule["gradient"].pixels,
        )
        return buffer.getvalue()

    st.download_button(
        "Download as NPZ",
        packed,
        f"{layer}.npz",
        "application/octet-stream",
        on_click="ignore",
        help="Units, positions, maps and the reconstructions of all three rules as arrays",
    )


def caution() -> None:
    """What the pictures show, and what they do not."""
    st.subheader("How to read it", anchor=False)
    extended = (
        " The paper has rectifiers only; for other activations and for layer normalisation the "
        "rules here are this project's own."
        if st.session_state.pop("deconv_extended", False)
        else ""
    )
    st.markdown(
        "A deconvnet keeps one activation, sets all others to zero and runs the network backwards: "
        "pools put the signal where the maximum was, rectifiers pass what is positive, "
        "convolutions are transposed (Zeiler and Fergus 2013, section 2.1). The picture shows "
        "which pattern **in this photo** excited the unit. It is no evidence for a class: both "
        "deconvnet and guided backpropagation partly recover the image whatever the weights "
        f"(Nie et al. 2018).{extended}"
    )


def heading(checkpoint: Checkpoint, layer: str, found: Reconstructions) -> str:
    """Say what the grid shows."""
    shape = size(found.maps.shape[1:])
    title = registry.get(checkpoint.card.variant).title
    return f"The {len(found.units)} strongest of {found.of} units of {layer} in {title}, {shape}"


def pick_photo() -> bytes:
    """A photo of the visitor's, or a sample."""
    samples = predict_panels.samples()
    url.keep_choice("sample", samples, next(iter(samples)))
    sample = st.selectbox("Sample photo", list(samples), key="sample")
    with st.popover("Your own", icon=":material/upload:"):
        file = st.file_uploader("Your photo", type=predict_panels.FILE_TYPES, key="deconv_photo")
    if file is None:
        return samples[sample]
    data = file.getvalue()
    try:
        decode(data, file.name)
    except CnnvizError as error:
        st.error(str(error))
        return samples[sample]
    return data


def _map(values: np.ndarray) -> Pixels:
    """A feature map (H, W) in grey, 0 to its maximum; below zero is black."""
    top = float(values.max()) or 1.0
    return np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)[..., None]


def _img(pixels: Pixels, alt: str) -> str:
    factor = max(1, _LARGE // max(pixels.shape[:2]))
    source = base64.b64encode(encode_png(enlarge(pixels, factor))).decode()
    return f'<img src="data:image/png;base64,{source}" alt="{alt}">'
