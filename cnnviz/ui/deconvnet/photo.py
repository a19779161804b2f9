"""One photo: the strongest units of a layer on it, and one of them looked at closely."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from cnnviz.anatomy import Layer
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.sight import tiled
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.patches import patch_boxes
from cnnviz.ui.cache import scans
from cnnviz.ui.cache.scans import Carried, PhotoMaps
from cnnviz.ui.deconvnet import controls, render, sanity, tiling
from cnnviz.ui.deconvnet.controls import RULES, UNIT, Scale
from cnnviz.ui.deconvnet.render import Frame, boxed, figure, grey_map, image, to_side
from cnnviz.ui.deconvnet.tiling import Tile
from cnnviz.ui.look.format import size
from cnnviz.ui.pick import photo_picker, subject_picker
from cnnviz.ui.state import links, url

#: The strongest units that are shown; fewer where a reconstruction of a large image takes long.
SHOWN, SHOWN_LARGE, LARGE_SIDE = 12, 6, 64
#: Maps in the picture of all of them.
MAPS = 256
_ROW, _COLUMN, _AT_OF, _AT_URL = "deconv_row", "deconv_column", "deconv_at_of", "deconv_at_url"


@dataclass(frozen=True, eq=False)
class Shown:
    """A photo in a layer of a subject."""

    subject: Subject
    layer: Layer
    data: bytes
    looked: PhotoMaps

    def carried(
        self, units: list[int], rule: Rule, position: tuple[int, int] | None = None
    ) -> Carried:
        """Carry the units' activations back."""
        return scans.carried_back(
            self.subject, self.layer.path, tuple(units), rule, self.data, position
        )

    def frame(self, position: tuple[int, int]) -> Frame:
        """What a position sees of the photo."""
        trace = scans.trace_of(self.subject)
        top, left, height, width = patch_boxes(self.layer, trace, torch.tensor(position)).tolist()
        return top, left, height, width

    @property
    def cut_to(self) -> int | None:
        """The side of the receptive field, where reconstructions are cut to it.

        In a large image a small field would be a speck; None leaves them whole.
        """
        sides = self.subject.input_size[1:]
        windows = self.layer.windows
        longest = max((window.size() for window in windows), default=max(sides))
        return longest if longest < min(sides) / 2 else None

    def cut(self, pixels: NDArray[Any], position: tuple[int, int], fill: float) -> NDArray[Any]:
        """Return of `pixels` (H, W, C) what is looked at: all, or what `position` sees."""
        if self.cut_to is None:
            return pixels
        height, width = self.subject.input_size[1:]
        frame = render.unclipped(self.frame(position), self.layer, (height, width))
        return render.patch(pixels, frame, fill)


def show(subject: Subject) -> None:
    """Write the view: pickers, the strongest units, the chosen one, and the sanity check."""
    layers = subject_picker.maps_or_say(subject)
    if not layers:
        return
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = subject_picker.pick_layer(layers, subject_picker.first_layer(layers), notes)
        data = photo_picker.pick_photo(subject, notes)
        rule = controls.pick_rule()
        scale = controls.pick_scale()
    if data is None:
        return
    try:
        shown = Shown(subject, layers[path], data, scans.maps_on(subject, path, data))
        _view(shown, rule, scale)
    except CnnvizError as error:
        st.error(str(error))


@url.fragment
def _view(shown: Shown, rule: Rule, scale: Scale) -> None:
    try:
        _draw(shown, rule, scale)
    except CnnvizError as error:
        st.error(str(error))


def _draw(shown: Shown, rule: Rule, scale: Scale) -> None:
    maps, path = shown.looked.maps, shown.layer.path
    strongest = shown.looked.strongest.tolist()
    problem = controls.keep_unit(shown.subject, path, len(maps), strongest[0], shown.data)
    if problem:
        st.warning(problem)
    large = max(shown.subject.input_size[1:]) > LARGE_SIDE
    _strongest(shown, strongest[: SHOWN_LARGE if large else SHOWN], rule, scale)
    tiling.section(st.session_state[UNIT])
    st.header(f"Unit {st.session_state[UNIT]} on this photo", anchor=False)
    unit, position = _pick(shown)
    _closely(shown, unit, position, scale)
    active = bool(maps[unit].max() > 0)
    sanity.offer(shown.subject, path, unit, rule, shown.data, active=active)
    _all_maps(shown)
    controls.caution(
        shown.subject,
        "Each picture shows which pattern **in this photo** excited the unit, at one position.",
    )


def _strongest(shown: Shown, units: list[int], rule: Rule, scale: Scale) -> None:
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
    controls.downloads(
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


def _pick(shown: Shown) -> tuple[int, tuple[int, int]]:
    """Write the pickers of the unit and of its position, the strongest at first; return both."""
    maps = shown.looked.maps
    with st.container(horizontal=True, vertical_alignment="bottom"):
        unit = st.selectbox("Unit", range(len(maps)), key=UNIT, width=140)
        _, height, width = maps.shape
        top = _top(shown, unit)
        _keep_position(shown, unit, top)
        st.number_input("Row", 0, height - 1, key=_ROW, width=130)
        st.number_input(
            "Column",
            0,
            width - 1,
            key=_COLUMN,
            width=130,
            help="Which activation of the unit's map is carried back; its strongest at first",
        )
        row, column = st.session_state[_ROW], st.session_state[_COLUMN]
        st.button(
            "Strongest",
            on_click=_to,
            args=top,
            disabled=(row, column) == top,
            icon=":material/star:",
        )
        links.link(
            "deconvnet",
            "The images that excite it most →",
            view="units",
            model=shown.subject.name,
            layer=shown.layer.path,
            unit=str(unit),
        )
        controls.layer_links(shown.subject, shown.layer)
    text = "" if (row, column) == top else f"{row},{column}"
    st.session_state[_AT_URL] = text
    url.write("at", text)
    return unit, (row, column)


def _top(shown: Shown, unit: int) -> tuple[int, int]:
    """The row and column of a unit's strongest activation."""
    flat = int(shown.looked.maps[unit].argmax())
    width = shown.looked.maps.shape[2]
    return flat // width, flat % width


def _to(row: int, column: int) -> None:
    st.session_state[_ROW], st.session_state[_COLUMN] = row, column


def _keep_position(shown: Shown, unit: int, top: tuple[int, int]) -> None:
    """Let the URL's ``at`` and the pickers say the same; another unit begins at its strongest."""
    state, asked = st.session_state, url.read("at") or ""
    now = (shown.subject.name, shown.layer.path, unit, hashlib.sha256(shown.data).digest())
    _, height, width = shown.looked.maps.shape
    parts = asked.split(",")
    given = len(parts) == 2 and all(part.isdecimal() for part in parts)
    fresh = asked != state.get(_AT_URL, "")  # a link, or the browser's back button
    returned = _ROW not in state and state.get(_AT_OF) == now  # from another view or page
    if given and (fresh or returned):
        _to(min(int(parts[0]), height - 1), min(int(parts[1]), width - 1))
    elif fresh or state.get(_AT_OF) != now or _ROW not in state:
        _to(*top)
    else:
        _to(state[_ROW], state[_COLUMN])
    state[_AT_OF] = now


def _closely(shown: Shown, unit: int, position: tuple[int, int], scale: Scale) -> None:
    """Write the photo with the position's box, its map, and what it saw by all three rules."""
    found = {rule: shown.carried([unit], rule, position) for rule in RULES}
    cut = {rule: shown.cut(one.pixels[0], position, 0.0) for rule, one in found.items()}
    shared = render.shared_scale(list(cut.values())) if scale == "all" else None
    drawn: list[tuple[str, Pixels]] = [
        (RULES[rule], render.signed_tiles([one], shared=shared)[0]) for rule, one in cut.items()
    ]
    if shown.cut_to is not None:
        drawn.insert(0, ("In the box", shown.cut(shown.looked.seen, position, 128)))
    row, column = position
    values = shown.looked.maps[unit]
    value = float(values[row, column])
    cells = [
        figure(
            boxed(shown.looked.seen, shown.frame(position), "The photo as the network sees it"),
            "What the network sees; the box is all that this position can see",
        ),
        figure(
            boxed(grey_map(values), (row, column, 1, 1), f"The map of unit {unit}"),
            f"Its map, {size(values.shape)}; at row {row}, column {column} it is {value:.3g}",
        ),
        *(
            figure(image(to_side(pixels, 224), f"Unit {unit} by {name}"), name)
            for name, pixels in drawn
        ),
    ]
    st.html(f'{render.STYLE}<div class="pictures">{"".join(cells)}</div>')
    if value <= 0:
        st.info(
            f"The unit is not active at row {row}, column {column}"
            + (", so there is nothing to carry back." if value == 0 else ": its value is negative.")
        )
    stem = f"{shown.subject.name}-{shown.layer.path}-unit-{unit}-photo"
    pictures = [("Photo", shown.looked.seen), ("Map", grey_map(values)), *drawn]
    controls.downloads(
        stem,
        lambda: render.sheet([(t, [to_side(p, 224)]) for t, p in pictures], 6),
        lambda: {
            "unit": unit,
            "position": position,
            "activation": value,
            "map": values,
            "seen": shown.looked.seen,
            **{rule: one.pixels[0] for rule, one in found.items()},
        },
    )


def _all_maps(shown: Shown) -> None:
    """Write all maps of the layer as one picture, on demand."""
    maps = shown.looked.maps
    count = min(len(maps), MAPS)
    with st.expander(f"All {len(maps)} maps of {shown.layer.path}", icon=":material/grid_view:"):
        side = max(maps.shape[1:])
        columns = 16 if count >= 64 else 8
        sheet = tiled(
            np.stack([grey_map(one)[..., 0] for one in maps[:count]]), columns, max(1, side // 16)
        )
        factor = max(1, 1120 // sheet.shape[1])
        picture = image(sheet.repeat(factor, 0).repeat(factor, 1), f"{count} feature maps")
        st.html(f'<div style="max-width:1136px">{picture.replace("<img", _WIDE)}</div>')
        st.caption(
            f"Units 0 to {count - 1} row by row, {columns} in each; bright where active, each on "
            "its own scale."
        )


_WIDE = '<img style="width:100%;image-rendering:pixelated;border-radius:3px"'
