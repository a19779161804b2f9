"""The training images on their device, and the augmented batch of each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnnviz.training.augment import (
    cutout,
    normalise,
    random_crop,
    random_flip,
    random_window,
    resize,
)
from cnnviz.training.data import ImageSet
from cnnviz.training.devices.choice import memory_format
from cnnviz.training.devices.distributed import World
from cnnviz.training.keyed import AUGMENT, MIX, ORDER, Draw, generator, key, to_device
from cnnviz.training.recipe import Recipe


@dataclass(frozen=True)
class Batch:
    """What one process learns from at one step.

    Attributes:
        images: normalised floats (N, C, H, W) of the network's input size.
        labels: int64 (N,); of blended images, those of the larger share.
        count: images of the whole batch, on all processes together.
        divided: whether the processes hold different images of it; a batch too small to be
            divided is learnt by each of them whole.
        partners: labels (N,) of the images that were blended in, if any.
        share: the share of the images that `labels` belong to, from 0.5 to 1.

    """

    images: Tensor
    labels: Tensor
    count: int
    divided: bool = False
    partners: Tensor | None = None
    share: float = 1.0


class Batches:
    """The batches of a recipe, each a function of its step and of nothing before."""

    def __init__(
        self,
        recipe: Recipe,
        data: ImageSet,
        chosen: Tensor,
        device: torch.device,
        world: World,
    ) -> None:
        """Put the training images of `data` at the indices `chosen` on `device`."""
        self.recipe, self.device, self.world = recipe, device, world
        self.mean, self.std = data.mean, data.std
        self.images = data.train_images[chosen].to(device)
        self.labels = data.train_labels[chosen].to(device)
        # Whole batches and the rest, unless the rest is one image: batch norm refuses that.
        whole, rest = divmod(len(self.images), recipe.batch_size)
        self.per_epoch = max(whole + (rest > 1), 1)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def images_before(self, step: int) -> int:
        """The number of images in all batches before that of `step`."""
        epoch, position = divmod(step, self.per_epoch)
        size, count = self.recipe.batch_size, len(self.images)
        return epoch * min(self.per_epoch * size, count) + min(position * size, count)

    def at(self, step: int) -> Batch:
        """Return this process's part of the batch of `step`."""
        chosen = self._chosen(step)
        count, world = len(chosen), self.world
        divided = world.size > 1 and count >= 2 * world.size
        rows = torch.arange(count)
        if divided:
            rows = rows[world.rank :: world.size]
        if self.recipe.mixup:
            return self._mixed(step, chosen, rows, divided)
        images = self._augmented(step, chosen, rows)
        return Batch(images, self._labels(chosen, rows), count, divided)

    def _chosen(self, step: int) -> Tensor:
        """The indices of the images of the whole batch, int64, on the device."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            draw = generator(self.recipe.seed, ORDER, epoch)
            order = torch.randperm(len(self.images), generator=draw)
            self._epoch, self._order = epoch, order.to(self.device)
        start = position * self.recipe.batch_size
        return self._order[start : start + self.recipe.batch_size]

    def _labels(self, chosen: Tensor, rows: Tensor) -> Tensor:
        return self.labels[self._of(chosen, rows)]

    def _of(self, chosen: Tensor, rows: Tensor) -> Tensor:
        return chosen if _all(rows, chosen) else chosen[to_device(rows, self.device)]

    def _augmented(self, step: int, chosen: Tensor, rows: Tensor) -> Tensor:
        """The images at `rows` of the batch, as they look to every number of processes."""
        recipe = self.recipe
        source = generator(recipe.seed, AUGMENT, step)
        draw = Draw(source, len(chosen), None if _all(rows, chosen) else rows)
        images = random_crop(self.images[self._of(chosen, rows)], recipe.crop_padding, draw)
        if recipe.flip:
            images = random_flip(images, draw)
        images = resize(normalise(images, self.mean, self.std), recipe.resized)
        images = random_window(images, recipe.input_size, draw)
        images = cutout(images, recipe.cutout, draw)
        return images.contiguous(memory_format=memory_format(self.device))

    def _mixed(self, step: int, chosen: Tensor, rows: Tensor, divided: bool) -> Batch:
        """The batch with each image blended into another (Zhang et al. 2018, equation 1).

        The share is one for the batch, drawn from Beta(alpha, alpha), and the partner another
        image of the batch, as in the paper's section 3. What has the larger share comes first.
        """
        draw = np.random.default_rng(key(self.recipe.seed, MIX, step))
        share = float(draw.beta(self.recipe.mixup, self.recipe.mixup))
        others = torch.from_numpy(draw.permutation(len(chosen)))[rows]
        if share < 0.5:
            share, rows, others = 1 - share, others, rows
        # Partners may be another process's images: they are made here again, by the same draws.
        needed, places = torch.cat([rows, others]).unique(return_inverse=True)
        images = self._augmented(step, chosen, needed)
        own, theirs = to_device(places, self.device).view(2, -1)
        blended = torch.lerp(images[theirs], images[own], share)
        return Batch(
            blended.contiguous(memory_format=memory_format(self.device)),
            self._labels(chosen, rows),
            len(chosen),
            divided,
            self._labels(chosen, others),
            share,
        )


def _all(rows: Tensor, chosen: Tensor) -> bool:
    """Whether `rows`, ascending or of another number, are all rows in their order."""
    return len(rows) == len(chosen) and bool((rows[1:] > rows[:-1]).all())
