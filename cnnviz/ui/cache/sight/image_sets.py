"""The test images on which a subject's units are shown, kept between reruns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st
import torch
from torch import Tensor

from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.training.augment import normalise, resize
from cnnviz.training.data import ImageSet, load, shown_dataset
from cnnviz.ui.cache.subjects import trace_of

#: Multiply–accumulates that a scan of the test images may cost: half a minute or so on one core.
SCAN_MACS = 1e12
# Of weights that were not trained on these images only so many: there is less to find.
_FOREIGN_MACS = SCAN_MACS / 8
#: The fewest images of a scan: nine strongest ones should be chosen from more than nine.
FEWEST = 64


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


def prepared(subject: Subject, images: Tensor) -> tuple[Tensor, Pixels]:
    """Return uint8 images (N, C, h, w) as inputs (N, C, H, W), and as they look, (N, H, W, C)."""
    size = (subject.input_size[1], subject.input_size[2])
    inputs = resize(normalise(images, subject.mean, subject.std), size)
    seen = resize(images.float(), size).round().clamp(0, 255).to(torch.uint8)
    return inputs, seen.permute(0, 2, 3, 1).numpy()
