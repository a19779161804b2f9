"""What the pages Filters and Deconvnet keep between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.anatomy import Trace
from cnnviz.images import Pixels, decode
from cnnviz.networks.subjects import Subject
from cnnviz.settings import data_dir
from cnnviz.sight import TopActivations, feature_maps, project, sanity_check, top_activations
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.evidence.sanity import SanityStep
from cnnviz.sight.units.activity import UnitActivations, strongest_positions, unit_activations
from cnnviz.sight.units.batches import Batches
from cnnviz.sight.units.figures import UnitFigures, unit_figures
from cnnviz.training.data import ImageSet, load, shown_dataset
from cnnviz.ui.cache import networks
from cnnviz.ui.state import background
from cnnviz.ui.state.background import Job, Report

#: Multiply–accumulates that a scan of the test images may cost: half a minute or so on one core.
SCAN_MACS = 1e12
# Of weights that were not trained on these images only so many: there is less to find.
_FOREIGN_MACS = SCAN_MACS / 8
#: The fewest images of a scan: nine strongest ones should be chosen from more than nine.
FEWEST = 64
# Bytes that a scan may keep of how strongly each image excites each unit.
_ACTIVITY_BYTES = 48_000_000
# Networks are kept by size, since a dozen small ones take less memory than one VGG.
_SMALL_BYTES = 60_000_000
#: Side of an image, in pixels, up to which reconstructions are small.
SMALL_SIDE = 64


@st.cache_resource(max_entries=12, show_spinner="Loading the network …")
def _small_model(name: str, key: str, _subject: Subject) -> nn.Module:  # noqa: ARG001 - the key
    return _subject.load()


@st.cache_resource(max_entries=2, show_spinner="Loading the network …")
def _large_model(name: str, key: str, _subject: Subject) -> nn.Module:  # noqa: ARG001 - the key
    return _subject.load()


def model_of(subject: Subject) -> nn.Module:
    """Return a subject's network, in evaluation mode; a new file of weights makes a new one."""
    small = trace_of(subject).weight_bytes <= _SMALL_BYTES
    return (_small_model if small else _large_model)(subject.name, subject.key, subject)


def trace_of(subject: Subject) -> Trace:
    """Return the trace of a subject's network on its own input."""
    return networks.traced(
        subject.variant.name, subject.knobs, subject.input_size, subject.num_classes
    )


@dataclass(frozen=True, eq=False)
class TestImages:
    """The images on which a subject's units are shown.

    Attributes:
        images: as a set, with the subject's own statistics and its test images cut to `count`.
        of: how many test images the data set has.
        own: whether the network was trained on this data set.

    """

    images: ImageSet
    of: int
    own: bool

    @property
    def count(self) -> int:
        """The number of images that are looked at."""
        return len(self.images.test_images)

    @property
    def title(self) -> str:
        """What they are, in the plural."""
        titles = {"cifar10": "CIFAR-10 test images", "photos": "photo crops"}
        return titles.get(self.images.name, "handwritten digits")


def images_for(subject: Subject) -> TestImages:
    """Return the test images to look at: the subject's own, else CIFAR-10, else photo crops.

    Of a large network's only as many as can be scanned in half a minute or so.
    """
    name = shown_dataset(subject.dataset)
    macs = max(trace_of(subject).macs, 1)
    images = _test_images(name, subject.input_size[0])
    total = len(images.test_images)
    own = name == subject.dataset
    affordable = affordable_images((SCAN_MACS if own else _FOREIGN_MACS) / macs)
    count = min(max(affordable, FEWEST), total)
    cut = replace(
        images,
        test_images=images.test_images[:count],
        test_labels=images.test_labels[:count],
        mean=subject.mean,
        std=subject.std,
    )
    return TestImages(cut, total, own)


def affordable_images(count: float) -> int:
    """Return how many images to scan where `count` may be: a round number, since it is told."""
    return int(count / 100) * 100 if count >= 100 else int(count)


@st.cache_resource(max_entries=4, show_spinner="Reading the test images …")
def _test_images(name: str, channels: int) -> ImageSet:
    """A data set without its training images, which nobody looks at here."""
    whole = load(name, download=False)
    none = whole.train_images[:0]
    return replace(whole, train_images=none, train_labels=whole.train_labels[:0]).for_channels(
        channels
    )


def _kept() -> Path:
    """The folder in which scans are kept, beside the data sets that they looked at."""
    return data_dir() / "unit-scans"


@st.cache_resource(max_entries=24, show_spinner=False)
def _job(*key: object) -> Job:  # noqa: ARG001 - the cache's key
    return Job()


@st.cache_resource(max_entries=4, show_spinner=False)  # tens of MB each, and kept on disk
def _activity_job(*key: object) -> Job:  # noqa: ARG001 - the cache's key
    return Job()


def top_of(subject: Subject, layers: Sequence[str], first: str) -> dict[str, TopActivations]:
    """Return the strongest activations of all units of `layers`, behind a bar the first time.

    One pass serves all layers. It is kept on disk, by the hash of weights and images, and so is
    what `activations_of` asks for: of the layer `first`, and of activations as room allows.
    """
    shown = images_for(subject)
    model = model_of(subject)
    rows = {row.path: row for row in trace_of(subject).layers}
    kept, room = [], _ACTIVITY_BYTES
    for path in [first, *(p for p in layers if p != first and rows[p].kind == "activation")]:
        room -= 4 * shown.count * rows[path].output_shape[1]
        if path == first or room >= 0:
            kept.append(path)

    def scan(report: Report) -> dict[str, TopActivations]:
        return top_activations(
            model,
            shown.images,
            layers,
            size=subject.input_size[1:],
            cache=_kept(),
            keep=kept,
            progress=report,
        )

    job = _job("top", subject.name, subject.key, shown.images.name, shown.count, tuple(layers))
    job.start(scan)
    found: dict[str, TopActivations] = background.watch(
        job, f"Looking at {shown.count:,} {shown.title}, once for all layers"
    )
    return found


def begin_activations(subject: Subject, layer: str) -> Job:
    """Begin what `activations_of` waits for, so that other work can be done meanwhile."""
    shown = images_for(subject)
    model = model_of(subject)

    def scan(report: Report) -> UnitActivations:
        return unit_activations(
            model,
            shown.images,
            layer,
            size=subject.input_size[1:],
            cache=_kept(),
            progress=report,
        )

    job = _activity_job(subject.name, subject.key, shown.images.name, shown.count, layer)
    job.start(scan)
    return job


def activations_of(subject: Subject, layer: str) -> UnitActivations:
    """Return how strongly each test image excites each unit of `layer`, with a bar at first."""
    shown = images_for(subject)
    found: UnitActivations = background.watch(
        begin_activations(subject, layer),
        f"Asking {shown.count:,} {shown.title} how strongly they excite this layer",
    )
    return found


def positions_of(subject: Subject, layer: str, unit: int, numbers: Tensor) -> Tensor:
    """Return where in its map some test images (K,) excite a unit most: rows, columns (K, 2)."""
    shown = images_for(subject)
    model = model_of(subject)
    batches = Batches.of(shown.images, None, None, subject.input_size[1:], model)
    inputs = batches.prepare(shown.images.test_images[numbers])
    return strongest_positions(feature_maps(model, inputs, [layer])[layer][:, unit])


def seen_images(subject: Subject, numbers: Tensor) -> Pixels:
    """Return some test images as the network sees them, uint8 (N, C, H, W)."""
    shown = images_for(subject)
    batches = Batches.of(shown.images, None, None, subject.input_size[1:], model_of(subject))
    return batches.seen(shown.images.test_images[numbers]).numpy()


def figures_of(
    subject: Subject, layer: str, units: tuple[int, ...], rule: Rule, layers: Sequence[str]
) -> UnitFigures:
    """Return the nine strongest images of `units` and what of each a unit saw, by `rule`.

    `layers` are those of the scan, `top_of`'s.
    """
    shown = images_for(subject)
    key = (subject.name, subject.key, shown.images.name, shown.count)
    small = max(subject.input_size[1:]) <= SMALL_SIDE
    kept = _small_figures if small else _large_figures
    return kept(key, layer, units, rule, subject, tuple(layers))


@st.cache_resource(max_entries=40, show_spinner=False)  # sixteen units: 2 MB
def _small_figures(
    key: tuple[object, ...],  # noqa: ARG001 - the cache's key
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    _subject: Subject,
    _layers: tuple[str, ...],
) -> UnitFigures:
    return _figures(layer, units, rule, _subject, _layers)


@st.cache_resource(max_entries=24, show_spinner=False)  # a unit: 7 MB
def _large_figures(
    key: tuple[object, ...],  # noqa: ARG001 - the cache's key
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    _subject: Subject,
    _layers: tuple[str, ...],
) -> UnitFigures:
    return _figures(layer, units, rule, _subject, _layers)


def _figures(
    layer: str, units: tuple[int, ...], rule: Rule, subject: Subject, layers: tuple[str, ...]
) -> UnitFigures:
    shown = images_for(subject)
    return unit_figures(
        model_of(subject),
        trace_of(subject),
        shown.images,
        layer,
        units,
        rule,
        top=top_of(subject, layers, layer)[layer],
        size=subject.input_size[1:],
    )


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
    digest = hashlib.sha256(data).hexdigest()
    return _maps_on(subject.name, subject.key, layer, digest, subject, data)


@st.cache_resource(max_entries=12, show_spinner=False)  # up to 13 MB each
def _maps_on(
    name: str,  # noqa: ARG001 - the cache's key
    key: str,  # noqa: ARG001
    layer: str,
    digest: str,  # noqa: ARG001
    _subject: Subject,
    _data: bytes,
) -> PhotoMaps:
    inputs, seen = _subject.look_at(decode(_data))
    maps = feature_maps(model_of(_subject), inputs, [layer])[layer][0]
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
    digest = hashlib.sha256(data).hexdigest()
    return _carried_back(
        subject.name, subject.key, layer, units, rule, digest, position, subject, data
    )


@st.cache_resource(max_entries=32, show_spinner="Carrying activations back …")
def _carried_back(
    name: str,  # noqa: ARG001 - the cache's key
    key: str,  # noqa: ARG001
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    digest: str,  # noqa: ARG001
    position: tuple[int, int] | None,
    _subject: Subject,
    _data: bytes,
) -> Carried:
    looked = maps_on(_subject, layer, _data)
    at = None if position is None else torch.tensor([[list(position)]] * len(units))
    found = project(model_of(_subject), looked.inputs, layer, units, rule, at)
    return Carried(
        activations=found.activations[:, 0].float().numpy(),
        positions=found.positions[:, 0].numpy(),
        pixels=found.pixels[:, 0].float().permute(0, 2, 3, 1).numpy(),  # -> (K, H, W, C)
    )


def sanity_of(subject: Subject, layer: str, unit: int, rule: Rule, data: bytes) -> list[SanityStep]:
    """Return a unit's reconstructions while the weights are randomised from the unit down."""
    looked = maps_on(subject, layer, data)
    model = model_of(subject)
    total = len({row.module for row in trace_of(subject).layers if row.params})

    def check(report: Report) -> list[SanityStep]:
        steps = []
        for step in sanity_check(model, looked.inputs, layer, unit, rule):
            steps.append(step)
            report(len(steps), max(total, len(steps)))
        return steps

    digest = hashlib.sha256(data).hexdigest()
    job = _job("sanity", subject.name, subject.key, layer, unit, rule, digest)
    job.start(check)
    found: list[SanityStep] = background.watch(job, "Randomising the weights, layer by layer")
    return found
