"""Batch and layer normalisation on the meta device without the arithmetic.

PyTorch decomposes a norm on meta tensors into some twenty operators written in Python, which takes
most of the time of a pass over a ResNet, and a third of one over a ConvNeXt. The shapes, and what
autograd keeps, are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

_BATCH = ("input", "running_mean", "running_var", "weight", "bias", "training")
_LAYER = ("input", "normalized_shape", "weight", "bias")


class _Normalised(torch.autograd.Function):
    """Keeps what the native operator keeps: its input, a mean and a deviation of each group."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        data: torch.Tensor,
        weight: torch.Tensor | None,  # noqa: ARG004 - an input, so that the output needs a gradient
        groups: tuple[int, ...],
    ) -> torch.Tensor:
        precise = torch.promote_types(data.dtype, torch.float32)
        mean, deviation = (data.new_empty(groups, dtype=precise) for _ in range(2))
        ctx.save_for_backward(data, mean, deviation)
        return torch.empty_like(data)


class QuickNorms(TorchFunctionMode):
    """In this context a batch or layer norm of a meta tensor only makes its output.

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
        if func is F.batch_norm or func is F.layer_norm:
            names = _BATCH if func is F.batch_norm else _LAYER
            named = dict(zip(names, args, strict=False)) | kwargs
            with torch._C.DisableTorchFunction():
                groups = (_channels if func is F.batch_norm else _positions)(named)
                data = named["input"]
                if groups is not None:
                    keeps = func is F.layer_norm or bool(named.get("training"))
                    if keeps and torch.is_grad_enabled():
                        return _Normalised.apply(data, named.get("weight"), groups)
                    return torch.empty_like(data)
        return func(*args, **kwargs)


def _channels(named: dict[str, Any]) -> tuple[int, ...] | None:
    """Return how many groups of values a batch norm has; None where its arguments do not fit."""
    data: torch.Tensor = named["input"]
    if not data.is_meta or data.dim() < 2 or data.numel() == 0:
        return None
    count = data.shape[1]
    if named.get("training") and data.numel() <= count:
        return None  # the statistics of one value are refused
    fits = all(_has_shape(named.get(name), (count,)) for name in _BATCH[1:5])
    return (count,) if fits else None


def _positions(named: dict[str, Any]) -> tuple[int, ...] | None:
    """Return the shape of a layer norm's groups of values; None where the arguments do not fit."""
    data: torch.Tensor = named["input"]
    shape = tuple(named.get("normalized_shape", ()))
    if not data.is_meta or not shape or data.numel() == 0:
        return None
    if tuple(data.shape[-len(shape) :]) != shape:
        return None
    fits = all(_has_shape(named.get(name), shape) for name in ("weight", "bias"))
    return (*data.shape[: -len(shape)], *(1 for _ in shape)) if fits else None


def _has_shape(tensor: torch.Tensor | None, shape: tuple[int, ...]) -> bool:
    return tensor is None or tuple(tensor.shape) == shape
