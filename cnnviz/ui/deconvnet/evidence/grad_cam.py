"""Grad-CAM: which parts of a photo speak for a class, by one layer's maps."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.charts import evidence as charts
from cnnviz.images import Pixels, encode_png
from cnnviz.training.data import LUMA
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.evidence.question import Question
from cnnviz.ui.deconvnet.evidence.samples import share
from cnnviz.ui.look import downloads, panels, theme


def show_heat(view: Question) -> None:
    """The heat map over the photo, and how much of the photo holds half of it."""
    heat = photo_maps.heat_of(view.subject, view.layer.path, view.data, view.target)
    name, path = view.name(view.target), view.layer.path
    half = charts.half_area(heat)
    picture, words = st.columns([1, 1.2], gap="large", vertical_alignment="center")
    if half == 0:
        st.subheader(f"Grad-CAM: nothing at {path} speaks for {name}", anchor=False)
        st.caption("Its maps, weighted by how they change the class's logit, sum to 0 or less.")
        return
    side = max(448, *view.asked.seen.shape[:2])
    photo = encode_png(render.to_side(_grey(view.asked.seen), side))
    with picture:
        panels.chart(
            charts.heat_on_photo(photo, heat, theme.is_dark()),
            f"Grad-CAM: half of the evidence for {name} lies in {share(half)} of the photo",
            "evidence_heat",
        )
    with words:
        height, width = view.layer.output_shape[2:]
        st.markdown(
            f"Every feature map of **{path}** is weighted by how much it raises the logit of "
            f"**{name}**, and what is positive in their sum is laid over the photo (in grey; "
            f"Selvaraju et al. 2017). The maps have {height} × {width} positions, and the picture "
            "can be no finer than that. Early layers have fine maps that know little of classes; "
            "the last ones know most."
        )
        arrays = {"heat": heat, "seen": view.asked.seen, "target": view.target}
        downloads.offer(
            f"{view.subject.name}-{path}-gradcam", lambda: _heated(view, heat), lambda: arrays
        )


def _grey(seen: Pixels) -> Pixels:
    """A photo (H, W, C) without colours (H, W, 1), so that those of the heat stand out."""
    if seen.shape[2] == 1:
        return seen
    grey: Pixels = np.rint(seen @ np.array(LUMA))[..., None].astype(np.uint8)
    return grey


def _heated(view: Question, heat: NDArray[np.float32]) -> bytes:
    """The photo with the heat on it as a PNG."""
    strength = (heat / (float(heat.max()) or 1.0))[..., None] * 0.7
    base = np.broadcast_to(_grey(view.asked.seen), (*heat.shape, 3)).astype(np.float32)
    mixed = base * (1 - strength) + np.array([255.0, 106.0, 0.0]) * strength
    return encode_png(render.to_side(np.rint(mixed).astype(np.uint8), render.LARGE))
