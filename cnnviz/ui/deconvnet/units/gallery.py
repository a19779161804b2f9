"""Units: sixteen at a time, what each saw beside the images that excited it most.

This is figure 2 of Zeiler and Fergus 2013, for any layer and from any weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.figures import UnitFigures
from cnnviz.training.data import load
from cnnviz.ui.cache.sight import image_sets, scans
from cnnviz.ui.cache.sight.image_sets import TestImages
from cnnviz.ui.deconvnet import controls, render, tiling
from cnnviz.ui.deconvnet.controls import RULES, UNIT
from cnnviz.ui.deconvnet.tiling import Tile
from cnnviz.ui.deconvnet.units import pinned
from cnnviz.ui.deconvnet.units.looked import (
    CROPS,
    ORDERS,
    SHOWN,
    SHOWN_COSTLY,
    Crop,
    Looked,
    Patches,
    arrays,
    patches_of,
)
from cnnviz.ui.look import downloads
from cnnviz.ui.look.format import size
from cnnviz.ui.pick import choices, layer_picker
from cnnviz.ui.pick.choices import Scale
from cnnviz.ui.state import url

_PAGE, _PAGE_URL, _PAGE_OF = "deconv_page", "deconv_page_url", "deconv_page_of"
_PAGER = "deconv_pager"


def show(subject: Subject) -> None:
    """Write the view: pickers, sixteen units, and the one that was pressed."""
    _view(subject)


@url.fragment
def _view(subject: Subject) -> None:
    layers = layer_picker.maps_or_say(subject)
    if not layers:
        return
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = layer_picker.pick_layer(layers, layer_picker.first_layer(layers), notes)
        order = _pick_order()
        rule = controls.pick_rule()
        with st.popover("Adjust", icon=":material/tune:"):
            scale = choices.pick_scale()
            crop = _pick_crop()
    try:
        test = image_sets.images_for(subject)
        _say_images(subject, test)
        top = scans.top_of(subject, tuple(layers), path)[path]
        looked = Looked(subject, layers[path], tuple(layers), test, top)
        problem = controls.keep_unit(subject, path, looked.total, None)
        if problem:
            notes.warning(problem)
        _page(looked, order, rule, scale, crop)
        unit = st.session_state[UNIT]
        if unit is not None:
            pinned.show(looked, unit, scale, crop)
    except CnnvizError as error:
        st.error(str(error))
        return
    controls.caution(
        subject,
        "Each picture shows which pattern in that image excited the unit, at one position.",
    )


def _pick_order() -> str:
    return choices.pick_one(
        "Order",
        "order",
        ORDERS,
        "number",
        "Strongest: by the largest activation. Most selective: first the units whose nine "
        "strongest images are mostly of one class.",
    )


def _pick_crop() -> Crop:
    return choices.pick_one(
        "Cut to",
        "crop",
        CROPS,
        "close",
        "Receptive field: all that the position can see, as in the paper. What was seen: only its "
        "middle, with nine tenths of the reconstructions' absolute values.",
    )


def _say_images(subject: Subject, test: TestImages) -> None:
    """Say which images are looked at, where that is not simply the whole own test set."""
    if test.images.name == "photos":
        part = f"the first {test.count:,} of " if test.count < test.of else ""
        st.warning(
            f"CIFAR-10 is not on this machine, so these are {part}{test.of:,} **photo crops**: "
            f"pieces of many sizes of {len(test.images.classes)} photos that come with the app."
        )
        _offer_cifar10()
    elif test.count < test.of or not test.own:
        part = f"the first {test.count:,} of {test.of:,}" if test.count < test.of else "the"
        sides = tuple(test.images.test_images.shape[2:])
        brought = ""
        if sides != subject.input_size[1:]:
            brought = f" of {size(sides)} pixels, enlarged to {size(subject.input_size[1:])}"
        why = "; ImageNet itself is not here" if subject.dataset == "imagenet" else ""
        st.caption(f"The units are shown on {part} {test.title}{brought}{why}.")


def _offer_cifar10() -> None:
    """Write a button that downloads CIFAR-10, after which the page runs anew."""
    if st.button("Download CIFAR-10 (170 MB)", icon=":material/download:"):
        try:
            with st.spinner("Downloading 170 MB and checking them …"):
                load("cifar10")
        except CnnvizError as error:
            st.error(str(error))
        else:
            url.rerun()


def _page(looked: Looked, by: str, rule: Rule, scale: Scale, crop: Crop) -> None:
    """Write one page of units."""
    order = looked.order(by)
    shown = SHOWN_COSTLY if looked.is_costly else SHOWN
    pages = -(-len(order) // shown)
    page, pager = _keep_page(looked, by, pages)
    units = order[(page - 1) * shown : page * shown]
    st.subheader(_heading(looked), anchor=False)
    found = looked.page(units, rule)
    patches = patches_of(looked.layer, found, crop)
    tiles = _tiles(looked, found, patches, rule, scale)
    st.markdown(_key(looked, patches))
    tiling.show(tiles, st.session_state[UNIT], "deconv_units", controls.choose)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if pages > 1:
            st.pagination(pages, default=page, key=pager, width=340)
        st.selectbox(
            "Unit",
            range(looked.total),
            index=None,
            key=UNIT,
            placeholder="press one above, or pick a number",
            width=260,
            label_visibility="collapsed",
        )
        stem = f"{looked.subject.name}-{looked.layer.path}-page-{page}-{rule}"
        downloads.offer(stem, lambda: _png(tiles), lambda: arrays(found))


def _heading(looked: Looked) -> str:
    dead = int(looked.top.dead.sum())
    whole = f"The {looked.total} units of {looked.layer.path}, by their nine strongest images"
    if not dead:
        return whole
    if looked.layer.kind in ("conv", "norm"):
        return f"{whole}; {dead} never rise above zero"
    return f"{whole}; {dead} {'is' if dead == 1 else 'are'} dead"


def _key(looked: Looked, patches: Patches) -> str:
    """Say how a pair of blocks is read."""
    test = looked.test
    cut = "whole"
    if patches.side is not None:
        cut = f"cut to {size((patches.side, patches.side))} pixels around the position"
    return (
        f"**Right** of each pair: the nine of {test.count:,} {test.title} that excite the unit "
        f"most, {cut}. **Left**: what the unit saw in each, carried back to the pixels; mid-grey "
        "is zero. What the nine have in common is what the unit looks for. Press one to look "
        "closer."
    )


def _keep_page(looked: Looked, order: str, pages: int) -> tuple[int, str]:
    """Return the page to show and its pager's key; call it before the pager.

    The URL has it as ``page``. The pager begins anew, on page 1, with another layer or order.
    """
    state, asked = st.session_state, url.read("page") or ""
    now = (looked.subject.name, looked.layer.path, order)
    fresh = asked != state.get(_PAGE_URL, "")  # a link, or the browser's back button
    if fresh or state.get(_PAGE_OF) != now:
        # A pager that was given its page by the session would log a warning: it has a default.
        state[_PAGER] = state.get(_PAGER, 0) + 1
        known = fresh and asked.isdecimal() and 1 <= int(asked) <= pages
        state[_PAGE] = int(asked) if known else 1
        state[_PAGE_OF] = now
    key = f"deconv_pager_{state[_PAGER]}"
    state[_PAGE] = page = int(state.get(key, state[_PAGE]))
    text = "" if page == 1 else str(page)
    state[_PAGE_URL] = text
    url.write("page", text)
    return page, key


def _tiles(
    looked: Looked, found: UnitFigures, patches: Patches, rule: Rule, scale: Scale
) -> list[Tile]:
    alive = [place for place, dead in enumerate(found.dead.tolist()) if not dead]
    shared = None
    if scale == "all" and alive:
        carried = [one for place in alive for one in patches.carried[place]]
        shared = render.shared_scale(carried)
    return [_tile(looked, found, patches, place, rule, shared) for place in range(len(found.units))]


def _tile(
    looked: Looked,
    found: UnitFigures,
    patches: Patches,
    place: int,
    rule: Rule,
    shared: float | None,
) -> Tile:
    unit = found.units[place]
    if found.dead[place]:
        word = "Never above zero" if looked.layer.kind in ("conv", "norm") else "Dead"
        return Tile(unit, f"Unit {unit}", f"{word}: no image excites it")
    share, label = looked.mix[unit].max(0)
    number = round(float(share) * found.values.shape[1])
    name = looked.test.images.classes[int(label)]
    pictures = render.signed_tiles(patches.carried[place], shared=shared)
    saw = f"{RULES[rule]} reconstructions of unit {unit}"
    return Tile(
        unit,
        f"Unit {unit}",
        f"“{name}” in {number} of {found.values.shape[1]}" if number > 1 else "mixed",
        (
            (render.mosaic(pictures), saw),
            (render.mosaic(patches.seen[place]), f"What excites unit {unit} most"),
        ),
    )


def _png(tiles: Sequence[Tile]) -> bytes:
    blocks = [
        (f"{tile.title} · {tile.note}", [pixels for pixels, _ in tile.pictures])
        for tile in tiles
        if tile.pictures
    ]
    return render.sheet(blocks, columns=2)  # no block: every unit here is dead
