"""The effective receptive field: how much each input pixel changes one position of a layer.

Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in Deep Convolutional
Neural Networks" (NIPS 2016), section 3: the gradient of the middle output position with respect to
the input. It is taken here by its size, summed over the input's channels, and averaged over passes
with different random inputs and, where asked, weights. The position's channels are summed with
random signs: behind a layer normalisation their plain sum is a constant.

With weights drawn anew, every weight of a convolution or a linear layer is normal with variance
2 / fan-in (He et al. 2015), biases are zero and scales one; a normalisation keeps the statistics
that the network holds, which do nothing in a new one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

from cnnviz.anatomy.clone import meta_clone
from cnnviz.anatomy.inputs import check_input_size
from cnnviz.anatomy.modes import evaluating
from cnnviz.anatomy.operators.known import bind
from cnnviz.anatomy.operators.ledger import INPUT, Ledger
from cnnviz.anatomy.operators.meta_norm import QuickNorms
from cnnviz.anatomy.operators.propagation import propagate
from cnnviz.anatomy.operators.receptive_field import Field, Window
from cnnviz.anatomy.operators.recorder import Call, OperatorRecorder, tensors_in
from cnnviz.anatomy.result import Layer
from cnnviz.anatomy.tracing import trace
from cnnviz.errors import CnnvizError

_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Box:
    """A rectangle of input pixels; it may reach beyond the image."""

    top: int
    left: int
    height: int
    width: int

    def clip(self, height: int, width: int) -> Box:
        """Return the part within an image of `height` × `width` pixels."""
        top, left = max(self.top, 0), max(self.left, 0)
        bottom = min(self.top + self.height, height)
        right = min(self.left + self.width, width)
        return Box(top, left, max(bottom - top, 0), max(right - left, 0))


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """What the middle position of a layer sees.

    Attributes:
        layer: path of the layer.
        position: row and column of the middle output position, from 0.
        box: the theoretical field of that position, beyond the border included.
        density: (height, width) of the input, float64: each pixel's share of the gradient. Sums
            to 1, or to 0 where no gradient arrives.
        draws: passes that were averaged.
        redrawn: whether each pass had new random weights.

    """

    layer: str
    position: tuple[int, int]
    box: Box
    density: NDArray[np.float64]
    draws: int
    redrawn: bool

    def core(self, fraction: float = 0.5) -> Box | None:
        """Return the smallest square around the box's middle that holds `fraction` of the gradient.

        None where no gradient arrives. Like `box`, it may reach beyond the image.
        """
        if not self.density.any():
            return None
        middle = [
            self.box.top + (self.box.height - 1) / 2,
            self.box.left + (self.box.width - 1) / 2,
        ]
        rows, columns = (np.arange(size) for size in self.density.shape)
        distance = np.maximum(abs(rows[:, None] - middle[0]), abs(columns - middle[1])).ravel()
        order = np.argsort(distance, kind="stable")
        held = np.cumsum(self.density.ravel()[order])
        reach = distance[order][min(int(np.searchsorted(held, fraction)), len(held) - 1)]
        side = int(2 * reach + 1)
        top, left = (math.ceil(centre - reach) for centre in middle)
        return Box(top, left, side, side)


def effective_field(
    model: nn.Module,
    input_size: Sequence[int],
    layer: str | Layer,
    *,
    draws: int = 8,
    images: torch.Tensor | None = None,
    redraw: bool = False,
    seed: int = 0,
) -> EffectiveField:
    """Measure what the middle position of `layer` sees, by autograd.

    Each pass has one image, of standard normal noise unless given, and stops at the layer. The
    network's weights, flags and hooks stay as they are; with `redraw` they are not even read, so
    its parameters (not its buffers) may be on the meta device.

    Args:
        model: any network that takes a batch of images.
        input_size: (channels, height, width).
        layer: a layer of the network's trace with a receptive field, or its path.
        draws: passes, at least 1.
        images: (N, C, H, W) as the network reads them: a pass for each of them, instead of noise.
        redraw: new random weights for each pass, as the module's text says.
        seed: of all that is random.

    Raises:
        CnnvizError: if there is no such layer, its positions have no window on the input, the
            images have another size, or the network takes another path than in its trace.

    """
    size = check_input_size(input_size)
    draws = _passes(draws, images, size)
    if isinstance(layer, str):
        layer = _find(model, size, layer)
    view = _view(model, size, layer)
    tensor = next(model.parameters(), torch.empty(0))
    if tensor.is_meta and not redraw:
        raise CnnvizError("A network without weights needs redraw=True: random ones for each pass.")
    device = torch.device("cpu") if tensor.is_meta else tensor.device
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(size[1:], dtype=torch.float64)
    with evaluating(model):
        for index in range(draws):
            noise = torch.randn((1, *size), generator=generator)
            image = noise if images is None else images[index : index + 1]
            image = image.to(device, tensor.dtype)
            weights = _Weights(model, device, generator) if redraw else None
            total += _share(_gradient(model, image, layer, view, weights, generator))
    density = (total / total.sum().clamp_min(_TINY)).numpy()
    return EffectiveField(layer.path, view.position, view.box, density, draws, redraw)


def _passes(draws: int, images: torch.Tensor | None, size: tuple[int, int, int]) -> int:
    """Return how many passes there will be: one for each of the images, where there are some."""
    if images is not None:
        if tuple(images.shape[1:]) != size:
            raise CnnvizError(f"The images must have the shape (N, {', '.join(map(str, size))}).")
        draws = len(images)
    if draws < 1:
        raise CnnvizError(f"The number of passes must be at least 1, not {draws}.")
    return draws


class LeaveWeights(TorchFunctionMode):
    """In this context parameters keep the memory they are given, without initial values.

    A network built so is made in milliseconds and, as its pages are never written, takes no
    memory for its weights; its buffers have their values. For `effective_field` with `redraw`.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Skip whatever writes into a parameter."""
        target = args[0] if args else (kwargs or {}).get("tensor")
        if (
            isinstance(target, nn.Parameter)
            and func.__name__.endswith("_")
            and (not func.__name__.startswith("__") and func.__name__ != "requires_grad_")
        ):
            return target
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class _View:
    """Where the middle position stands in the layer's output, and what it sees."""

    dimensions: tuple[int, int]
    position: tuple[int, int]
    box: Box


class _ReachedError(Exception):
    """Ends a pass at the layer that was asked for."""

    def __init__(self, output: torch.Tensor, state: Field | None = None) -> None:
        super().__init__()
        self.output = output
        self.state = state


def _find(model: nn.Module, size: tuple[int, int, int], path: str) -> Layer:
    try:
        return trace(model, size).layer(path)
    except KeyError:
        raise CnnvizError(
            f"{type(model).__name__} has no layer {path!r}: take a path of its trace."
        ) from None


def _view(model: nn.Module, size: tuple[int, int, int], layer: Layer) -> _View:
    if layer.receptive_field is None:
        raise CnnvizError(
            f"A position of {layer.path} has no window on the picture ({layer.note}): choose a "
            "layer before it."
        )
    with torch.inference_mode(False), torch.device("meta"), torch.no_grad(), QuickNorms():
        twin = meta_clone(model).eval()
        dtypes = (p.dtype for p in twin.parameters() if p.is_floating_point())
        image = torch.zeros((1, *size), dtype=next(dtypes, torch.float32))
        reached = _run(_Windows(twin, image, layer), twin, image, layer)
    windows = reached.state.reaches if reached.state else ()
    axes = reached.state.axes if reached.state else ()
    spans, dimensions, position = [], [], []
    for axis, window in enumerate(windows):
        assert isinstance(window, Window)  # noqa: S101 - else there were no receptive field
        dimension = axes.index(axis)
        index = reached.output.shape[dimension] // 2
        low = math.floor(window.low + index * window.jump)
        spans.append((low, math.ceil(window.high + index * window.jump) - low + 1))
        dimensions.append(dimension)
        position.append(index)
    (top, height), (left, width) = spans
    return _View(
        (dimensions[0], dimensions[1]), (position[0], position[1]), Box(top, left, height, width)
    )


class _Windows(OperatorRecorder):
    """Follows the receptive field to a layer, on the meta device."""

    def __init__(self, model: nn.Module, image: torch.Tensor, layer: Layer) -> None:
        super().__init__(model)
        self._layer = layer
        self._ledger = Ledger()
        self._ledger.record(image, INPUT, Field.of_input())
        self._versions: list[tuple[torch.Tensor, int]] = []

    def execute(self, op: str, run: Callable[[], Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401, ARG002
        self._versions = [(tensor, tensor._version) for tensor in tensors_in((args, kwargs))]
        return run()

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401
        with torch._C.DisableTorchFunction():
            outputs = [args[0]] if call.op == "setitem" else list(tensors_in(output))
            states = propagate(bind(call.op, args, kwargs, output), outputs, self._ledger.state)
            for tensor, state in zip(outputs, states, strict=True):
                self._ledger.record(tensor, call.index, state)
            for tensor, version in self._versions:
                if tensor._version != version:
                    self._ledger.overwrite(tensor, call.index, self._ledger.state(tensor))
            if call.index == self._layer.index:
                raise _ReachedError(outputs[0], states[0])
        return output


class _Weights:
    """Random weights for a pass, each drawn when it is first read."""

    def __init__(self, model: nn.Module, device: torch.device, generator: torch.Generator) -> None:
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._device, self._generator = device, generator
        self._drawn: dict[int, torch.Tensor] = {}

    def replace(self, value: Any) -> Any:  # noqa: ANN401
        """Return `value` with a random tensor for each parameter in it."""
        if isinstance(value, torch.Tensor):
            return self._draw(value) if id(value) in self._names else value
        if type(value) in (tuple, list):
            return type(value)(self.replace(item) for item in value)
        if isinstance(value, dict):
            return {key: self.replace(item) for key, item in value.items()}
        return value

    def _draw(self, parameter: torch.Tensor) -> torch.Tensor:
        key = id(parameter)
        if key not in self._drawn:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                shape, fan_in = tuple(parameter.shape), math.prod(parameter.shape[1:])
                if len(shape) > 1 and fan_in > 1:
                    drawn = torch.randn(shape, generator=self._generator)
                    drawn *= math.sqrt(2 / fan_in)
                elif self._names[key].endswith("bias"):
                    drawn = torch.zeros(shape)
                else:
                    drawn = torch.ones(shape)
                self._drawn[key] = drawn.to(self._device, parameter.dtype)
        return self._drawn[key]


class _Until(OperatorRecorder):
    """Stops a pass at a layer; computes with other weights where it is given some."""

    def __init__(self, model: nn.Module, layer: Layer, weights: _Weights | None) -> None:
        super().__init__(model)
        self._layer, self._weights = layer, weights

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if self._weights is not None:
            args, kwargs = self._weights.replace((tuple(args), kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401, ARG002
        if call.index == self._layer.index:
            raise _ReachedError(args[0] if call.op == "setitem" else next(tensors_in(output)))
        return output


def _run(
    recorder: OperatorRecorder, model: nn.Module, image: torch.Tensor, layer: Layer
) -> _ReachedError:
    try:
        with recorder:
            model(image)
    except _ReachedError as reached:
        call = recorder.calls[-1]
        if (call.module, call.op) == (layer.module, layer.op):
            return reached
    raise CnnvizError(
        f"{type(model).__name__} takes another path in this pass than in its trace, so that "
        f"{layer.path} was not reached: choose an earlier layer."
    )


def _gradient(
    model: nn.Module,
    image: torch.Tensor,
    layer: Layer,
    view: _View,
    weights: _Weights | None,
    generator: torch.Generator,
) -> torch.Tensor:
    """Gradient of the middle position with respect to the input, (1, C, H, W)."""
    # Copies are kept for the way back: networks write in place into what it needs.
    copies = torch.autograd.graph.saved_tensors_hooks(_copy, _same)
    with torch.inference_mode(False), torch.enable_grad(), copies:
        leaf = image.clone().requires_grad_()
        # A copy goes in: a network may write into its input, and into a leaf it must not.
        output = _run(_Until(model, layer, weights), model, leaf * 1, layer).output
        for dimension, index in zip(view.dimensions, view.position, strict=True):
            output = output.narrow(dimension, index, 1)
        signs = 2 * torch.randint(0, 2, output.shape, generator=generator) - 1
        seen = (output * signs.to(output.device, output.dtype)).sum()
        (gradient,) = torch.autograd.grad(seen, leaf, allow_unused=True)
    return torch.zeros_like(image) if gradient is None else gradient


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _share(gradient: torch.Tensor) -> torch.Tensor:
    """Each pixel's share of a gradient (1, C, H, W), on the CPU: (H, W), sums to 1 or 0."""
    size = gradient[0].abs().sum(0).double().cpu()
    return size / size.sum().clamp_min(_TINY)
