"""Evolution: what excites a unit most, and what it saw of that, epoch by epoch of a training.

This is figure 4 of Zeiler and Fergus (arXiv 1311.2901v3), for the runs trained here.
"""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from cnnviz.charts.style import BACKGROUND
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.runs import Run
from cnnviz.sight import Evolution
from cnnviz.ui.cache.sight import image_sets, run_epochs, scans
from cnnviz.ui.deconvnet import controls, render
from cnnviz.ui.deconvnet.controls import RULES
from cnnviz.ui.look import downloads
from cnnviz.ui.pick import choices, layer_picker
from cnnviz.ui.pick.choices import Scale
from cnnviz.ui.state import links, url

#: Units shown at first, and at most.
FIRST, MOST = 6, 16
_UNITS, _UNITS_URL, _UNITS_OF = "evolution_units", "evolution_units_url", "evolution_units_of"
_IMAGES = "evolution_images"
_SIDE = 112
#: So many epochs leave room for the image beside its reconstruction; of more it is below.
_BESIDE = 6

_STYLE = """<style>
.epochs { overflow-x: auto; padding-bottom: 6px; }
.epochs table { border-collapse: separate; border-spacing: 8px 6px; margin: 0 0 0 -8px; border: 0; }
.epochs th, .epochs td { border: 0; padding: 0; font-weight: 400; text-align: left;
  vertical-align: top; font-size: .82rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.epochs thead th { font-weight: 600; color: var(--ink); white-space: nowrap; }
.epochs tbody th { font-weight: 600; color: var(--ink); white-space: nowrap; padding-right: .6rem;
  position: sticky; left: 0; background: light-dark(%LIGHT%, %DARK%); }
.epochs img { width: 84px; min-width: 84px; display: block; border-radius: 2px;
  image-rendering: pixelated; }
.epochs .both { display: grid; gap: 3px; }
.epochs .beside .both { grid-template-columns: auto auto; width: max-content; }
.epochs .jump { border-top: 3px solid var(--accent); padding-top: 3px; }
.epochs .stay { border-top: 3px solid transparent; padding-top: 3px; }
</style>""".replace("%LIGHT%", BACKGROUND.light).replace("%DARK%", BACKGROUND.dark)


def show(subject: Subject) -> None:
    """Write the view, or what to do where there are no weights of earlier epochs."""
    run = run_epochs.run_of(subject)
    epochs = run_epochs.snapshots_of(run) if run is not None else ()
    if run is None or not epochs:
        _nothing_kept(subject, run)
        return
    _view(subject, run, epochs)


def _nothing_kept(subject: Subject, run: Run | None) -> None:
    """Say why there is nothing to see, and offer the way to it."""
    if subject.weights == "random":
        reason = "These weights have not been trained, so there is nothing they came from."
    elif subject.weights == "imagenet":
        reason = "These weights were trained elsewhere: only their last state is published."
    elif run is None:
        reason = "This model came without its run: only its last weights are here."
    else:
        reason = f"The run {run.id} kept its last weights only."
    st.info(
        f"{reason} The evolution of a unit needs the weights of several epochs. Every run that you "
        "start now keeps them at epochs 1, 2, 5, 10, 20, 30, 40, 64, … and at its end."
    )
    if max(subject.input_size[1:]) <= links.TRAINABLE_SIDE:
        links.train_link(subject.variant, f"Train {subject.variant.title} →")
    others = [name for name in run_epochs.models_with_epochs() if name != subject.name]
    if others:
        st.caption("These models have kept epochs:")
        for name in others[:6]:
            links.link("deconvnet", f"{name} →", model=name, view="evolution")


@url.fragment
def _view(subject: Subject, run: Run, epochs: tuple[int, ...]) -> None:
    layers = layer_picker.maps_or_say(subject)
    if not layers:
        return
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = layer_picker.pick_layer(layers, layer_picker.first_layer(layers), notes)
        units = _pick_units(subject, path, layers[path].output_shape[1])
        rule = controls.pick_rule()
        scale = choices.pick_scale()
    with_images = _pick_images()
    if not units:
        st.info("Choose one or more units.")
        return
    try:
        test = run_epochs.images_over(subject, len(epochs))
        moments = [
            run_epochs.moment_of(subject, run, epoch, path, units, rule, test) for epoch in epochs
        ]
        found = Evolution(tuple(moments))
        seen = scans.seen_images(subject, found.indices.flatten())
    except CnnvizError as error:
        st.error(str(error))
        return
    images = seen.reshape(*found.indices.shape, *seen.shape[1:]).transpose(0, 1, 3, 4, 2)
    st.subheader(_headline(found, path), anchor=False)
    pictures = _reconstructions(found, scale)
    st.html(_STYLE + _table(subject, found, pictures, images if with_images else None))
    part = f"the first {test.count:,} of {test.of:,}" if test.count < test.of else f"{test.of:,}"
    st.caption(
        f"The strongest activation of each unit over {part} {test.title} after that many "
        f"epochs, by {RULES[rule].lower()}; mid-grey is zero. Below: the activation and the class "
        "of its image. A bar above marks a jump: another image has become the strongest since the "
        "epoch before."
    )
    stem = f"{run.id}-{path}-evolution"
    downloads.offer(stem, lambda: _png(found, pictures, images), lambda: _arrays(found, images))
    controls.caution(
        subject,
        "Low layers settle within a few epochs and upper ones late (Zeiler and Fergus 2013, figure "
        "4). A jump need not mean that the unit has changed: two images may be about as strong, "
        "and the data set decides which images there are to choose from.",
    )


def _pick_units(subject: Subject, layer: str, total: int) -> tuple[int, ...]:
    """Write the picker of the units; the URL has their numbers as ``units=3-7-12``."""
    state, asked = st.session_state, url.read("units") or ""
    given = [int(text) for text in asked.split("-") if text.isdecimal() and int(text) < total]
    moved = state.get(_UNITS_OF) not in (None, (subject.name, layer))
    state[_UNITS_OF] = (subject.name, layer)
    if given and asked != state.get(_UNITS_URL):
        state[_UNITS] = list(dict.fromkeys(given))[:MOST]
    elif moved or _UNITS not in state or any(unit >= total for unit in state[_UNITS]):
        state[_UNITS] = list(range(min(FIRST, total)))
    state[_UNITS] = state[_UNITS]
    units = st.multiselect(
        "Units",
        range(total),
        key=_UNITS,
        max_selections=MOST,
        help=f"Feature maps of the layer, 0 to {total - 1}",
    )
    state[_UNITS_URL] = text = "-".join(map(str, units))
    url.write("units", text)
    return tuple(units)


def _pick_images() -> bool:
    """Write the switch of the images; the URL has ``shown=patterns`` where they are hidden."""
    state = st.session_state
    state[_IMAGES] = state.get(_IMAGES, url.read("shown") != "patterns")
    shown = st.toggle(
        "Show the images too",
        key=_IMAGES,
        help="With each reconstruction, the image in which the activation occurred",
    )
    url.write("shown", "" if shown else "patterns")
    return shown


def _headline(found: Evolution, path: str) -> str:
    jumps = found.jumps[:, 1:]
    if jumps.shape[1] == 0:
        return f"Units of {path} after epoch {found.epochs[0]}"
    first, last = found.epochs[-2:]
    moved = int(jumps[:, -1].sum())
    count = len(found.units)
    if not moved:
        return f"{path}: no unit changed its strongest image after epoch {first}"
    return (
        f"{path}: {moved} of {count} units changed their strongest image between epochs {first} "
        f"and {last}"
    )


def _reconstructions(found: Evolution, scale: Scale) -> list[list[Pixels]]:
    """The reconstructions as pictures, a row for each unit."""
    pixels = found.pixels.float().permute(0, 1, 3, 4, 2).numpy()  # (U, E, H, W, C)
    shared = render.shared_scale([pixels]) if scale == "all" else None
    return [render.signed_tiles(list(row), shared=shared) for row in pixels]


def _table(
    subject: Subject, found: Evolution, pictures: list[list[Pixels]], images: Pixels | None
) -> str:
    """Rows are units, columns epochs."""
    test = image_sets.images_for(subject).images
    labels = [test.classes[int(label)] for label in test.test_labels]
    head = "".join(f'<th scope="col">epoch {epoch}</th>' for epoch in found.epochs)
    rows = []
    for row, unit in enumerate(found.units):
        cells = []
        for column, epoch in enumerate(found.epochs):
            number = int(found.indices[row, column])
            value, name = float(found.values[row, column]), labels[number]
            if value <= 0:
                cells.append('<td class="stay">never<br>above zero</td>')
                continue
            jump = bool(found.jumps[row, column])
            alt = f"Unit {unit} after epoch {epoch}: activation {value:.3g} on image {number}"
            inner = _img(pictures[row][column], alt)
            if images is not None:
                inner += _img(images[row, column], f"Test image {number}, {name}")
            told = f"Image {number}, {name}{': a jump' if jump else ''}"
            cells.append(
                f'<td class="{"jump" if jump else "stay"}" title="{escape(told)}">'
                f'<div class="both">{inner}</div>{value:.3g} · {escape(name)}</td>'
            )
        rows.append(f'<tr><th scope="row">Unit {unit}</th>{"".join(cells)}</tr>')
    form = "beside" if len(found.epochs) <= _BESIDE else "below"
    return (
        '<div class="epochs" tabindex="0" role="region" aria-label="Units by epochs">'
        f'<table class="{form}"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _img(pixels: Pixels, alt: str) -> str:
    return render.image(render.to_side(pixels, _SIDE), alt)


def _png(found: Evolution, pictures: list[list[Pixels]], images: Pixels) -> bytes:
    """Everything in one picture: a block for each unit, its epochs side by side."""
    blocks = []
    epochs = ", ".join(map(str, found.epochs))
    for row, unit in enumerate(found.units):
        columns = [
            np.concatenate(
                [
                    np.broadcast_to(render.to_side(p, _SIDE), (_SIDE, _SIDE, 3))
                    for p in (pictures[row][column], images[row, column])
                ]
            )
            for column in range(len(found.epochs))
        ]
        blocks.append((f"unit {unit}, epochs {epochs}", columns))
    return render.sheet(blocks, columns=1)


def _arrays(found: Evolution, images: Pixels) -> dict[str, object]:
    return {
        "epochs": found.epochs,
        "units": found.units,
        "values": found.values.numpy(),
        "indices": found.indices.numpy(),
        "positions": found.positions.numpy(),
        "jumps": found.jumps.numpy(),
        "pixels": found.pixels.numpy(),
        "images": images,
    }
