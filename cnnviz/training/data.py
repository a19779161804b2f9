"""The data sets: CIFAR-10 through torchvision, and two that need no network.

Handwritten digits are trained on as CIFAR-10 is; crops of photos are there to be looked at.

Images stay uint8 all the way to the device: CIFAR-10 is 180 MB so, and normalising a batch on
the device costs less than moving floats there.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cnnviz.errors import CnnvizError
from cnnviz.settings import data_dir

#: The data sets to train on.
DATASETS = ("cifar10", "digits")
#: Those to show networks: "photos" are crops of a dozen photos, without training images.
SHOWN = (*DATASETS, "photos")
#: Training and test images of each.
IMAGES = {"cifar10": (50_000, 10_000), "digits": (1_437, 360)}

#: ITU-R 601 luma, the weights by which Pillow turns RGB into grey.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class ImageSet:
    """A labelled data set in memory.

    Images are uint8 of shape (N, C, H, W), labels int64 of shape (N,). `mean` and `std` are per
    channel, of the training images scaled to 0..1. `flips` says whether a mirrored image is
    still a likely member of its class: true of a photo of a cat, not of the digit 2.
    """

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: bool

    @property
    def channels(self) -> int:
        """Colour channels of an image: 3, or 1 for grey."""
        return self.train_images.shape[1]

    def for_channels(self, channels: int) -> ImageSet:
        """Return the set with `channels` channels: colour to grey by luma, grey repeated."""
        if channels == self.channels:
            return self
        if channels == 1:
            train, test = _grey(self.train_images), _grey(self.test_images)
            mean, std = channel_statistics(train if len(train) else test)
            return replace(self, train_images=train, test_images=test, mean=mean, std=std)
        if self.channels == 1:
            return replace(
                self,
                train_images=self.train_images.repeat(1, channels, 1, 1),
                test_images=self.test_images.repeat(1, channels, 1, 1),
                mean=self.mean * channels,
                std=self.std * channels,
            )
        raise CnnvizError(
            f"The network takes {channels} channels and {self.name} has {self.channels}; "
            "only networks of one or three channels can be trained on it."
        )


def _grey(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, 1, H, W) uint8, in pieces so that no copy as float is kept."""
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)
    pieces = [(piece * weights).sum(1, keepdim=True).round() for piece in images.split(4096)]
    return torch.cat([piece.to(torch.uint8) for piece in pieces])


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images, scaled to 0..1."""
    channels = images.shape[1]
    # A histogram of 256 values is exact and needs no float copy of 150 million pixels.
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(channels):
        counts = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        mean = float((counts * values).sum() / counts.sum())
        variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
        means.append(mean)
        deviations.append(variance**0.5)
    return tuple(means), tuple(deviations)


def load(dataset: str, download: bool = True) -> ImageSet:
    """Return the data set called `dataset` ("cifar10", "digits" or "photos").

    CIFAR-10 lies in the folder `CNNVIZ_DATA`; where it is missing, torchvision downloads it with
    a progress bar if `download` is true. Its MD5 sums are checked before anything is unpickled.
    """
    loaders: dict[str, Callable[[], ImageSet]] = {
        "cifar10": lambda: _load_cifar10(data_dir(), download),
        "digits": _load_digits,
        "photos": _load_photos,
    }
    if dataset not in loaders:
        raise CnnvizError(f"There is no data set {dataset!r}; known: {', '.join(SHOWN)}.")
    return loaders[dataset]()


def is_available(dataset: str) -> bool:
    """Whether `dataset` can be loaded without a network (its files are there; not yet checked)."""
    if dataset != "cifar10":
        return dataset in SHOWN
    return (data_dir() / "cifar-10-batches-py" / "test_batch").is_file()


def _load_cifar10(folder: Path, download: bool) -> ImageSet:
    from torchvision.datasets import CIFAR10

    how = (
        f"run `python -m cnnviz data cifar10` with a network, or unpack cifar-10-python.tar.gz "
        f"into {folder} (CNNVIZ_DATA moves that folder)"
    )
    present = (folder / "cifar-10-batches-py").is_dir()
    try:
        # torchvision prints where it saves to on stdout, which belongs to our own output.
        with contextlib.redirect_stdout(io.StringIO()):
            train = CIFAR10(str(folder), train=True, download=download and not present)
            test = CIFAR10(str(folder), train=False, download=False)
    except OSError as error:  # urllib's URLError is one
        raise CnnvizError(f"CIFAR-10 could not be downloaded ({error}): {how}.") from error
    except RuntimeError as error:
        if present:
            raise CnnvizError(
                f"The CIFAR-10 files in {folder / 'cifar-10-batches-py'} are incomplete or damaged "
                "(their MD5 sums are not the published ones): delete that folder and get them "
                "again."
            ) from error
        raise CnnvizError(f"CIFAR-10 is not on this machine: {how}.") from error
    except (pickle.UnpicklingError, KeyError, ValueError) as error:
        raise CnnvizError(f"The CIFAR-10 files in {folder} cannot be read: {how}.") from error
    return _image_set(
        "cifar10",
        tuple(train.classes),
        (_channels_first(train.data), torch.tensor(train.targets)),
        (_channels_first(test.data), torch.tensor(test.targets)),
        flips=True,
    )


def _channels_first(pixels: np.ndarray) -> Tensor:
    """(N, H, W, C) array -> (N, C, H, W) tensor."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def _load_digits() -> ImageSet:
    """Scikit-learn's 1,797 handwritten digits (8 × 8, 17 grey levels), brought to 3 × 32 × 32.

    Light ink on black. A fixed, stratified fifth is the test set.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(pixels.reshape(-1, 1, 8, 8)).float() * (255 / 16)
    large = F.interpolate(small, size=(32, 32), mode="bicubic", align_corners=False)
    images = large.round().clamp(0, 255).to(torch.uint8).repeat(1, 3, 1, 1)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=360, stratify=labels, random_state=0
    )
    target = torch.from_numpy(labels).long()
    return _image_set(
        "digits",
        tuple(str(digit) for digit in range(10)),
        (images[train], target[train]),
        (images[test], target[test]),
        flips=False,
    )


def shown_dataset(trained_on: str) -> str:
    """Return the data set whose images are shown to a network that was `trained_on` another.

    That is its own, else CIFAR-10, else crops of photos; digits excite networks of photos little.
    """
    wanted = trained_on if trained_on in DATASETS else "cifar10"
    return wanted if is_available(wanted) else "photos"


def _load_photos() -> ImageSet:
    from cnnviz.training.photos import photo_crops

    images, labels, names = photo_crops(data_dir())
    crops, which = torch.from_numpy(images), torch.from_numpy(labels)
    mean, std = channel_statistics(crops)
    none = (crops[:0], which[:0])
    return ImageSet("photos", names, *none, crops, which, mean=mean, std=std, flips=True)


def _image_set(
    name: str,
    classes: tuple[str, ...],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    flips: bool,
) -> ImageSet:
    mean, std = channel_statistics(train[0])
    return ImageSet(name, classes, *train, *test, mean=mean, std=std, flips=flips)


def held_out(labels: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Split indices into (train, held out), `count` held out, every class in its proportion.

    The split depends on `seed` alone and not on the run's seed, so that runs with different
    seeds are compared on the same images.
    """
    if not 0 <= count < len(labels):
        raise CnnvizError(
            f"{count} images cannot be held out of {len(labels)}: choose fewer, or 0 for none."
        )
    if count == 0:
        return torch.arange(len(labels)), torch.empty(0, dtype=torch.long)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    # Rank each image within its class; images of the smallest relative ranks are held out, which
    # takes the same share of every class.
    share = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = order[labels[order] == label]
        share[members] = (torch.arange(len(members)) + 0.5).double() / len(members)
    ranked = share.argsort(stable=True)
    return ranked[count:].sort().values, ranked[:count].sort().values
