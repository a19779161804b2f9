"""How long one image takes on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

from cnnviz.anatomy.inputs import check_input_size
from cnnviz.errors import CnnvizError

WARM_UP = 3
"""Passes that are not measured: they load kernels and fill caches."""


def measure_latency(model: nn.Module, input_size: Sequence[int], repeats: int = 20) -> float:
    """Median time in milliseconds of a forward pass of one image.

    The network runs in evaluation mode on its own device, with the device's queue empty before
    and after each pass; its training flags are as before afterwards.

    Args:
        model: the network, with its weights on a real device.
        input_size: (channels, height, width).
        repeats: measured passes, at least 1, after `WARM_UP` others.

    Raises:
        CnnvizError: if `input_size` or `repeats` is not usable, or the weights are on "meta".

    """
    size = check_input_size(input_size)
    if repeats < 1:
        raise CnnvizError(f"The number of measured passes must be at least 1, not {repeats}.")
    tensor = next(model.parameters(), torch.empty(0))
    if tensor.is_meta:
        raise CnnvizError("A network without weights cannot be timed; build it on a real device.")
    image = torch.zeros((1, *size), dtype=tensor.dtype, device=tensor.device)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.inference_mode():
            times = [_time(model, image) for _ in range(WARM_UP + repeats)]
    finally:
        for module, training in modes:
            module.training = training
    return statistics.median(times[WARM_UP:])


def _time(model: nn.Module, image: torch.Tensor) -> float:
    _wait(image.device)
    start = time.perf_counter()
    model(image)
    _wait(image.device)
    return 1000 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
