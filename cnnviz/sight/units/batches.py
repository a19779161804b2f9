"""A data set as a network sees it: normalised, at its input size, one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.training.augment import normalise, resize
from cnnviz.training.data import ImageSet

#: Images of one forward pass, and most pixels of them: nine images of 224 × 224.
BATCH_SIZE = 256
BATCH_PIXELS = 500_000


@dataclass(frozen=True, eq=False)
class Batches:
    """Images of a data set, brought to a network's form a batch at a time.

    Attributes:
        images: uint8 (N, C, H, W).
        mean: per channel, of the images scaled to 0..1.
        std: likewise.
        size: (height, width) to which they are brought, None where they have it.
        like: a tensor of the network's device and number format.
        labels: (N,), None where there are none.

    """

    images: Tensor
    mean: Sequence[float]
    std: Sequence[float]
    size: tuple[int, int] | None
    like: Tensor
    labels: Tensor | None = None

    @classmethod
    def of(
        cls,
        dataset: ImageSet | Tensor,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        size: tuple[int, int] | None,
        network: nn.Module,
    ) -> Batches:
        """Take a data set's test images, or images; statistics that are given come first.

        Raises:
            CnnvizError: if they are no uint8 images, or have no statistics.

        """
        labels = None
        if isinstance(dataset, ImageSet):
            images, labels = dataset.test_images, dataset.test_labels
            if mean is None and std is None:
                mean, std = dataset.mean, dataset.std
        else:
            images = dataset
        if images.dtype != torch.uint8 or images.dim() != 4 or not len(images):
            raise CnnvizError(
                f"A data set is uint8 images (N, C, H, W), not {images.dtype} of shape "
                f"{tuple(images.shape)}."
            )
        if mean is None or std is None or {len(mean), len(std)} != {images.shape[1]}:
            raise CnnvizError(f"Give mean and std of the images' {images.shape[1]} channels.")
        if size is not None and tuple(size) == tuple(images.shape[2:]):
            size = None  # the same question, whichever way it is asked
        weights = (p for p in network.parameters() if p.is_floating_point())
        like = next(weights, torch.zeros(()))
        return cls(images, tuple(mean), tuple(std), size, like, labels)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the first image's number and the batch (B, C, H, W)."""
        height, width = self.size or self.images.shape[2:]
        count = max(1, min(BATCH_SIZE, BATCH_PIXELS // (height * width)))
        for start in range(0, len(self.images), count):
            yield start, self.prepare(self.images[start : start + count])

    def prepare(self, images: Tensor) -> Tensor:
        """Return uint8 images as the network's input."""
        batch = normalise(images.to(self.like.device), self.mean, self.std)
        batch = batch if self.size is None else resize(batch, self.size)
        return batch.to(self.like.dtype)

    def seen(self, images: Tensor) -> Tensor:
        """Return uint8 images as the network's input looks: uint8, at its size."""
        if self.size is None or tuple(images.shape[2:]) == tuple(self.size):
            return images
        return resize(images.float(), self.size).round().clamp(0, 255).to(torch.uint8)

    @property
    def description(self) -> tuple[object, ...]:
        """What decides the network's input beside the images."""
        return self.mean, self.std, self.size
