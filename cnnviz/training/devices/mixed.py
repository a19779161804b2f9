"""Mixed precision: which number format the operators of a training step compute in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from cnnviz.training.devices.choice import autocast_type


@contextlib.contextmanager
def mixed_precision(device: torch.device, precision: str, compiled: bool = False) -> Iterator[None]:
    """Let a forward pass compute in `precision` ("fp32", "bf16", "fp16") where that is safe.

    That is autocast, but for one operator: on a CPU, depthwise convolutions stay in fp32, since
    oneDNN's backward pass of them takes about twice the time in bf16. (Measured on one core with
    AMX, images/s in fp32, in bf16, and so: MobileNet 208, 149, 256; ConvNeXt 215, 223, 309.) A
    `compiled` network has its own kernels and is left alone.
    """
    if precision == "fp32":
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, autocast_type(precision)))
        if device.type == "cpu" and not compiled:
            stack.enter_context(_DepthwiseInFp32())
        yield


class _DepthwiseInFp32(TorchFunctionMode):
    """While it is entered, depthwise convolutions of this thread compute in fp32.

    Their outputs have the type of their inputs, so that what follows goes on in 16 bits.
    """

    def __torch_function__(
        self,
        function: Any,  # noqa: ANN401 - torch's types
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if function is torch.conv2d and _is_depthwise(*args, **(kwargs or {})):
            images, *others = args
            with torch.autocast("cpu", enabled=False):
                return function(images.float(), *others, **(kwargs or {})).to(images.dtype)
        return function(*args, **(kwargs or {}))


def _is_depthwise(
    images: torch.Tensor,
    weight: torch.Tensor,
    bias: Any = None,  # noqa: ANN401, ARG001
    stride: Any = 1,  # noqa: ANN401, ARG001
    padding: Any = 0,  # noqa: ANN401, ARG001
    dilation: Any = 1,  # noqa: ANN401, ARG001
    groups: int = 1,
) -> bool:
    """Whether these arguments of `conv2d` give each channel a filter of its own."""
    return groups > 1 and weight.shape[1] == 1 and images.shape[-3] == groups
