"""What the views on evidence, invariance and evolution of the Deconvnet page keep between reruns.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels, decode
from cnnviz.networks.subjects import Subject, trained_subject
from cnnviz.prediction import survey_models
from cnnviz.runs import Run, list_runs
from cnnviz.runs.trainer.snapshots import list_snapshots, load_snapshot
from cnnviz.sight import Correspondence, Invariance, Occlusion, correspondence, grad_cam, invariance
from cnnviz.sight import occlude as slide
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.evidence.correspondence import Box
from cnnviz.sight.evidence.invariance import Border, Transformation, paper_amounts
from cnnviz.sight.units.evolution import Moment, moment
from cnnviz.training.augment import normalise, resize
from cnnviz.training.saved.checkpoints import scan_checkpoints
from cnnviz.ui.cache import scans
from cnnviz.ui.cache.scans import SCAN_MACS, TestImages
from cnnviz.ui.state import background
from cnnviz.ui.state.background import Job, Report

#: Amounts of a transformation, and random boxes: fewer where a pass takes long.
AMOUNTS, DRAWS = (25, 13, 7), (20, 8, 4)
#: Images of one epoch of the evolution, at least.
FEWEST = 500
#: Seconds of a pass of one image up to which the first and the second of these are taken.
_QUICK, _SLOW = 0.02, 0.1
# Images that are timed together, and the seconds of a first one that tell enough.
_TOGETHER, _LONG = 4, 1.0


@st.cache_resource(max_entries=32, show_spinner=False)
def _job(*key: object) -> Job:  # noqa: ARG001 - the cache's key
    return Job()


@st.cache_data(max_entries=64, show_spinner=False)
def _seconds(name: str, key: str, _subject: Subject) -> float:  # noqa: ARG001 - the cache's key
    model = scans.model_of(_subject)

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
    return _ask(subject.name, subject.key, _digest(data), subject, data)


@st.cache_resource(max_entries=32, show_spinner=False)
def _ask(name: str, key: str, digest: str, _subject: Subject, _data: bytes) -> Asked:  # noqa: ARG001
    inputs, seen = _subject.look_at(decode(_data))
    return Asked(inputs, seen, answers_of(_subject, inputs)[0])


def answers_of(subject: Subject, inputs: Tensor) -> NDArray[np.float64]:
    """Return probabilities (N, classes) for the network's inputs (N, C, H, W)."""
    model = scans.model_of(subject)
    with torch.no_grad():
        logits = model(inputs).flatten(1)
    probabilities: NDArray[np.float64] = logits.double().softmax(1).numpy()
    return probabilities


def occlusion_of(
    subject: Subject, layer: str, data: bytes, target: int, size: int, stride: int
) -> Occlusion:
    """Return the three maps of a photo, behind a bar the first time."""
    asked, model = ask(subject, data), scans.model_of(subject)

    def work(report: Report) -> Occlusion:
        return slide(model, asked.inputs, layer, target, size, stride, progress=report)

    job = _job("hide", subject.name, subject.key, layer, _digest(data), target, size, stride)
    job.start(work)
    found: Occlusion = background.watch(job, "Hiding one part of the photo after another")
    return found


def heat_of(subject: Subject, layer: str, data: bytes, target: int) -> NDArray[np.float32]:
    """Return the Grad-CAM heat map (H, W) of a photo."""
    return _heat(subject.name, subject.key, layer, _digest(data), target, subject, data)


@st.cache_data(max_entries=64, show_spinner=False)
def _heat(
    name: str,  # noqa: ARG001 - the cache's key
    key: str,  # noqa: ARG001
    layer: str,
    digest: str,  # noqa: ARG001
    target: int,
    _subject: Subject,
    _data: bytes,
) -> NDArray[np.float32]:
    heat = grad_cam(scans.model_of(_subject), ask(_subject, _data).inputs, layer, target)
    array: NDArray[np.float32] = heat[0].float().numpy()
    return array


def invariance_of(
    subject: Subject,
    images: Tensor,
    layers: Sequence[str],
    kind: Transformation,
    targets: Sequence[int],
    border: Border,
) -> Invariance:
    """Return the curves of normalised images (N, C, H, W), behind a bar the first time."""
    model = scans.model_of(subject)
    amounts = paper_amounts(kind, subject.input_size[1], _by_speed(subject, AMOUNTS))

    def work(report: Report) -> Invariance:
        return invariance(model, images, layers, kind, amounts, targets, border, report)

    key = (tuple(layers), kind, tuple(targets), border, _digest(images.numpy().tobytes()))
    job = _job("move", subject.name, subject.key, *key)
    job.start(work)
    found: Invariance = background.watch(job, "Transforming the images step by step")
    return found


def correspondence_of(
    subject: Subject, images: Tensor, boxes: Sequence[Box], layers: Sequence[str]
) -> Correspondence:
    """Return Δ of boxes in normalised images (N, C, H, W), behind a bar the first time."""
    model, draws = scans.model_of(subject), _by_speed(subject, DRAWS)

    def work(report: Report) -> Correspondence:
        return correspondence(model, images, boxes, layers, draws, progress=report)

    key = (tuple(layers), tuple(boxes), _digest(images.numpy().tobytes()))
    job = _job("part", subject.name, subject.key, *key)
    job.start(work)
    found: Correspondence = background.watch(job, "Hiding the part, then random places")
    return found


def prepared(subject: Subject, images: Tensor) -> tuple[Tensor, Pixels]:
    """Return uint8 images (N, C, h, w) as inputs (N, C, H, W), and as they look, (N, H, W, C)."""
    size = (subject.input_size[1], subject.input_size[2])
    inputs = resize(normalise(images, subject.mean, subject.std), size)
    seen = resize(images.float(), size).round().clamp(0, 255).to(torch.uint8)
    return inputs, seen.permute(0, 2, 3, 1).numpy()


def run_of(subject: Subject) -> Run | None:
    """Return the run that trained the subject, published since or not, if it is still there."""
    if subject.checkpoint is None:
        return None
    for run in list_runs():
        if run.id == subject.name:
            return run
        if any(c.card.sha256 == subject.key for c in scan_checkpoints(run.path).checkpoints):
            return run
    return None


def models_with_epochs() -> list[str]:
    """Return the names of the trained models whose runs kept the weights of several epochs."""
    found = []
    for name, checkpoint in survey_models().models.items():
        run = run_of(trained_subject(name, checkpoint))
        if run is not None and snapshots_of(run):
            found.append(name)
    return found


def snapshots_of(run: Run) -> tuple[int, ...]:
    """Return the epochs whose weights the run kept, ascending."""
    return tuple(list_snapshots(run))


def images_over(subject: Subject, epochs: int) -> TestImages:
    """Return the test images to scan at each of `epochs` epochs: all scans together cost one."""
    test = scans.images_for(subject)
    macs = max(scans.trace_of(subject).macs, 1)
    fewest = min(FEWEST, test.count)
    affordable = scans.affordable_images(SCAN_MACS / macs / max(epochs, 1))
    count = min(max(affordable, fewest), test.count)
    cut = replace(
        test.images,
        test_images=test.images.test_images[:count],
        test_labels=test.images.test_labels[:count],
    )
    return replace(test, images=cut)


def moment_of(
    subject: Subject,
    run: Run,
    epoch: int,
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    test: TestImages,
) -> Moment:
    """Return one epoch of the evolution over the images `test`, behind a bar the first time.

    The scan of the images serves all units, and is kept on disk in the run's folder.
    """
    path = list_snapshots(run).get(epoch)
    if path is None:
        raise CnnvizError(f"The run {run.id} no longer has its epoch {epoch}: reload the page.")

    def work(report: Report) -> Moment:
        return moment(
            epoch,
            load_snapshot(run, epoch),
            test.images,
            layer,
            units,
            rule,
            size=(subject.input_size[1], subject.input_size[2]),
            cache=run.path / "scans",
            progress=report,
        )

    written = path.stat().st_mtime_ns
    job = _job("epoch", str(path), written, test.count, layer, units, rule)
    job.start(work)
    found: Moment = background.watch(
        job, f"Epoch {epoch}: looking at {test.count:,} {test.title} for the strongest"
    )
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
