"""The experiments on a network's answers, and how long one pass takes, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st
import torch
from torch import Tensor

from cnnviz.networks.subjects import Subject
from cnnviz.sight import Correspondence, Invariance, Occlusion, correspondence, invariance
from cnnviz.sight import occlude as slide
from cnnviz.sight.evidence.correspondence import Box
from cnnviz.sight.evidence.invariance import Border, Transformation, paper_amounts
from cnnviz.ui.cache import jobs, subjects
from cnnviz.ui.cache.sight.photo_maps import ask, digest
from cnnviz.ui.state.background import Report

#: Amounts of a transformation, and random boxes: fewer where a pass takes long.
AMOUNTS, DRAWS = (25, 13, 7), (20, 8, 4)
#: Seconds of a pass of one image up to which the first and the second of these are taken.
_QUICK, _SLOW = 0.02, 0.1
# Images that are timed together, and the seconds of a first one that tell enough.
_TOGETHER, _LONG = 4, 1.0


@st.cache_data(max_entries=64, show_spinner=False)
def _seconds(name: str, key: str, _subject: Subject) -> float:  # noqa: ARG001 - the cache's key
    model = subjects.model_of(_subject)

    def timed(count: int) -> float:
        images = torch.zeros(count, *_subject.input_size)
        start = time.perf_counter()
        with torch.no_grad():
            model(images)
        return (time.perf_counter() - start) / count

    first = timed(1)
    if first > _LONG:
        return first
    return min(timed(_TOGETHER), timed(_TOGETHER))


def seconds_of_pass(subject: Subject) -> float:
    """Return how long an image takes to go through the network here, measured once.

    In a small batch: a single image would mostly wait for the weights to be read.
    """
    return _seconds(subject.name, subject.key, subject)


def _by_speed(subject: Subject, counts: tuple[int, int, int]) -> int:
    seconds = seconds_of_pass(subject)
    return counts[0] if seconds < _QUICK else counts[1] if seconds < _SLOW else counts[2]


def occlusion_of(
    subject: Subject, layer: str, data: bytes, target: int, size: int, stride: int
) -> Occlusion:
    """Return the three maps of a photo, behind a bar the first time."""
    asked, model = ask(subject, data), subjects.model_of(subject)

    def work(report: Report) -> Occlusion:
        return slide(model, asked.inputs, layer, target, size, stride, progress=report)

    return jobs.finished(
        ("hide", subject.name, subject.key, layer, digest(data), target, size, stride),
        work,
        "Hiding one part of the photo after another",
    )


def invariance_of(
    subject: Subject,
    images: Tensor,
    layers: Sequence[str],
    kind: Transformation,
    targets: Sequence[int],
    border: Border,
) -> Invariance:
    """Return the curves of normalised images (N, C, H, W), behind a bar the first time."""
    model = subjects.model_of(subject)
    amounts = paper_amounts(kind, subject.input_size[1], _by_speed(subject, AMOUNTS))

    def work(report: Report) -> Invariance:
        return invariance(model, images, layers, kind, amounts, targets, border, report)

    key = (tuple(layers), kind, tuple(targets), border, digest(images.numpy().tobytes()))
    return jobs.finished(
        ("move", subject.name, subject.key, *key), work, "Transforming the images step by step"
    )


def correspondence_of(
    subject: Subject, images: Tensor, boxes: Sequence[Box], layers: Sequence[str]
) -> Correspondence:
    """Return Δ of boxes in normalised images (N, C, H, W), behind a bar the first time."""
    model, draws = subjects.model_of(subject), _by_speed(subject, DRAWS)

    def work(report: Report) -> Correspondence:
        return correspondence(model, images, boxes, layers, draws, progress=report)

    key = (tuple(layers), tuple(boxes), digest(images.numpy().tobytes()))
    return jobs.finished(
        ("part", subject.name, subject.key, *key), work, "Hiding the part, then random places"
    )
