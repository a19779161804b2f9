"""Backward rules: what becomes of a signal on its way from a unit down to the pixels.

Three rules differ in what a ReLU does to the signal g that comes back to it, x being its input:

- ``gradient``: g · 1[x > 0], the true derivative (Simonyan et al. 2013, arXiv 1312.6034);
- ``deconvnet``: max(g, 0) (Zeiler & Fergus 2013, arXiv 1311.2901, section 2.1);
- ``guided``: max(g, 0) · 1[x > 0], both at once (Springenberg et al. 2014, arXiv 1412.6806).

All other operators keep their exact adjoints, which autograd has: a convolution is transposed with
its stride, padding and groups, a max-pool sends the signal through its switches (overlapping
windows add), a concatenation is sliced, a shortcut summed. Under the last two rules three
operators depart from their derivatives:

- local response normalisation passes the signal on unchanged, as Zeiler & Fergus did;
- extension: layer normalisation is treated as batch normalisation is in evaluation mode, with the
  statistics of each position held fixed, so that the signal is multiplied by γ/σ;
- extension: activations that are rectifiers in spirit (GELU, SiLU, ReLU6, sigmoid, …) get the
  ReLU's rule, with "output > 0" for "x > 0"; tanh passes the signal on unchanged.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from cnnviz.anatomy.recorder import operator_name
from cnnviz.architectures.layers import LocalResponseNorm
from cnnviz.errors import CnnvizError

Rule = Literal["deconvnet", "guided", "gradient"]

#: The backward rules by name, the paper's first.
RULES: tuple[Rule, ...] = get_args(Rule)

# Operators that rectify whatever their arguments are; the in-place form of each ends in _.
_RECTIFIERS = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus"),
    *("hardswish", "sigmoid", "hardsigmoid"),
}
_CALL_CODE = nn.Module._call_impl.__code__


def backward_rule(rule: Rule) -> AbstractContextManager[Any]:
    """Use `rule` in the backward pass of every network that runs forward inside the context.

    The forward pass gives bit-identical outputs, and no network is changed: the rule holds for the
    calls made inside the context, in this thread, and for them only; the backward pass itself may
    run outside. ReLUs are found in every form: modules (reused ones too), functions, methods,
    in place or not, clamps at zero. Parameters of rectifiers other than ReLU get no gradients.

    Args:
        rule: "deconvnet", "guided" or "gradient" (see the module for what they mean).

    Raises:
        CnnvizError: if there is no such rule.

    """
    if rule not in RULES:
        raise CnnvizError(f"There is no backward rule {rule!r}: choose {_one_of(RULES)}.")
    return contextlib.nullcontext() if rule == "gradient" else _RuleMode(rule)


def _one_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


class _RuleMode(TorchFunctionMode):
    """Replaces activations and normalisations by functions with the wanted backward pass."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run `func`, which computes what it always does, and decide what its backward does."""
        kwargs = dict(kwargs or {})
        name = operator_name(func)
        op = name.removesuffix("_")
        if op not in _SWAPPED:
            return func(*args, **kwargs)
        if not args and "input" in kwargs:  # F.relu(input=x)
            args = (kwargs.pop("input"),)
        if not args or not isinstance(args[0], Tensor):
            return func(*args, **kwargs)
        x, rest = args[0], args[1:]

        def call(tensor: Tensor) -> Any:  # noqa: ANN401
            return func(tensor, *rest, **kwargs)

        if op == "layer_norm":
            return _FrozenLayerNorm.apply(x, *_layer_norm_arguments(*rest, **kwargs))
        in_place = name.endswith("_") or bool(kwargs.get("inplace"))
        passes = op in ("tanh", "local_response_norm")
        if passes or (op == "mul" and _normalises_responses(rest)):
            return _PassThrough.apply(x, call, in_place)
        if op in _RECTIFIERS or _clips_at_zero(op, rest, kwargs):
            return _Rectifier.apply(x, call, in_place, self._rule == "guided")
        return call(x)


_SWAPPED = _RECTIFIERS | {
    *("clamp", "clip", "clamp_min", "hardtanh", "threshold", "_threshold"),
    *("tanh", "local_response_norm", "layer_norm", "mul"),
}


def _clips_at_zero(op: str, rest: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a call is a ReLU or ReLU6 by another name: it sets what is below zero to zero."""
    if op in ("threshold", "_threshold"):  # F.threshold is called the latter
        numbers = [*rest, *(kwargs[k] for k in ("threshold", "value") if k in kwargs)]
        return numbers[:2] == [0, 0]
    low = kwargs.get("min_val" if op == "hardtanh" else "min", rest[0] if rest else None)
    return isinstance(low, int | float) and low == 0


def _layer_norm_arguments(
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,  # noqa: ANN401 - whether cuDNN may be used
    **__: Any,  # noqa: ANN401
) -> tuple[Sequence[int], Tensor | None, Tensor | None, float]:
    return normalized_shape, weight, bias, eps


def _normalises_responses(rest: Sequence[Any]) -> bool:
    """Whether a product is the one in our `LocalResponseNorm`, x · (k + α Σ x²)^-β."""
    of_tensors = len(rest) == 1 and isinstance(rest[0], Tensor)
    return of_tensors and isinstance(_calling_module(), LocalResponseNorm)


def _calling_module() -> nn.Module | None:
    """Return the innermost module whose forward is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _CALL_CODE:
            module: nn.Module = frame.f_locals["self"]
            return module
        frame = frame.f_back
    return None


class _Rectifier(torch.autograd.Function):
    """`call(x)` whose backward keeps the positive part of the signal, guided or not."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        call: Callable[[Tensor], Tensor],
        in_place: bool,
        guided: bool,
    ) -> Tensor:
        output = call(x)
        if in_place:
            ctx.mark_dirty(x)
        ctx.guided = guided
        if guided:
            ctx.save_for_backward(output > 0)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> Any:  # noqa: ANN401
        with torch._C.DisableTorchFunction():  # in the context, this clamp would be a ReLU
            positive = signal.clamp(min=0)
            if ctx.guided:
                positive = positive * ctx.saved_tensors[0]
        return positive, None, None, None


class _PassThrough(torch.autograd.Function):
    """`call(x)` whose backward hands the signal on as it is."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        call: Callable[[Tensor], Tensor],
        in_place: bool,
    ) -> Tensor:
        output = call(x)
        if in_place:
            ctx.mark_dirty(x)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> Any:  # noqa: ANN401, ARG004
        return signal, None, None


class _FrozenLayerNorm(torch.autograd.Function):
    """Layer normalisation whose backward holds mean and deviation fixed."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        shape: Sequence[int],
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        output, _, inverse_deviation = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(inverse_deviation, weight)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> Any:  # noqa: ANN401
        inverse_deviation, weight = ctx.saved_tensors
        with torch._C.DisableTorchFunction():
            scaled = signal * inverse_deviation
            if weight is not None:
                scaled = scaled * weight
        return scaled.to(signal.dtype), None, None, None, None
