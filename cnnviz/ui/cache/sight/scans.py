"""What scans of the test images found of units, kept between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st
from torch import Tensor

from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.settings import data_dir
from cnnviz.sight import TopActivations, feature_maps, top_activations
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.activity import UnitActivations, strongest_positions, unit_activations
from cnnviz.sight.units.batches import Batches
from cnnviz.sight.units.figures import UnitFigures, unit_figures
from cnnviz.ui.cache import jobs, subjects
from cnnviz.ui.cache.sight import image_sets
from cnnviz.ui.state import background
from cnnviz.ui.state.background import Job, Report

# Bytes that a scan may keep of how strongly each image excites each unit.
_ACTIVITY_BYTES = 48_000_000
#: Side of an image, in pixels, up to which reconstructions are small.
SMALL_SIDE = 64


def _kept() -> Path:
    """The folder in which scans are kept, beside the data sets that they looked at."""
    return data_dir() / "unit-scans"


@st.cache_resource(max_entries=4, show_spinner=False)  # tens of MB each, and kept on disk
def _activity_job(*key: object) -> Job:  # noqa: ARG001 - the cache's key
    return Job()


def top_of(subject: Subject, layers: Sequence[str], first: str) -> dict[str, TopActivations]:
    """Return the strongest activations of all units of `layers`, behind a bar the first time.

    One pass serves all layers. It is kept on disk, by the hash of weights and images, and so is
    what `activations_of` asks for: of the layer `first`, and of activations as room allows.
    """
    shown = image_sets.images_for(subject)
    model = subjects.model_of(subject)
    rows = {row.path: row for row in subjects.trace_of(subject).layers}
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

    return jobs.finished(
        ("top", subject.name, subject.key, shown.images.name, shown.count, tuple(layers)),
        scan,
        f"Looking at {shown.count:,} {shown.title}, once for all layers",
    )


def begin_activations(subject: Subject, layer: str) -> Job:
    """Begin what `activations_of` waits for, so that other work can be done meanwhile."""
    shown = image_sets.images_for(subject)
    model = subjects.model_of(subject)

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
    shown = image_sets.images_for(subject)
    found: UnitActivations = background.watch(
        begin_activations(subject, layer),
        f"Asking {shown.count:,} {shown.title} how strongly they excite this layer",
    )
    return found


def positions_of(subject: Subject, layer: str, unit: int, numbers: Tensor) -> Tensor:
    """Return where in its map some test images (K,) excite a unit most: rows, columns (K, 2)."""
    shown = image_sets.images_for(subject)
    model = subjects.model_of(subject)
    batches = Batches.of(shown.images, None, None, subject.input_size[1:], model)
    inputs = batches.prepare(shown.images.test_images[numbers])
    return strongest_positions(feature_maps(model, inputs, [layer])[layer][:, unit])


def seen_images(subject: Subject, numbers: Tensor) -> Pixels:
    """Return some test images as the network sees them, uint8 (N, C, H, W)."""
    shown = image_sets.images_for(subject)
    batches = Batches.of(
        shown.images, None, None, subject.input_size[1:], subjects.model_of(subject)
    )
    return batches.seen(shown.images.test_images[numbers]).numpy()


def figures_of(
    subject: Subject, layer: str, units: tuple[int, ...], rule: Rule, layers: Sequence[str]
) -> UnitFigures:
    """Return the nine strongest images of `units` and what of each a unit saw, by `rule`.

    `layers` are those of the scan, `top_of`'s.
    """
    shown = image_sets.images_for(subject)

    def make() -> UnitFigures:
        return unit_figures(
            subjects.model_of(subject),
            subjects.trace_of(subject),
            shown.images,
            layer,
            units,
            rule,
            top=top_of(subject, layers, layer)[layer],
            size=subject.input_size[1:],
        )

    small = max(subject.input_size[1:]) <= SMALL_SIDE
    kept = _small_figures if small else _large_figures
    weights = (subject.name, subject.key, shown.images.name, shown.count)
    return kept((*weights, layer, units, rule), make)


@st.cache_resource(max_entries=40, show_spinner=False)  # sixteen units: 2 MB
def _small_figures(
    key: tuple[object, ...],  # noqa: ARG001 - the cache's key
    _make: Callable[[], UnitFigures],
) -> UnitFigures:
    return _make()


@st.cache_resource(max_entries=24, show_spinner=False)  # a unit: 7 MB
def _large_figures(
    key: tuple[object, ...],  # noqa: ARG001 - the cache's key
    _make: Callable[[], UnitFigures],
) -> UnitFigures:
    return _make()
