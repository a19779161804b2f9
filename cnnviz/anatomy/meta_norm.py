"""Batch normalisation on the meta device without the arithmetic.

PyTorch decomposes a batch norm on meta tensors into some twenty operators written in Python, which
takes most of the time of a pass over a ResNet. The shapes, and what autograd keeps, are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

_NAMES = ("input", "running_mean", "running_var", "weight", "bias", "training")


class _Normalised(torch.autograd.Function):
    """Keeps what the native operator keeps: its input, and a mean and a deviation per channel."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        data: torch.Tensor,
        weight: torch.Tensor | None,  # noqa: ARG004 - an input, so that the output needs a gradient
    ) -> torch.Tensor:
        precise = torch.promote_types(data.dtype, torch.float32)
        mean, deviation = (data.new_empty(data.shape[1], dtype=precise) for _ in range(2))
        ctx.save_for_backward(data, mean, deviation)
        return torch.empty_like(data)


class QuickNorms(TorchFunctionMode):
    """In this context a batch norm of a meta tensor only makes its output.

    A call whose arguments do not fit goes to PyTorch, for its error message.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        if func is F.batch_norm:
            named = dict(zip(_NAMES, args, strict=False)) | kwargs
            data, training = named["input"], bool(named.get("training"))
            channels = [named.get(name) for name in _NAMES[1:5]]
            with torch._C.DisableTorchFunction():
                if _fits(data, channels, training):
                    if training and torch.is_grad_enabled():
                        return _Normalised.apply(data, named.get("weight"))
                    return torch.empty_like(data)
        return func(*args, **kwargs)


def _fits(data: torch.Tensor, channels: Sequence[torch.Tensor | None], training: bool) -> bool:
    if not data.is_meta or data.dim() < 2 or data.numel() == 0:
        return False
    count = data.shape[1]
    several = not training or data.numel() > count  # the statistics of one value are refused
    return several and all(tensor is None or tensor.shape == (count,) for tensor in channels)
