"""The view of the page Filters that shows what an operator gives for a photo."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.charts.filters import Spread, map_figure, overlay_figure
from cnnviz.images import encode_png
from cnnviz.sight import Activity, contrast
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.cache.sight.photo_maps import PhotoMaps
from cnnviz.ui.filters import state, tiling
from cnnviz.ui.filters.state import Look
from cnnviz.ui.filters.tiling import Tile
from cnnviz.ui.look import downloads, panels, theme
from cnnviz.ui.look.format import percent
from cnnviz.ui.look.panels import Fact
from cnnviz.ui.pick import choices
from cnnviz.ui.state import url

_ORDERS = {"strongest": "Strongest first", "number": "Number"}


@url.fragment
def show(look: Look) -> None:
    """Draw all maps of the layer, and the chosen one large and over the photo."""
    looked = photo_maps.maps_on(look.subject, look.layer, look.photo)
    activity = Activity(looked.maps)
    _facts(activity)
    strongest = activity.strongest
    unit = state.keep_unit(look, len(activity.maps), int(strongest[0]))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = choices.pick_one("Order", "sort", _ORDERS, "strongest")
        shared = choices.pick_scale() == "all"
        order = strongest if by == "strongest" else np.arange(len(strongest))
        shown = state.pick_part(look, order, unit, "Maps")
        state.pick_unit(len(order), "Map")
    dark = theme.is_dark()
    scale = contrast(activity.maps) if shared else None
    tiles = [_tile(activity, one, scale, dark) for one in shown]
    left, right = st.columns([1.3, 1], gap="large")
    with left:
        st.subheader(f"{look.layer}: {sentence(activity)}", anchor=False)
        st.caption(_caption(activity, shared))
        label = f"Feature maps of {look.layer}; press one to enlarge it"
        tiling.grid(tiles, unit, "filters_maps", label, state.press)
        downloads.offer(
            f"{look.subject.name}-{look.layer}-maps",
            lambda: tiling.sheet_png(tiles, dark),
            lambda: {"maps": looked.maps, "seen": looked.seen},
        )
    with right:
        _enlarged(look, looked, activity, unit, dark)
    state.how_to_read(None)


def _facts(activity: Activity) -> None:
    count, height, width = activity.maps.shape
    unit = int(activity.strongest[0])
    rest = "the others are zero" if activity.is_rectified else "the others are zero or below"
    panels.facts(
        [
            Fact("Maps", f"{count:,}", f"of {height} × {width} positions"),
            Fact("Above zero", percent(float(activity.active.mean())), f"of all positions; {rest}"),
            Fact(
                "Silent", str(int(activity.silent.sum())), "maps above zero nowhere in this photo"
            ),
            Fact(
                "Strongest",
                f"{activity.peaks[unit]:.3g}",
                f"of map {unit}; the median map reaches {np.median(activity.peaks):.3g}",
                f"{activity.peaks[unit]}",
            ),
        ]
    )


def sentence(activity: Activity) -> str:
    """Say how many maps there are, and how many of them are silent."""
    count, silent = len(activity.maps), int(activity.silent.sum())
    maps = f"{count} feature {'map' if count == 1 else 'maps'}"
    if not silent:
        return f"{maps}, {'active' if count == 1 else 'all active'} on this photo"
    return f"{maps}, {silent} silent on this photo"


def _caption(activity: Activity, shared: bool) -> str:
    said = "Blue is above zero" + ("" if activity.is_rectified else ", red below")
    said += "; all share one scale." if shared else "; each map has a scale of its own."
    return said + (" Dashed: silent, nowhere above zero." if activity.silent.any() else "")


def _tile(activity: Activity, unit: int, scale: float | None, dark: bool) -> Tile:
    peak, active = activity.peaks[unit], activity.active[unit]
    silent = bool(activity.silent[unit])
    title = f"Map {unit}, {peak:.3g} at most, above zero at {percent(float(active))} of positions"
    return Tile(
        unit,
        tiling.map_picture(activity.maps[unit], scale, dark),
        f"{unit} · silent" if silent else f"{unit} · {peak:.2g}",
        f"Map {unit}: silent" if silent else title,
        marked=silent,
    )


def _enlarged(look: Look, looked: PhotoMaps, activity: Activity, unit: int, dark: bool) -> None:
    values = activity.maps[unit]
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    st.subheader(f"Map {unit}", anchor=False)
    rank = int((activity.peaks > activity.peaks[unit]).sum()) + 1
    tiling.said(
        f"At most <b>{values.max():.4g}</b> (row {row}, column {column}), number {rank} of "
        f"{len(activity.peaks)} by its peak; above zero at "
        f"{percent(float(activity.active[unit]))} of positions."
    )
    state.link_to_deconvnet(look, look.layer, unit)
    quiet = {"displayModeBar": False}
    st.plotly_chart(
        map_figure(values, dark),
        key="filters_map",
        config=quiet,
        alt=f"Map {unit} of {look.layer}, each position's value under the pointer",
    )
    seen = looked.seen
    spread = spread_of(look, values.shape, seen.shape[:2])
    st.markdown("**Over the photo**")
    st.plotly_chart(
        overlay_figure(encode_png(seen), seen.shape[:2], values, spread, dark),
        key="filters_overlay",
        config=quiet,
        alt=f"What is above zero in map {unit}, over the photo as the network sees it",
    )
    st.caption("What is above zero, laid over the photo as the network sees it.")


def spread_of(look: Look, shape: tuple[int, ...], picture: tuple[int, ...]) -> Spread:
    """Return how a map (height, width) lies on the picture: centred, a jump between positions."""
    layer = look.row
    step = float(layer.jump) if layer and layer.jump else picture[1] / shape[1]
    top, left = (
        (side - 1) / 2 - step * (n - 1) / 2 for side, n in zip(picture, shape, strict=True)
    )
    return Spread(step, top, left)
