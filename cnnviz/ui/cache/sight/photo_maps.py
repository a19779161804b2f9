"""What a network makes of one photo, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.images import Pixels, decode
from cnnviz.networks.subjects import Subject
from cnnviz.sight import (
    feature_maps,
    grad_cam,
    project,
    sanity_check,
)
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.evidence.sanity import SanityStep
from cnnviz.ui.cache import jobs, subjects
from cnnviz.ui.state.background import Report


def digest(data: bytes) -> str:
    """Return the hash by which a photo, or what was made of one, is known."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, eq=False)
class PhotoMaps:
    """A photo in a network: `inputs` (1, C, H, W), `seen` uint8 (H, W, C), `maps` (units, h, w)."""

    inputs: Tensor
    seen: Pixels
    maps: NDArray[np.float32]

    @property
    def strongest(self) -> NDArray[np.int64]:
        """The units by their largest value, the strongest first, equals by number."""
        peaks = self.maps.reshape(len(self.maps), -1).max(1)
        return np.argsort(-peaks, kind="stable")


def maps_on(subject: Subject, layer: str, data: bytes) -> PhotoMaps:
    """Return a layer's feature maps of a photo, given as the bytes of its file."""
    return _maps_on(subject.name, subject.key, layer, digest(data), subject, data)


@st.cache_resource(max_entries=12, show_spinner=False)  # up to 13 MB each
def _maps_on(
    name: str,  # noqa: ARG001 - the cache's key
    key: str,  # noqa: ARG001
    layer: str,
    photo: str,  # noqa: ARG001
    _subject: Subject,
    _data: bytes,
) -> PhotoMaps:
    inputs, seen = _subject.look_at(decode(_data))
    maps = feature_maps(subjects.model_of(_subject), inputs, [layer])[layer][0]
    return PhotoMaps(inputs, seen, maps.float().numpy())


@dataclass(frozen=True, eq=False)
class Carried:
    """Activations of a photo carried back to its pixels.

    `activations` (K,), `positions` (K, 2) and `pixels` (K, H, W, C), one for each unit asked.
    """

    activations: NDArray[np.float32]
    positions: NDArray[np.int64]
    pixels: NDArray[np.float32]


def carried_back(
    subject: Subject,
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    data: bytes,
    position: tuple[int, int] | None = None,
) -> Carried:
    """Carry the activations of `units` back; each at its strongest, or all at `position`."""
    return _carried_back(
        subject.name, subject.key, layer, units, rule, digest(data), position, subject, data
    )


@st.cache_resource(max_entries=32, show_spinner="Carrying activations back …")
def _carried_back(
    name: str,  # noqa: ARG001 - the cache's key
    key: str,  # noqa: ARG001
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    photo: str,  # noqa: ARG001
    position: tuple[int, int] | None,
    _subject: Subject,
    _data: bytes,
) -> Carried:
    looked = maps_on(_subject, layer, _data)
    at = None if position is None else torch.tensor([[list(position)]] * len(units))
    found = project(subjects.model_of(_subject), looked.inputs, layer, units, rule, at)
    return Carried(
        activations=found.activations[:, 0].float().numpy(),
        positions=found.positions[:, 0].numpy(),
        pixels=found.pixels[:, 0].float().permute(0, 2, 3, 1).numpy(),  # -> (K, H, W, C)
    )


def sanity_of(subject: Subject, layer: str, unit: int, rule: Rule, data: bytes) -> list[SanityStep]:
    """Return a unit's reconstructions while the weights are randomised from the unit down."""
    looked = maps_on(subject, layer, data)
    model = subjects.model_of(subject)
    total = len({row.module for row in subjects.trace_of(subject).layers if row.params})

    def check(report: Report) -> list[SanityStep]:
        steps = []
        for step in sanity_check(model, looked.inputs, layer, unit, rule):
            steps.append(step)
            report(len(steps), max(total, len(steps)))
        return steps

    return jobs.finished(
        ("sanity", subject.name, subject.key, layer, unit, rule, digest(data)),
        check,
        "Randomising the weights, layer by layer",
    )


@dataclass(frozen=True, eq=False)
class Asked:
    """A photo and the answer: `inputs` (1, C, H, W), `seen` uint8 (H, W, C), `probabilities`."""

    inputs: Tensor
    seen: Pixels
    probabilities: NDArray[np.float64]

    @property
    def answer(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


def ask(subject: Subject, data: bytes) -> Asked:
    """Return what the network answers to a photo, given as the bytes of its file."""
    return _ask(subject.name, subject.key, digest(data), subject, data)


@st.cache_resource(max_entries=32, show_spinner=False)
def _ask(name: str, key: str, photo: str, _subject: Subject, _data: bytes) -> Asked:  # noqa: ARG001
    inputs, seen = _subject.look_at(decode(_data))
    return Asked(inputs, seen, answers_of(_subject, inputs)[0])


def answers_of(subject: Subject, inputs: Tensor) -> NDArray[np.float64]:
    """Return probabilities (N, classes) for the network's inputs (N, C, H, W)."""
    model = subjects.model_of(subject)
    with torch.no_grad():
        logits = model(inputs).flatten(1)
    probabilities: NDArray[np.float64] = logits.double().softmax(1).numpy()
    return probabilities


def heat_of(subject: Subject, layer: str, data: bytes, target: int) -> NDArray[np.float32]:
    """Return the Grad-CAM heat map (H, W) of a photo."""
    return _heat(subject.name, subject.key, layer, digest(data), target, subject, data)


@st.cache_data(max_entries=64, show_spinner=False)
def _heat(
    name: str,  # noqa: ARG001 - the cache's key
    key: str,  # noqa: ARG001
    layer: str,
    photo: str,  # noqa: ARG001
    target: int,
    _subject: Subject,
    _data: bytes,
) -> NDArray[np.float32]:
    heat = grad_cam(subjects.model_of(_subject), ask(_subject, _data).inputs, layer, target)
    array: NDArray[np.float32] = heat[0].float().numpy()
    return array
