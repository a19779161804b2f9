"""One filter: all its slices, its numbers, its neighbours, and its map on the photo."""

from __future__ import annotations

import io
from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from cnnviz.anatomy import Layer, Trace
from cnnviz.charts.filters import slices_figure, weights_figure
from cnnviz.images import Pixels
from cnnviz.sight import Filters, contrast
from cnnviz.sight.filters import Pair
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.filters import state, tiling
from cnnviz.ui.filters.state import Look
from cnnviz.ui.filters.tiling import PART, Tile
from cnnviz.ui.look import theme
from cnnviz.ui.state import url

_NEIGHBOURS = 4
#: Kinds of operators that keep each unit's map apart from the others.
_UNITWISE = ("norm", "activation", "merge", "elementwise")
_FAR = 6

_STYLE = """<style>
.onphoto { display: grid; grid-template-columns: repeat(3, 1fr); gap: .8rem; }
.onphoto figure { margin: 0; min-width: 0; }
.onphoto img { width: 100%; image-rendering: pixelated; display: block; border-radius: 3px; }
.onphoto figcaption { font-size: .8rem; line-height: 1.4; color: var(--muted); margin-top: .3rem;
  overflow-wrap: anywhere; }
</style>"""


def show(look: Look, found: Filters, pairs: list[Pair], unit: int, scale: float | None) -> None:
    """Write all that is known of one filter."""
    st.subheader(f"Filter {unit}", anchor=False)
    tiling.said(describe(found, pairs, unit))
    _slices(found, unit, scale)
    after = activation_after(subjects.trace_of(look.subject), look.layer)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        _download(look, found, unit)
        state.link_to_deconvnet(look, after.path if after else look.layer, unit)
    _on_photo(look, after, unit)
    _neighbours(found, unit, scale)


def describe(found: Filters, pairs: list[Pair], unit: int) -> str:
    """Say how strong a filter is, and whether it does anything new, as HTML."""
    norms = found.norms
    rank = int((norms > norms[unit]).sum()) + 1
    said = f"Norm <b>{norms[unit]:.4g}</b>, number {rank} of {len(norms)} by size."
    if found.dead[unit]:
        return f"{said} It does <b>next to nothing</b>: its weights are close to zero."
    twins = [
        f"{pair.second if pair.first == unit else pair.first} (cosine {pair.cosine:.2f})"
        for pair in pairs
        if unit in pair[:2]
    ]
    return f"{said} Near duplicate of {', '.join(twins[:4])}." if twins else said


def _slices(found: Filters, unit: int, scale: float | None) -> None:
    """Draw the filter's slices with their numbers under the pointer."""
    kernel, dark = found.weights[unit], theme.is_dark()
    limit = (contrast(kernel) if scale is None else scale) or 1.0
    if found.is_matrix:
        figure = weights_figure(kernel[:, 0, 0], dark)
        alt = f"Filter {unit}: its weight for each of {len(kernel)} input channels"
    else:
        channels = _pick_slices(kernel)
        names = [_channel(found, unit, channel) for channel in channels]
        figure = slices_figure(kernel[channels], names, limit, dark)
        alt = f"Filter {unit}: {len(channels)} slices, one an input channel, signed around zero"
    st.plotly_chart(figure, key="filters_slices", config={"displayModeBar": False}, alt=alt)
    st.caption("Point at a weight to read it; blue is above zero, red below.")


def _pick_slices(kernel: np.ndarray) -> list[int]:
    """Return the input channels to draw; of many, write the picker of the part."""
    count = len(kernel)
    if count <= PART:
        return list(range(count))
    strongest = [int(channel) for channel in tiling.strongest_slices(kernel)]
    parts = {"strongest": f"the {PART} strongest"}
    for first in range(0, count, PART):
        parts[str(first)] = f"channels {first}–{min(first + PART, count) - 1}"
    url.keep_choice("slices", parts, "strongest")
    part = st.selectbox(
        "Slices", list(parts), key="slices", format_func=parts.__getitem__, width=220
    )
    return strongest[:PART] if part == "strongest" else list(range(count))[int(part) :][:PART]


def _channel(found: Filters, unit: int, channel: int) -> str:
    """What a slice of a filter reads."""
    if found.kind == "colour":
        return ("red", "green", "blue")[channel]
    per_filter = found.weights.shape[1]
    group = unit // (len(found.weights) // found.groups)
    return f"channel {group * per_filter + channel}"


def _download(look: Look, found: Filters, unit: int) -> None:
    def numbers() -> str:
        kernel = found.weights[unit]
        channel, row, column = np.indices(kernel.shape)
        first = unit // (len(found.weights) // found.groups) * kernel.shape[0]
        frame = pd.DataFrame(
            {
                "channel": channel.ravel() + first,
                "row": row.ravel(),
                "column": column.ravel(),
                "weight": kernel.ravel(),
            }
        )
        buffer = io.StringIO()
        frame.to_csv(buffer, index=False)
        return buffer.getvalue()

    st.download_button(
        "Its numbers as CSV",
        numbers,
        f"{look.subject.name}-{look.layer or 'network'}-{unit}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def activation_after(trace: Trace, path: str) -> Layer | None:
    """Return the activation that a convolution's maps come to, still one a unit; None without one.

    Normalisations and shortcuts that are added lie between; where the number of maps or their size
    changes, the way ends.
    """
    here = next((layer for layer in trace.layers if layer.path == path), None)
    if here is None:
        return None
    shape = here.output_shape
    for _ in range(_FAR):
        after = [
            layer
            for layer in trace.layers
            if here.index in layer.inputs
            and layer.kind in _UNITWISE
            and layer.output_shape == shape
        ]
        if not after:
            return None
        here = after[0]
        if here.kind == "activation":
            return here
    return None


def _on_photo(look: Look, after: Layer | None, unit: int) -> None:
    """Draw the filter's map on the photo, as the convolution gives it and after its activation."""
    st.markdown("**On the photo**")
    if look.row is None:
        st.caption("A pass over a photo does not call this convolution, so it has no map.")
        return
    layers = (look.layer,) if after is None else (look.layer, after.path)
    looked = {path: photo_maps.maps_on(look.subject, path, look.photo) for path in layers}
    dark = theme.is_dark()
    cells = [_figure(looked[look.layer].seen, "The photo as the network sees it", "what it sees")]
    words = {look.layer: "the filter's answer"}
    for path in layers:
        values = looked[path].maps[unit]
        if values.ndim != 2:
            continue
        peak = f"{values.max():.3g} at most"
        what = words.get(path, f"after {path}")
        said = f"{what}: {peak}" if values.max() > 0 else f"{what}: nowhere above zero"
        picture = tiling.map_picture(values, None, dark)
        cells.append(_figure(picture, f"The map of filter {unit} at {path}", said))
    st.html(f'{_STYLE}<div class="onphoto">{"".join(cells)}</div>')


def _figure(pixels: Pixels, alt: str, caption: str) -> str:
    return (
        f'<figure><img src="{tiling.source(pixels)}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _neighbours(found: Filters, unit: int, scale: float | None) -> None:
    """Draw the filters most like this one; a press chooses one."""
    nearest = [pair for pair in found.neighbours(unit, _NEIGHBOURS) if pair.cosine > 0]
    if not nearest:
        return
    st.markdown(
        "**Most like it**", help="By the cosine between the weights; 1 is the same up to size"
    )
    dark = theme.is_dark()
    tiles = [
        Tile(
            pair.second,
            tiling.kernel_picture(found, pair.second, scale, dark),
            f"{pair.second} · {pair.cosine:.2f}",
            f"Filter {pair.second}, cosine {pair.cosine:.3f}",
        )
        for pair in nearest
    ]
    label = f"The filters most like filter {unit}"
    tiling.grid(tiles, None, "filters_neighbours", label, state.press, columns=_NEIGHBOURS)
