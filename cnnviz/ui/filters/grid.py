"""The view of the page Filters that shows a layer's kernels, and one of them beside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnviz.charts.filters import matrix_figure
from cnnviz.sight import Filters, contrast
from cnnviz.sight.filters import DEAD_FRACTION, DUPLICATE_COSINE, Order, Pair
from cnnviz.ui.cache.sight import filter_sets
from cnnviz.ui.filters import one_filter, state, tiling
from cnnviz.ui.filters.state import Look
from cnnviz.ui.filters.tiling import PART, STRONGEST, Tile
from cnnviz.ui.look import downloads, panels, theme
from cnnviz.ui.look.panels import Fact
from cnnviz.ui.pick import choices
from cnnviz.ui.state import url

_ORDERS: dict[Order, str] = {"number": "Number", "norm": "Norm", "similarity": "Similarity"}
_NAMED = 6  # so many filters or pairs are named; the dashed tiles show the others


@url.fragment
def show(look: Look) -> None:
    """Draw the kernels of the layer, and the chosen one with all that is known of it."""
    found = filter_sets.filters_of(look.subject, look.layer)
    pairs = filter_sets.duplicates_of(look.subject, look.layer)
    _facts(found, pairs)
    unit = state.keep_unit(look, len(found.weights), int(found.norms.argmax()))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = _pick_order()
        shared = found.is_matrix or choices.pick_scale() == "all"
        order = filter_sets.filter_order(look.subject, look.layer, by)
        shown = state.pick_part(look, order, unit, "Filters")
        state.pick_unit(len(found.weights), "Filter")
    scale = contrast(found.weights) if shared else None
    dark = theme.is_dark()
    tiles = [] if found.is_matrix else [_tile(found, pairs, one, scale, dark) for one in shown]

    def picture() -> bytes:
        if tiles:
            return tiling.sheet_png(tiles, dark)
        return tiling.matrix_png(found.weights[shown, :, 0, 0], dark)

    left, right = st.columns([1.3, 1], gap="large")
    with left:
        st.subheader(f"{look.layer}: {sentence(found, pairs)}", anchor=False)
        st.caption(" ".join([*_drawn(found, shared), *named(found, pairs)]))
        if found.is_matrix:
            _matrix(look, found, pairs, shown, unit, dark)
        else:
            label = f"Filters of {look.layer}; press one to see all of it"
            tiling.grid(tiles, unit, "filters_tiles", label, state.press)
        stem = f"{look.subject.name}-{look.layer or 'network'}"
        downloads.offer(stem, picture, lambda: _arrays(found, pairs))
    with right:
        one_filter.show(look, found, pairs, unit, scale)
    state.how_to_read(found)


def _facts(found: Filters, pairs: list[Pair]) -> None:
    count, channels, height, width = found.weights.shape
    norms = found.norms
    of_all = found.groups * channels
    reads = {
        "colour": "each reads red, green and blue",
        "depthwise": "depthwise: each reads one map of its own",
        "deep": f"each reads {channels} {'channel' if channels == 1 else 'channels'}",
    }[found.kind]
    if found.kind == "deep" and found.groups > 1:
        reads += f" of {of_all}: {found.groups} groups"
    panels.facts(
        [
            Fact("Filters", f"{count:,}", f"{height} × {width}; {reads}"),
            Fact(
                "Median norm",
                f"{np.median(norms):.3g}",
                f"from {norms.min():.3g} to {norms.max():.3g}",
                f"{np.median(norms)}",
            ),
            Fact(
                "Next to nothing",
                str(int(found.dead.sum())),
                f"filters below {DEAD_FRACTION:g} × the median norm",
            ),
            Fact(
                "Near duplicates",
                str(len(pairs)),
                f"pairs with a cosine of {DUPLICATE_COSINE} or more",
            ),
        ]
    )


def _pick_order() -> Order:
    return choices.pick_one(
        "Order",
        "order",
        _ORDERS,
        "number",
        "Similarity begins at the largest norm and puts next to each filter the one most like it, "
        "by the cosine between their weights.",
    )


def sentence(found: Filters, pairs: list[Pair]) -> str:
    """Say how many filters there are, and how many of them do nothing new."""
    count, dead = len(found.weights), int(found.dead.sum())
    parts = []
    if dead:
        parts.append(f"{dead} {'does' if dead == 1 else 'do'} next to nothing")
    if pairs:
        some = "pair is a near duplicate" if len(pairs) == 1 else "pairs are near duplicates"
        parts.append(f"{len(pairs)} {some}")
    filters = f"{count} {'filter' if count == 1 else 'filters'}"
    return f"{filters}; {'; '.join(parts)}" if parts else f"{filters}, none dead, no two alike"


def named(found: Filters, pairs: list[Pair]) -> list[str]:
    """Name the dead filters and the near duplicates, in a sentence each; the first few of many."""
    sentences = []
    how = "a diamond" if found.is_matrix else "dashed"
    if found.dead.any():
        dead = [str(unit) for unit in np.flatnonzero(found.dead)]
        sentences.append(f"Next to nothing ({how}): {_listed(dead)}.")
    if pairs:
        alike = [f"{pair.first} and {pair.second} ({pair.cosine:.2f})" for pair in pairs]
        sentences.append(f"Near duplicates ({how}): {_listed(alike)}.")
    return sentences


def _listed(items: list[str]) -> str:
    more = len(items) - _NAMED
    return ", ".join(items[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _drawn(found: Filters, shared: bool) -> list[str]:
    """Say what the pictures show."""
    if found.kind == "colour" and not found.is_matrix:
        said = ["Each tile is one filter in the colours that it reads; mid-grey is zero."]
    else:
        said = ["Blue weights are above zero, red ones below."]
    channels = found.weights.shape[1]
    if found.kind == "deep" and not found.is_matrix and channels > 1:
        many = channels > PART
        said.append(
            f"A tile shows a filter's {STRONGEST} strongest of {channels} slices, one an input "
            "channel."
            if many
            else f"A tile shows a filter's {channels} slices, one an input channel."
        )
    if found.is_matrix:
        said.append("Press a dot to choose its row.")
    return [*said, "All share one scale." if shared and not found.is_matrix else ""]


def _tile(
    found: Filters, pairs: Sequence[Pair], unit: int, scale: float | None, dark: bool
) -> Tile:
    twins = [p.second if p.first == unit else p.first for p in pairs if unit in p[:2]]
    title = f"Filter {unit}, norm {found.norms[unit]:.3g}"
    caption = str(unit)
    if found.dead[unit]:
        title, caption = f"{title}: next to nothing", f"{unit} ≈ 0"
    elif twins:
        title = f"{title}: near duplicate of {_listed([str(twin) for twin in twins])}"
        caption = f"{unit} ≈ {twins[0]}" + ("…" if len(twins) > 1 else "")
    pixels = tiling.kernel_picture(found, unit, scale, dark)
    return Tile(unit, pixels, caption, title, marked=bool(found.dead[unit]) or bool(twins))


def _matrix(
    look: Look, found: Filters, pairs: list[Pair], shown: list[int], unit: int, dark: bool
) -> None:
    weights = found.weights[shown, :, 0, 0]
    marked = {*np.flatnonzero(found.dead).tolist(), *(one for pair in pairs for one in pair[:2])}
    key = f"filters_matrix_{look.subject.name}_{look.layer}"

    def choose() -> None:
        points = st.session_state[key].selection.points
        if points and "customdata" in points[0]:
            picked = points[0]["customdata"]
            state.press(int(picked[0] if isinstance(picked, list) else picked))

    st.plotly_chart(
        matrix_figure(weights, shown, unit, marked, contrast(found.weights) or 1.0, dark),
        key=key,
        config={"displayModeBar": False},
        on_select=choose,
        selection_mode="points",
        alt=f"The weights of {len(shown)} filters of {look.layer} as a matrix: a row each, a "
        "column for each input channel",
    )


def _arrays(found: Filters, pairs: list[Pair]) -> dict[str, object]:
    """All filters of the layer, for the download."""
    return {
        "weights": found.weights,
        "norms": found.norms,
        "dead": found.dead,
        "duplicates": np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2),
        "cosines": np.array([pair.cosine for pair in pairs]),
    }
