"""What is measured of networks with random weights on this machine, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import streamlit as st
import torch
from torch import nn

from cnnviz import registry
from cnnviz.anatomy import Opinion, roofline, second_opinion
from cnnviz.anatomy.effective_field import EffectiveField, LeaveWeights, effective_field
from cnnviz.images import decode, sample_photos
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache.anatomy.networks import traced
from cnnviz.ui.cache.anatomy.source_places import Knobs


def _build(variant: str, knobs: Knobs, num_classes: int | None) -> nn.Module:
    """Build a network with random weights, for one measurement: it is not kept."""
    return registry.get(variant).build(num_classes, **dict(knobs)).eval()


@st.cache_data(max_entries=128, show_spinner="Following gradients back to the picture …")
def field_of(
    variant: str,
    knobs: Knobs,
    input_size: tuple[int, int, int],
    num_classes: int | None,
    path: str,
) -> EffectiveField:
    """Return what the middle position of a layer sees, for random weights.

    Averaged over 2 to 16 passes: as many as take about a second.
    """
    layers = traced(variant, knobs, input_size, num_classes).layers
    layer = next(layer for layer in layers if layer.path == path)
    before = layers[: layer.index + 1]
    work = sum((item.macs or 0) + 20 * item.params for item in before)  # drawing a weight is slow
    draws = min(max(round(8e9 / max(work, 1)), 2), 16)
    with LeaveWeights():
        model = _build(variant, knobs, num_classes)
    return effective_field(model, input_size, layer, draws=draws, redraw=True)


@st.cache_data(max_entries=128, show_spinner="Following gradients back to the picture …")
def field_of_subject(
    key: str,  # noqa: ARG001 - with the layer the key
    layer: str,
    _subject: Subject,
    _load: Callable[[Subject], nn.Module],
) -> EffectiveField:
    """Return what the middle position of a layer of `_subject` sees in the sample photos.

    `key` is the subject's, `_load` gives its network.
    """
    photos = [_subject.look_at(decode(data))[0] for data in sample_photos().values()]
    return effective_field(_load(_subject), _subject.input_size, layer, images=torch.cat(photos))


@st.cache_resource(show_spinner=False)
def _peaks() -> list[roofline.Peaks]:
    """Return what this machine's CPU reached in each measurement, for every page and visitor."""
    return []


def peaks(again: bool = False) -> roofline.Peaks:
    """Return the best that this machine's CPU reached so far; `again` measures once more."""
    known = _peaks()
    if again or not known:
        known.append(roofline.measure_peaks("cpu"))
    return functools.reduce(roofline.Peaks.best, known)


@st.cache_data(max_entries=64, show_spinner="Timing every operator on this machine …")
def _speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> roofline.Roofline:
    model = _build(variant, knobs, num_classes)
    found = roofline.measure_roofline(model, input_size, peaks())
    if found.surpassed:  # the machine had other work when its peak was measured
        peaks(again=True)
    return found


def speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> roofline.Roofline:
    """Return the time of every operator on the CPU, with random weights, under one roof for all."""
    return replace(_speed(variant, knobs, input_size, num_classes), peaks=peaks())


def forget_speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> None:
    """Measure a network again when it is asked for next, and the machine's peaks now."""
    _speed.clear(variant, knobs, input_size, num_classes)
    peaks(again=True)


@st.cache_data(max_entries=64, show_spinner="Counting with torchinfo and fvcore …")
def opinions(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> list[Opinion]:
    """Return what this trace, torchinfo and fvcore count, in this order."""
    with LeaveWeights():
        model = _build(variant, knobs, num_classes)
    return second_opinion(model, input_size)
