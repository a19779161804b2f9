"""The strongest units of a layer on a photo, side by side."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.images import Pixels
from cnnviz.sight.backward.rules import Rule
from cnnviz.ui.deconvnet import controls, render, tiling
from cnnviz.ui.deconvnet.controls import RULES, UNIT
from cnnviz.ui.deconvnet.photo.shown import Shown
from cnnviz.ui.deconvnet.render import figure, grey_map, image, to_side
from cnnviz.ui.deconvnet.tiling import Tile
from cnnviz.ui.look import downloads
from cnnviz.ui.look.format import size
from cnnviz.ui.pick.choices import Scale


def show_strongest(shown: Shown, units: list[int], rule: Rule, scale: Scale) -> None:
    """Write the strongest units, the map of each beside what it saw, and their downloads."""
    maps = shown.looked.maps
    with st.spinner("Carrying activations back …"):
        found = shown.carried(units, rule)
    places = [(row, column) for row, column in found.positions.tolist()]
    cut = [shown.cut(p, place, 0.0) for p, place in zip(found.pixels, places, strict=True)]
    shared = render.shared_scale(cut) if scale == "all" else None
    pictures = render.signed_tiles(cut, shared=shared)
    st.subheader(
        f"The {len(units)} strongest of {len(maps)} units of {shown.layer.path} on this photo",
        anchor=False,
    )
    st.markdown(
        "**Left** of each pair: the unit's map, bright where it is active. **Right**: its "
        f"strongest activation carried back to the pixels{_cut_words(shown)}; mid-grey is zero. "
        "Press one to look closer."
    )
    tiles = [
        Tile(
            unit,
            f"Unit {unit}",
            f"activation {found.activations[place]:.3g}",
            (
                (to_side(grey_map(maps[unit]), 160), f"Map of unit {unit} of {shown.layer.path}"),
                (to_side(pictures[place], 160), f"{RULES[rule]} reconstruction of unit {unit}"),
            ),
        )
        for place, unit in enumerate(units)
    ]
    photo, grid = st.columns([1, 4], gap="large")
    with photo:
        _seen(shown.looked.seen)
    with grid:
        tiling.show(tiles, st.session_state[UNIT], "deconv_strongest", controls.choose, small=True)
    stem = f"{shown.subject.name}-{shown.layer.path}-photo-{rule}"
    downloads.offer(
        stem,
        lambda: render.sheet(
            [(f"{t.title} · {t.note}", [pixels for pixels, _ in t.pictures]) for t in tiles], 3
        ),
        lambda: {
            "units": np.array(units),
            "activations": found.activations,
            "positions": found.positions,
            "maps": maps[units],
            "pixels": found.pixels,
            "seen": shown.looked.seen,
        },
    )


def _seen(seen: Pixels) -> None:
    """Write the photo as the network is given it."""
    picture = image(to_side(seen, 224), "The photo as the network sees it")
    caption = f"What the network sees: {size(seen.shape[:2])} pixels"
    photo = figure(picture, caption)
    st.html(f'{render.STYLE}<div class="seen-photo">{photo}</div>')


def _cut_words(shown: Shown) -> str:
    """Say that reconstructions are cut, where they are."""
    side = shown.cut_to
    return "" if side is None else f", cut to the {side} × {side} that its position sees"
