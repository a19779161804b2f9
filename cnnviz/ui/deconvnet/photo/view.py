"""One photo: the strongest units of a layer on it, and one of them looked at closely."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject
from cnnviz.sight import tiled
from cnnviz.sight.backward.rules import Rule
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.deconvnet import controls, tiling
from cnnviz.ui.deconvnet.controls import UNIT
from cnnviz.ui.deconvnet.photo import sanity
from cnnviz.ui.deconvnet.photo.closely import pick_unit, show_closely
from cnnviz.ui.deconvnet.photo.shown import Shown
from cnnviz.ui.deconvnet.photo.strongest import show_strongest
from cnnviz.ui.deconvnet.render import grey_map, image
from cnnviz.ui.pick import choices, layer_picker, photo_picker
from cnnviz.ui.pick.choices import Scale
from cnnviz.ui.state import url

#: The strongest units that are shown; fewer where a reconstruction of a large image takes long.
SHOWN, SHOWN_LARGE, LARGE_SIDE = 12, 6, 64
#: Maps in the picture of all of them.
MAPS = 256


def show(subject: Subject) -> None:
    """Write the view: pickers, the strongest units, the chosen one, and the sanity check."""
    layers = layer_picker.maps_or_say(subject)
    if not layers:
        return
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = layer_picker.pick_layer(layers, layer_picker.first_layer(layers), notes)
        data = photo_picker.pick_photo(subject, notes)
        rule = controls.pick_rule()
        scale = choices.pick_scale()
    if data is None:
        return
    try:
        shown = Shown(subject, layers[path], data, photo_maps.maps_on(subject, path, data))
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
    show_strongest(shown, strongest[: SHOWN_LARGE if large else SHOWN], rule, scale)
    tiling.section(st.session_state[UNIT])
    st.header(f"Unit {st.session_state[UNIT]} on this photo", anchor=False)
    unit, position = pick_unit(shown)
    show_closely(shown, unit, position, scale)
    active = bool(maps[unit].max() > 0)
    sanity.offer(shown.subject, path, unit, rule, shown.data, active=active)
    _all_maps(shown)
    controls.caution(
        shown.subject,
        "Each picture shows which pattern **in this photo** excited the unit, at one position.",
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
