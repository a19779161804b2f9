"""One unit looked at closely: its nine images, three rules, its whole range, its classes."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st
import torch

from cnnviz.charts import units as charts
from cnnviz.images import Pixels
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.activity import UnitActivations
from cnnviz.sight.units.figures import UnitFigures
from cnnviz.sight.units.patches import patch_boxes
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import scans
from cnnviz.ui.deconvnet import render, tiling
from cnnviz.ui.deconvnet.controls import RULES
from cnnviz.ui.deconvnet.render import boxed, figure, image, to_side
from cnnviz.ui.deconvnet.units.looked import Crop, Looked, arrays, patches_of
from cnnviz.ui.look import downloads, panels, theme
from cnnviz.ui.look.format import size
from cnnviz.ui.pick import layer_picker
from cnnviz.ui.pick.choices import Scale
from cnnviz.ui.state import links

#: Examples of each strength.
EXAMPLES = 6
#: Side of a picture, in pixels of the file.
SIDE = 128
_WORDS = {
    "strong": ("Strong", "the images that excite it most"),
    "middling": ("Middling", "around the median of these"),
    "weak": ("Weak", "those that excite it least, but do"),
}
# What stands below the nine images: title, what it is, nine pictures.
_Row = tuple[str, str, list[Pixels]]


def show(looked: Looked, unit: int, scale: Scale, crop: Crop) -> None:
    """Write all that is known of `unit` of the layer that was looked at."""
    tiling.section(unit)
    st.header(f"Unit {unit} of {looked.layer.path}", anchor=False)
    with st.container(horizontal=True):
        links.link(
            "deconvnet",
            "This unit on a photo →",
            view="photo",
            model=looked.subject.name,
            layer=looked.layer.path,
            unit=str(unit),
        )
        layer_picker.layer_links(looked.subject, looked.layer)
    if looked.top.dead[unit]:
        st.info(
            f"No one of {looked.test.count:,} {looked.test.title} brings unit {unit} above zero, "
            "so there is nothing to carry back."
        )
        return
    scans.begin_activations(looked.subject, looked.layer.path)
    with st.spinner("Carrying activations back …"):
        found = {rule: looked.figures((unit,), rule) for rule in RULES}
    rows = _rows(looked, found, scale, crop)
    _nine(looked, found["deconvnet"], rows)
    values = scans.activations_of(looked.subject, looked.layer.path)
    left, right = st.columns([1.6, 1], gap="large")
    with left:
        _histogram(values, unit, found["deconvnet"])
    with right:
        _classes(looked, unit, found["deconvnet"])
    _examples(looked, values, unit)
    stem = f"{looked.subject.name}-{looked.layer.path}-unit-{unit}"
    downloads.offer(
        stem, lambda: _png(found["deconvnet"], rows), lambda: _arrays(looked, found, values, unit)
    )


def _nine(looked: Looked, first: UnitFigures, rows: list[_Row]) -> None:
    """Write the nine images in a row, and below each what the unit saw in it, rule by rule."""
    classes = looked.test.images.classes
    cells = [_row_title("Its strongest images", "the box is all that the position can see")]
    for rank, pixels in enumerate(_planes(first.images[0].numpy())):
        value = f"{float(first.values[0, rank]):.3g}"
        label = "" if first.labels is None else f" · {classes[int(first.labels[0, rank])]}"
        alt = f"Test image {int(first.indices[0, rank])}{label}"
        top, left, height, width = first.boxes[0, rank].tolist()
        cells.append(
            figure(boxed(pixels, (top, left, height, width), alt, SIDE), f"{value}{label}")
        )
    for title, words, pictures in rows:
        cells.append(_row_title(title, words))
        for rank, pixels in enumerate(pictures):
            alt = f"{title}, {rank + 1} of {len(pictures)}"
            cells.append(f"<figure>{image(to_side(pixels, SIDE), alt)}</figure>")
    st.html(
        f'{render.STYLE}<div class="nine" tabindex="0" role="group" '
        f'aria-label="Nine images and their reconstructions">{"".join(cells)}</div>'
    )


def _row_title(title: str, words: str) -> str:
    return f"<h4>{escape(title)} <span>· {escape(words)}</span></h4>"


def _rows(looked: Looked, found: dict[Rule, UnitFigures], scale: Scale, crop: Crop) -> list[_Row]:
    """Return what stands below the images; all is cut alike."""
    rows: list[_Row] = []
    sides = [patches_of(looked.layer, figures, crop).side for figures in found.values()]
    side = max((one for one in sides if one is not None), default=None)
    for rule, figures in found.items():
        patches = patches_of(looked.layer, figures, crop, side)
        if side is not None and not rows:
            title = "In the box" if crop == "field" else "In the middle of the box"
            words = f"{size((side, side))} pixels, as are those below"
            rows.append((title, words, patches.seen[0]))
        carried = patches.carried[0]
        shared = render.shared_scale(carried) if scale == "all" else None
        pictures = render.signed_tiles(carried, shared=shared)
        rows.append((RULES[rule], _RULE_WORDS[rule], pictures))
    return rows


_RULE_WORDS: dict[Rule, str] = {
    "deconvnet": "passes what is positive on the way back",
    "guided": "passes what is positive both ways",
    "gradient": "passes what was positive on the way up",
}


def _planes(images: Pixels) -> Pixels:
    """(K, C, H, W) -> (K, H, W, C)."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def _histogram(values: UnitActivations, unit: int, found: UnitFigures) -> None:
    column = values.values[:, unit].numpy()
    silent = int((column <= 0).sum())
    panels.chart(
        charts.activation_histogram(column, found.values[0].numpy(), theme.is_dark()),
        charts.histogram_sentence(unit, column),
        key="deconv_histogram",
        alt=f"A histogram of the {len(column) - silent:,} images above zero.",
    )
    left_out = f"{silent:,} images at or below zero are left out. " if silent else ""
    st.caption(f"{left_out}The marks on the axis are its nine strongest.")


def _classes(looked: Looked, unit: int, found: UnitFigures) -> None:
    classes, count = looked.test.images.classes, found.values.shape[1]
    shares = looked.mix[unit].tolist()
    panels.chart(
        charts.class_bars(shares, classes, count, theme.is_dark()),
        charts.mix_sentence(shares, classes, count),
        key="deconv_classes",
        alt="Bars by class, with their numbers.",
    )
    st.caption("Nine images are a small sample: a tendency, no measurement.")


def _examples(looked: Looked, values: UnitActivations, unit: int) -> None:
    """Write strong, middling and weak examples side by side, with their values."""
    st.subheader("From strong to weak", anchor=False)
    images = looked.test.images
    chosen = values.examples(unit, EXAMPLES)
    path = looked.layer.path
    positions = scans.positions_of(
        looked.subject, path, unit, torch.cat([chosen[kind] for kind in _WORDS])
    )
    found = dict(zip(_WORDS, positions.split([len(chosen[kind]) for kind in _WORDS]), strict=True))
    for column, (kind, (title, words)) in zip(
        st.columns(3, gap="large"), _WORDS.items(), strict=True
    ):
        numbers = chosen[kind]
        boxes = patch_boxes(looked.layer, subjects.trace_of(looked.subject), found[kind])
        seen = scans.seen_images(looked.subject, numbers)
        cells = [
            figure(
                boxed(pixels, tuple(box.tolist()), f"{title} example, test image {number}", SIDE),
                f"{float(values.values[number, unit]):.3g} · "
                f"{images.classes[int(images.test_labels[number])]}",
            )
            for pixels, box, number in zip(_planes(seen), boxes, numbers.tolist(), strict=True)
        ]
        with column:
            st.markdown(f"**{title}** · {escape(words)}")
            st.html(f'<div class="pictures small">{"".join(cells)}</div>')


def _png(first: UnitFigures, below: list[_Row]) -> bytes:
    """The nine images and their reconstructions as one picture, a row each."""
    rows = [("The nine strongest images", list(_planes(first.images[0].numpy())))]
    rows += [(title, pictures) for title, _, pictures in below]
    enlarged = [(title, [to_side(p, SIDE) for p in row]) for title, row in rows]
    return render.sheet(enlarged, columns=1)


def _arrays(
    looked: Looked, found: dict[Rule, UnitFigures], values: UnitActivations, unit: int
) -> dict[str, object]:
    given = arrays(found["deconvnet"])
    del given["pixels"]
    return {
        **given,
        **{rule: figures.pixels for rule, figures in found.items()},
        "all_values": values.values[:, unit],
        "class_shares": looked.mix[unit],
    }
