"""Invariance and correspondence: what stays the same when images, or parts of them, change.

Invariance is figure 5 of Zeiler and Fergus (arXiv 1311.2901v3), correspondence their table 1.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
import torch

from cnnviz.charts import evidence as charts
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.sight import Invariance
from cnnviz.sight.evidence.invariance import Border, Transformation, transform
from cnnviz.ui.cache.sight import experiments
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.evidence import correspondence, samples
from cnnviz.ui.deconvnet.evidence.question import class_name
from cnnviz.ui.deconvnet.evidence.samples import Images, share
from cnnviz.ui.look import downloads, panels, theme
from cnnviz.ui.pick import choices, photo_picker
from cnnviz.ui.state import url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

KINDS: dict[Transformation, str] = {
    "translation": "Move",
    "scale": "Enlarge",
    "rotation": "Turn",
}
_AXES: dict[Transformation, charts.Axis] = {
    "translation": charts.Axis("moved down by", " px"),
    "scale": charts.Axis("enlarged", "×", ".2f"),
    "rotation": charts.Axis("turned left by", "°", step=90),
}
_DEEDS: dict[Transformation, str] = {
    "translation": "Moving",
    "scale": "Enlarging",
    "rotation": "Turning",
}
_SETS = {"test": "Test images", "photos": "Sample photos", "own": "One photo"}
_BORDERS: dict[Border, str] = {"edge": "Edge repeated", "mean": "Mean grey"}
_DISTANCES = {"relative": "Relative", "euclidean": "Euclidean"}
#: Transformed images shown of each one.
_SHOWN = 7

_STYLE = """<style>
.moved { overflow-x: auto; padding-bottom: 6px; }
.moved table { border-collapse: separate; border-spacing: 6px 4px; border: 0; margin-left: -6px; }
.moved th, .moved td { border: 0; padding: 0; font-size: .82rem; text-align: left;
  color: var(--muted); font-weight: 400; vertical-align: top; line-height: 1.3; }
.moved thead th, .moved tbody th { color: var(--ink); font-weight: 600; padding-right: .5rem; }
.moved img { width: 104px; min-width: 88px; display: block; border-radius: 2px; }
.moved img.blocks { image-rendering: pixelated; }
</style>"""


def show(subject: Subject) -> None:
    """Write the control that picks one of the two studies, and that study."""
    studies: dict[str, tuple[str, Callable[[Subject], None]]] = {
        "invariance": ("Invariance", _invariance),
        "correspondence": ("Correspondence", correspondence.show),
    }
    url.keep_choice("study", studies, "invariance")
    chosen = st.segmented_control(
        "Study",
        list(studies),
        key="study",
        required=True,
        format_func=lambda name: studies[name][0],
        help="Invariance: images are moved, enlarged or turned. Correspondence: the same part is "
        "hidden in several images.",
    )
    studies[chosen or "invariance"][1](subject)


@url.fragment
def _invariance(subject: Subject) -> None:
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind: Transformation = choices.pick_one("Transformation", "move", KINDS, "translation")
        which = choices.pick_one("Images", "images", _SETS, "test")
        try:
            images = _images(subject, which, notes)
        except CnnvizError as error:
            notes.error(str(error))
            return
        if images is None:
            return
        with st.popover("Layers and measure", icon=":material/tune:"):
            layers, border, measure = _pick_measure(subject)
    try:
        found = experiments.invariance_of(
            subject, images.inputs, layers, kind, images.targets, border
        )
    except CnnvizError as error:
        st.error(str(error))
        return
    _curves(found, images, layers, relative=measure == "relative")
    pictures = _pictures(subject, found, images, border)
    st.subheader("What the network saw and answered", anchor=False)
    st.html(_STYLE + pictures)
    wrong = "one that is wrong" if images.true else "one that changed"
    st.caption(f"Below each image is the network's answer; ✗ marks {wrong}.")
    downloads.offer(
        f"{subject.name}-{kind}",
        lambda: _png(subject, found, images, border),
        lambda: _arrays(found, images),
    )
    _caution(subject, images)


def _pick_measure(subject: Subject) -> tuple[tuple[str, str], Border, str]:
    """Write the pickers that are seldom changed: both layers, the border, the distance."""
    layers = samples.pick_two(subject)
    border: Border = choices.pick_one(
        "Border",
        "border",
        _BORDERS,
        "edge",
        "What comes in from outside the image: its outermost pixels repeated, or the mean of the "
        "training images. Both are something the network never saw.",
    )
    measure = choices.pick_one(
        "Distance",
        "distance",
        _DISTANCES,
        "relative",
        "Euclidean, as in the paper: the length of the difference of two feature vectors. "
        "Relative: divided by the length of the untouched image's.",
    )
    return layers, border, measure


def _images(subject: Subject, which: str, notes: DeltaGenerator) -> Images | None:
    if which == "photos":
        return samples.photos(subject)
    if which == "own":
        data = photo_picker.pick_photo(subject, notes)
        return None if data is None else samples.one_photo(subject, data)
    number = samples.pick_number(
        "Number", "number", 100, "Which test image of each class: 1 is the first one"
    )
    return samples.one_of_each_class(subject, number - 1)


def _curves(found: Invariance, images: Images, layers: tuple[str, str], *, relative: bool) -> None:
    """Distances at both layers and the probability, as the paper's columns two to four."""
    dark, axis = theme.is_dark(), _AXES[found.kind]
    values = found.relative if relative else found.distances
    columns = st.columns(3, gap="medium")
    for column, layer in zip(columns, dict.fromkeys(layers), strict=False):
        with column:
            figure = charts.invariance_lines(
                found.amounts, values[layer].numpy(), images.names, axis, "distance", dark
            )
            most = float(np.nanmean(found.relative[layer].numpy().max(1)))
            panels.chart(
                figure,
                f"{layer} moves by up to {share(most)} of its length",
                f"invariance_{'upper' if layer == layers[1] else 'lower'}",
                "The mean of the images' largest distances; one line for each image.",
            )
    with columns[2]:
        figure = charts.invariance_lines(
            found.amounts,
            found.probabilities.numpy(),
            images.names,
            axis,
            "probability",
            dark,
            percent=True,
        )
        panels.chart(figure, _answer_sentence(found, images), "invariance_probability")
    whose = "its true class" if images.true else "the network's answer to the untouched image"
    unit = "the distance between the features of the transformed and of the untouched image" + (
        ", divided by the length of the untouched one's features" if relative else ""
    )
    st.caption(f"First and second: {unit}. Third: the probability of {whose}.")


def _answer_sentence(found: Invariance, images: Images) -> str:
    kept = float((found.best == found.best.new_tensor(found.targets)[:, None]).float().mean())
    word = "right" if images.true else "the same"
    return f"{_DEEDS[found.kind]} leaves the answer {word} in {share(kept)} of cases"


def _shown(found: Invariance) -> list[int]:
    """The amounts that are shown as pictures, evenly spread."""
    last = len(found.amounts) - 1
    return sorted({round(place * last / (_SHOWN - 1)) for place in range(_SHOWN)})


def _amount(amount: float, axis: charts.Axis) -> str:
    return f"{amount:{axis.form}}{axis.unit}".replace("-", "−")


def _transformed(
    subject: Subject, found: Invariance, images: Images, border: Border, step: int
) -> Pixels:
    """The images at one amount as the network saw them, uint8 (N, H, W, C)."""
    moved = transform(images.inputs, found.kind, found.amounts[step], border)
    shape = (1, -1, 1, 1)
    pixels = moved * torch.tensor(subject.std).view(shape) + torch.tensor(subject.mean).view(shape)
    seen: Pixels = pixels.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return seen


def _pictures(subject: Subject, found: Invariance, images: Images, border: Border) -> str:
    """A row for each image, a column for each amount that is shown, with the answers."""
    axis, steps = _AXES[found.kind], _shown(found)
    moved = [_transformed(subject, found, images, border, step) for step in steps]
    amounts = [_amount(found.amounts[step], axis) for step in steps]
    head = "".join(f'<th scope="col">{amount}</th>' for amount in amounts)
    blocks = ' class="blocks"' if images.seen.shape[1] < render.LARGE else ""
    rows = []
    for row, name in enumerate(images.names):
        cells = []
        for place, step in enumerate(steps):
            picture = render.image(
                render.to_side(moved[place][row], 112), f"{name}, {amounts[place]}"
            ).replace("<img", f"<img{blocks}", 1)
            best = int(found.best[row, step])
            mark = "" if best == found.targets[row] else "✗ "
            cells.append(f"<td>{picture}{mark}{escape(class_name(subject, best))}</td>")
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return (
        '<div class="moved" tabindex="0" role="region" aria-label="Transformed images">'
        f"<table><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _png(subject: Subject, found: Invariance, images: Images, border: Border) -> bytes:
    axis, steps = _AXES[found.kind], _shown(found)
    moved = [_transformed(subject, found, images, border, step) for step in steps]
    # The font that Pillow brings has neither × nor −.
    units = {"×": "times", "°": "degrees"}
    unit = units.get(axis.unit, axis.unit.strip())
    amounts = ", ".join(f"{found.amounts[step]:{axis.form}}" for step in steps) + f" {unit}"
    blocks = [
        (f"{name}, {axis.title} {amounts}", [render.to_side(m[row], 112) for m in moved])
        for row, name in enumerate(images.names)
    ]
    return render.sheet(blocks, columns=1)


def _arrays(found: Invariance, images: Images) -> dict[str, object]:
    layers = list(found.distances)
    return {
        "kind": found.kind,
        "amounts": found.amounts,
        "layers": layers,
        "distances": np.stack([found.distances[layer].numpy() for layer in layers]),
        "relative": np.stack([found.relative[layer].numpy() for layer in layers]),
        "probabilities": found.probabilities.numpy(),
        "best": found.best.numpy(),
        "targets": found.targets,
        "names": images.names,
    }


def _caution(subject: Subject, images: Images) -> None:
    st.subheader("How to read it", anchor=False)
    few = "These few images are" if len(images.names) > 1 else "One image is"
    st.markdown(
        "Zeiler and Fergus (2013, section 4) found that small changes move the first layer's "
        "features far and the top layer's little, and that only turning, unless the object looks "
        "the same when turned, destroys the answer. A distance says how far features move, not "
        "whether the network needs them. What a network was shown in training decides much: crops "
        f"and mirror images make it bear moving. {few} an example, not a measurement of "
        "accuracy; and moving or turning also brings in a border that no photo has."
    )
    if subject.weights == "random":
        st.caption("These weights are random: what stays the same is the architecture's doing.")
