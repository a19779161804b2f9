"""Random numbers as a function of (seed, purpose, step), never of a generator's history.

A run can so be cut at any step, and be shared by any number of processes, and draws the very
numbers that it would have drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: What numbers are drawn for: the order of an epoch's images, a batch's augmentation, the
#: network's own draws (dropout), and how a batch is mixed.
ORDER, AUGMENT, NETWORK, MIX = range(4)


def key(seed: int, purpose: int, index: int, *more: int) -> np.random.SeedSequence:
    """The key of one purpose at one step or epoch, independent of all the others."""
    return np.random.SeedSequence([seed, purpose, index, *more])


def keyed_seed(seed: int, purpose: int, index: int, *more: int) -> int:
    """The key's 64-bit seed, for torch's own generators."""
    return int(key(seed, purpose, index, *more).generate_state(1, np.uint64)[0])


def generator(seed: int, purpose: int, index: int) -> torch.Generator:
    """A CPU generator for one purpose at one step or epoch."""
    return torch.Generator().manual_seed(keyed_seed(seed, purpose, index))


class Draw:
    """Random numbers for a batch of `count` images, of which this process holds `rows`.

    Numbers come from a generator on the CPU, so that a seed crops the same pixels on every
    device, and for the whole batch, so that it does so for any number of processes. `rows`, int64
    (N,), names the images held; None: all of them.
    """

    def __init__(self, generator: torch.Generator, count: int, rows: Tensor | None = None) -> None:
        self.generator, self.count, self.rows = generator, count, rows

    def integers(self, below: int, how_many: int, device: torch.device) -> Tensor:
        """`how_many` integers from 0 to `below` - 1 for each image: int64 (how_many, N)."""
        shape = (how_many, self.count)
        return self._own(torch.randint(0, below, shape, generator=self.generator), device)

    def uniform(self, how_many: int, device: torch.device) -> Tensor:
        """`how_many` numbers in [0, 1) for each image: float32 (how_many, N)."""
        return self._own(torch.rand(how_many, self.count, generator=self.generator), device)

    def _own(self, numbers: Tensor, device: torch.device) -> Tensor:
        return to_device(numbers if self.rows is None else numbers[:, self.rows], device)


def to_device(numbers: Tensor, device: torch.device) -> Tensor:
    """Copy a small CPU tensor to `device`; on CUDA without a wait, which needs pinned memory."""
    if device.type == "cuda":
        return numbers.pin_memory().to(device, non_blocking=True)
    return numbers.to(device)
