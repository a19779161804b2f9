"""One unit on a photo: which position, and what it saw there."""

from __future__ import annotations

import hashlib

import streamlit as st

from cnnviz.images import Pixels
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.controls import RULES, UNIT
from cnnviz.ui.deconvnet.photo.shown import Shown
from cnnviz.ui.deconvnet.render import boxed, figure, grey_map, image, to_side
from cnnviz.ui.look import downloads
from cnnviz.ui.look.format import size
from cnnviz.ui.pick import layer_picker
from cnnviz.ui.pick.choices import Scale
from cnnviz.ui.state import links, url

_ROW, _COLUMN, _AT_OF, _AT_URL = "deconv_row", "deconv_column", "deconv_at_of", "deconv_at_url"


def pick_unit(shown: Shown) -> tuple[int, tuple[int, int]]:
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
        layer_picker.layer_links(shown.subject, shown.layer)
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


def show_closely(shown: Shown, unit: int, position: tuple[int, int], scale: Scale) -> None:
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
    downloads.offer(
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
