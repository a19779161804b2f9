"""Augmentation of a whole batch at once, on whatever device the batch is.

Random numbers come from a generator on the CPU in every case: they are few, and so the same
seed crops the same pixels on every device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Pad by `padding` zeros on each side and cut a window of the old size, one an image.

    `images` is (N, C, H, W) of any type; He et al. 2015, section 4.2, with padding 4.
    """
    if padding == 0:
        return images
    count, channels, height, width = images.shape
    shifts = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(images.device)
    padded = F.pad(images, (padding,) * 4)
    rows = shifts[0, :, None] + torch.arange(height, device=images.device)  # (N, H)
    columns = shifts[1, :, None] + torch.arange(width, device=images.device)  # (N, W)
    rows = rows[:, None, :, None].expand(-1, channels, -1, padded.shape[3])
    columns = columns[:, None, None, :].expand(-1, channels, height, -1)
    return padded.gather(2, rows).gather(3, columns)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image (N, C, H, W) left to right with probability one half."""
    chosen = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)


def cutout(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Set one square of `size` pixels to zero in each image (N, C, H, W), cut off at the border.

    DeVries & Taylor 2017: the centre is drawn over the whole image. Images are expected
    normalised, so that zero is the mean.
    """
    if size == 0:
        return images
    count, _, height, width = images.shape
    centres = torch.rand(2, count, generator=generator).to(images.device)
    top = (centres[0] * height).floor().long() - size // 2
    left = (centres[1] * width).floor().long() - size // 2
    rows = torch.arange(height, device=images.device) - top[:, None]  # (N, H)
    columns = torch.arange(width, device=images.device) - left[:, None]  # (N, W)
    inside_rows = (rows >= 0) & (rows < size)
    inside_columns = (columns >= 0) & (columns < size)
    hole = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return images.masked_fill(hole, 0.0)


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (N, C, H, W) -> float32 with mean 0 and deviation 1 per channel of the data set."""
    shape = (1, -1, 1, 1)
    scale = torch.tensor([1 / (255 * s) for s in std], device=images.device).view(shape)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=images.device)
    return images.float().mul_(scale).sub_(shift.view(shape))


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring (N, C, H, W) floats to `size` (height, width), antialiased when shrinking."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
