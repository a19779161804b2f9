"""Augmentation of a whole batch at once, on whatever device the batch is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from cnnviz.training.keyed import Draw, to_device


def random_crop(images: Tensor, padding: int, draw: Draw) -> Tensor:
    """Pad by `padding` zeros on each side and cut a window of the old size, one an image.

    `images` is (N, C, H, W) of any type; He et al. 2015, section 4.2, with padding 4.
    """
    if padding == 0:
        return images
    shifts = draw.integers(2 * padding + 1, 2, images.device)
    size = (images.shape[2], images.shape[3])
    return _windows(F.pad(images, (padding,) * 4), shifts, size)


def random_window(images: Tensor, size: tuple[int, int], draw: Draw) -> Tensor:
    """Cut a window of `size` (height, width) out of each image (N, C, H, W), anywhere inside.

    Krizhevsky et al. 2012, section 4.1. `size` must not be larger than the images.
    """
    height, width = images.shape[2:]
    if (height, width) == tuple(size):
        return images
    room = torch.tensor([height - size[0] + 1, width - size[1] + 1]).view(2, 1)
    # A uniform number below one, times the places there are: every place is as likely.
    shifts = (draw.uniform(2, torch.device("cpu")) * room).long()
    return _windows(images, to_device(shifts, images.device), size)


def _windows(images: Tensor, corners: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut windows of `size` whose top left `corners` are (2, N): rows, columns."""
    # Every window there is, as a view: (N, C, rows, columns, height, width). One copy cuts the
    # chosen ones out of it; gathering rows and then columns took three times as long.
    every = images.unfold(2, size[0], 1).unfold(3, size[1], 1)
    each = torch.arange(len(images), device=images.device)
    return every[each, :, corners[0], corners[1]]


def random_flip(images: Tensor, draw: Draw) -> Tensor:
    """Mirror each image (N, C, H, W) left to right with probability one half."""
    chosen = draw.uniform(1, images.device)[0] < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)


def cutout(images: Tensor, size: int, draw: Draw) -> Tensor:
    """Set one square of `size` pixels to zero in each image (N, C, H, W), cut off at the border.

    DeVries & Taylor 2017: the centre is drawn over the whole image. Images are expected
    normalised, so that zero is the mean.
    """
    if size == 0:
        return images
    height, width = images.shape[2:]
    centres = draw.uniform(2, images.device)
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
    scale, shift = _scale_and_shift(tuple(mean), tuple(std), images.device)
    return images.float().mul_(scale).sub_(shift)


@lru_cache(maxsize=32)
def _scale_and_shift(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    # Kept on the device: sending them with each batch would wait for it each time.
    with torch.inference_mode(False):  # whoever asks first; others may need gradients
        scale = torch.tensor([1 / (255 * s) for s in std], device=device)
        shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=device)
    return scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring (N, C, H, W) floats to `size` (height, width), antialiased when shrinking."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def centre_crop(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut the window of `size` (height, width) out of the middle of (N, C, H, W) images."""
    top, left = (images.shape[2] - size[0]) // 2, (images.shape[3] - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]


def fit(images: Tensor, size: tuple[int, int], resized: int = 0) -> Tensor:
    """Bring (N, C, H, W) floats to `size` as an evaluation does.

    With `resized`, they are brought to that side first and the middle is cut out.
    """
    if resized == 0:
        return resize(images, size)
    return centre_crop(resize(images, (resized, resized)), size)
