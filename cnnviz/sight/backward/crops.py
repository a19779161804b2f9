"""Crops: a unit sees no more than its receptive field, so no more of the image need be computed.

A crop begins at a whole number of the layer's strides and reaches the image's border wherever the
field does. Inside the field every position then has the neighbours, and the padding, that it has in
the whole image, so that activations and signals are the same; what the crop's other borders spoil
lies outside of the field. That holds for operators that work the same at every position; a network
with any other is left whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.anatomy.operators.known import KIND, bind, words
from cnnviz.anatomy.operators.ledger import INPUT, Ledger
from cnnviz.anatomy.operators.propagation import propagate
from cnnviz.anatomy.operators.receptive_field import Field, Window
from cnnviz.anatomy.operators.recorder import Call, OperatorRecorder, tensors_in
from cnnviz.sight.backward.passes import Site, run_to

# Beside activations and element-wise operators: what looks the same from every position.
_EVEN = words(
    "conv2d batch_norm max_pool2d max_pool2d_with_indices avg_pool2d local_response_norm "
    "layer_norm linear permute cat concat contiguous clone detach dropout dropout_ dropout2d "
    "feature_dropout"
)


@dataclass(frozen=True, eq=False)
class Crop:
    """The crop that shows any one position of a layer.

    Attributes:
        size: height and width in pixels.
        image: height and width of the whole image.
        windows: what position (0, 0) of the layer sees along rows and along columns.
        maps: (1, units, h, w), the layer's output for the whole image that was looked at.

    """

    size: tuple[int, int]
    image: tuple[int, int]
    windows: tuple[Window, ...]
    maps: Tensor

    @property
    def share(self) -> float:
        """The part of the image's pixels that a crop has."""
        return math.prod(self.size) / math.prod(self.image)

    def cut(self, images: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut one crop around each of `positions` (R, 2) out of its image (R, C, H, W).

        Returns the crops (R, C, h, w), the positions in their maps, and the first pixels (R, 2).
        """
        starts, shifted = [], []
        for axis, window in enumerate(self.windows):
            jump, last = int(window.jump), self.image[axis] - self.size[axis]
            low = math.floor(window.low) + positions[:, axis] * jump
            start = torch.clamp(low.clamp(min=0) // jump * jump, max=last)
            starts.append(start)
            shifted.append(positions[:, axis] - start // jump)
        first = torch.stack(starts, dim=1)
        crops = images[self._where(first)].permute(0, 3, 1, 2).contiguous()
        return crops, torch.stack(shifted, dim=1), first

    def paste(self, crops: Tensor, first: Tensor) -> Tensor:
        """Return crops (R, C, h, w) in images of zeros (R, C, H, W)."""
        images = crops.new_zeros(*crops.shape[:2], *self.image)
        images[self._where(first)] = crops.permute(0, 2, 3, 1)
        return images

    def _where(self, first: Tensor) -> tuple[Tensor | slice, ...]:
        """Index of the crops' pixels, which puts the channels last."""
        rows, columns = (first[:, a, None] + torch.arange(self.size[a]) for a in (0, 1))
        number = torch.arange(len(first))[:, None, None]
        return number, slice(None), rows[:, :, None], columns[:, None, :]


def find_crop(twin: nn.Module, site: Site, image: Tensor) -> Crop | None:
    """Return the crop for the positions of `site` in images like `image` (1, C, H, W).

    None where they see the whole image or an operator before them is not even.
    """
    size = (int(image.shape[2]), int(image.shape[3]))
    found: list[tuple[Tensor, Field | None]] = []
    follower = _Follower(twin, image := image.clone(), size)
    with torch.no_grad(), follower:
        try:
            run_to(twin, [site], image, lambda _site, maps: found.append(follower.seen(maps)))
        except _UnevenError:
            return None
    ((maps, field),) = found
    windows = () if field is None else field.windows
    if len(windows) != 2 or any(window.jump.denominator != 1 for window in windows):
        return None
    sides = [_side(window, side) for window, side in zip(windows, size, strict=True)]
    crop = Crop((sides[0], sides[1]), size, windows, maps)
    return crop if crop.share < 1 else None


def _side(window: Window, side: int) -> int:
    """Pixels of a crop along one axis, which leave out a whole number of strides."""
    jump = int(window.jump)
    needed = math.ceil(window.high) - math.floor(window.low) + jump
    return side - max(side - needed, 0) // jump * jump


class _UnevenError(BaseException):
    """Ends the pass at an operator that does not look the same from every position."""


class _Follower(OperatorRecorder):
    """Follows the receptive field through a pass, and ends it where no crop can serve."""

    def __init__(self, model: nn.Module, image: Tensor, size: tuple[int, int]) -> None:
        super().__init__(model)
        self._size = size
        self._ledger = Ledger()
        self._ledger.record(image, INPUT, Field.of_input())
        self._last: tuple[Tensor, Field | None] = (image, Field.of_input())
        self._versions: list[tuple[Tensor, int]] = []

    def execute(self, op: str, run: Callable[[], Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401, ARG002
        self._versions = [(tensor, tensor._version) for tensor in tensors_in((args, kwargs))]
        return run()

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401
        with torch._C.DisableTorchFunction():
            outputs = list(tensors_in(output))
            states = propagate(bind(call.op, args, kwargs, output), outputs, self._ledger.state)
            if not self._is_even(call.op, states):
                raise _UnevenError
            for tensor, state in zip(outputs, states, strict=True):
                self._ledger.record(tensor, call.index, state)
            for tensor, version in self._versions:
                if tensor._version != version:
                    self._ledger.overwrite(tensor, call.index, self._ledger.state(tensor))
            self._last = outputs[0], states[0]
        return output

    def seen(self, maps: Tensor) -> tuple[Tensor, Field | None]:
        """Return maps and their state; of a view in another layout it is that of what it views."""
        output, last = self._last
        state = self._ledger.state(maps)
        if state is None and output.data_ptr() == maps.data_ptr() and output.shape != maps.shape:
            state = last
        return maps.clone(), state

    def _is_even(self, op: str, states: list[Field | None]) -> bool:
        """Whether the operator serves crops: it is even, and its constants are, and windows fit."""
        if op not in _EVEN and KIND.get(op) not in ("activation", "elementwise"):
            return False
        if states[0] is None:  # made of constants
            return True
        windows = states[0].windows
        if not windows or all(w.size() >= s for w, s in zip(windows, self._size, strict=True)):
            return False
        if KIND.get(op) not in ("activation", "elementwise"):
            return True  # weights of convolutions and normalisations have no positions
        axes = states[0].axes
        return all(
            size == 1 or axes[dimension] is None
            for tensor, _ in self._versions
            if self._ledger.state(tensor) is None
            for dimension, size in enumerate(tensor.shape, start=len(axes) - tensor.dim())
        )
