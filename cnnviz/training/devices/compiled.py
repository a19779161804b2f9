"""`torch.compile` as an option that cannot end a run: where it fails, training goes on without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.training.devices.choice import is_out_of_memory

Result = TypeVar("Result")
Call = Callable[..., Any]


class CompiledNetwork:
    """Calls a network compiled, until the compiler fails; then as it is.

    Networks are compiled when first called, and would be again for each new shape of their input:
    that takes longer than a small last batch saves, so give it inputs of one shape alone. `notice`
    says why if compiling failed.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.notice = ""
        self._proved = False
        self._call: Call = network
        try:
            self._call = torch.compile(network, dynamic=False)
        except Exception as error:  # noqa: BLE001 - whatever the compiler finds wrong
            self._give_up(error)

    def run(self, step: Callable[[Call], Result]) -> Result:
        """Return `step(call)`, where `call` is how to call the network: itself if uncompiled.

        Where compiling fails, `step` is done once more, uncompiled: it must begin by clearing
        gradients and seeding what it draws. Buffers are put back, so that nothing counts twice.
        """
        if self.notice or self._proved:
            return step(self._call)
        buffers = [(buffer, buffer.clone()) for buffer in self.network.buffers()]
        try:
            result = step(self._call)
        except CnnvizError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._give_up(error)
        else:
            self._proved = True
            return result
        for buffer, kept in buffers:
            buffer.copy_(kept)
        return step(self._call)

    def _give_up(self, error: Exception) -> None:
        self._call = self.network
        first = str(error).strip().split("\n")[0][:200] or type(error).__name__
        self.notice = f"torch.compile failed, so training goes on without it: {first}"
