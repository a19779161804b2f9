"""Backward rules: what becomes of a signal on its way from a unit down to the pixels.

Three rules differ in what a ReLU does to the signal g that comes back to it, x being its input:

- ``gradient``: g · 1[x > 0], the true derivative (Simonyan et al. 2013, arXiv 1312.6034);
- ``deconvnet``: max(g, 0) (Zeiler & Fergus 2013, arXiv 1311.2901, section 2.1);
- ``guided``: max(g, 0) · 1[x > 0], both at once (Springenberg et al. 2014, arXiv 1412.6806).

All other operators keep their exact adjoints, which autograd has: a convolution is transposed with
its stride, padding and groups, a max-pool sends the signal through its switches (overlapping
windows add), a concatenation is sliced, a shortcut summed. Under the last two rules three
kinds of operators depart from their derivatives:

- local response normalisation passes the signal on unchanged, as Zeiler & Fergus did; its true
  gradient is an option;
- extension: layer, group, instance and root-mean-square normalisation are treated as batch
  normalisation is in evaluation mode, with the statistics that they take from the image held fixed,
  so that the signal is multiplied by γ/σ;
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

from cnnviz.anatomy.operators.recorder import operator_name
from cnnviz.architectures.layers import LocalResponseNorm
from cnnviz.errors import CnnvizError

Rule = Literal["deconvnet", "guided", "gradient"]

#: The backward rules by name, the paper's first.
RULES: tuple[Rule, ...] = get_args(Rule)

LRN = Literal["identity", "gradient"]

#: What the backward pass of local response normalisation can be, the paper's first.
LRNS: tuple[LRN, ...] = get_args(LRN)

# Operators that rectify whatever their arguments are; the in-place form of each ends in _.
_RECTIFIERS = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus"),
    *("hardswish", "sigmoid", "hardsigmoid"),
}
_CALL_CODE = nn.Module._call_impl.__code__


def backward_rule(rule: Rule, lrn: LRN = "identity") -> AbstractContextManager[Any]:
    """Use `rule` in the backward pass of every network that runs forward inside the context.

    The forward pass gives bit-identical outputs, and no network is changed: the rule holds for the
    calls made inside the context, in this thread, and for them only; the backward pass itself may
    run outside. ReLUs are found in every form: modules (reused ones too), functions, methods,
    in place or not, clamps at zero. Parameters of rectifiers other than ReLU get no gradients.

    Args:
        rule: "deconvnet", "guided" or "gradient" (see the module for what they mean).
        lrn: what local response normalisation does to the signal under the first two: "identity",
            as Zeiler & Fergus did, or its true "gradient".

    Raises:
        CnnvizError: if there is no such rule or choice for `lrn`.

    """
    if rule not in RULES:
        raise CnnvizError(f"There is no backward rule {rule!r}: choose {_one_of(RULES)}.")
    if lrn not in LRNS:
        raise CnnvizError(f"Response normalisation has no rule {lrn!r}: choose {_one_of(LRNS)}.")
    return contextlib.nullcontext() if rule == "gradient" else _RuleMode(rule, lrn)


def _one_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


class _RuleMode(TorchFunctionMode):
    """Replaces activations and normalisations by functions with the wanted backward pass."""

    def __init__(self, rule: Rule, lrn: LRN) -> None:
        super().__init__()
        self._rule, self._lrn = rule, lrn

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

        if op in _FROZEN:
            with torch.no_grad(), torch._C.DisableTorchFunction():
                factors = _FROZEN[op](x, *rest, **kwargs)
            return call(x) if factors is None else _FrozenNorm.apply(x, call, *factors)
        in_place = name.endswith("_") or bool(kwargs.get("inplace"))
        normalises = op == "local_response_norm" or (op == "mul" and _normalises_responses(rest))
        if op == "tanh" or (normalises and self._lrn == "identity"):
            return _PassThrough.apply(x, call, in_place)
        if op in _RECTIFIERS or _clips_at_zero(op, rest, kwargs):
            return _Rectifier.apply(x, call, in_place, self._rule == "guided")
        return call(x)


_SWAPPED = _RECTIFIERS | {
    *("clamp", "clip", "clamp_min", "hardtanh", "threshold", "_threshold"),
    *("tanh", "local_response_norm", "mul"),
    *("layer_norm", "group_norm", "instance_norm", "rms_norm"),
}


def _clips_at_zero(op: str, rest: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a call is a ReLU or ReLU6 by another name: it sets what is below zero to zero."""
    if op in ("threshold", "_threshold"):  # F.threshold is called the latter
        numbers = [*rest, *(kwargs[k] for k in ("threshold", "value") if k in kwargs)]
        return numbers[:2] == [0, 0]
    low = kwargs.get("min_val" if op == "hardtanh" else "min", rest[0] if rest else None)
    return isinstance(low, int | float) and low == 0


def _of_layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,  # noqa: ANN401 - whether cuDNN may be used
    **__: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor | None]:
    """1/σ of each position, and γ."""
    return torch.native_layer_norm(x, normalized_shape, weight, bias, eps)[2], weight


def _of_group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,  # noqa: ARG001 - as PyTorch has it
    eps: float = 1e-5,
    *_: Any,  # noqa: ANN401
    **__: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor | None]:
    """1/σ of each image's groups, (N, C, 1, …), and γ."""
    spatial = (1,) * (x.dim() - 2)
    variance = x.reshape(len(x), num_groups, -1).var(2, correction=0)
    each = (variance + eps).rsqrt().repeat_interleave(x.shape[1] // num_groups, dim=1)
    return each.reshape(*x.shape[:2], *spatial), _channelwise(weight, spatial)


def _of_instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,  # noqa: ARG001 - as PyTorch has it
    running_var: Tensor | None = None,  # noqa: ARG001
    weight: Tensor | None = None,
    bias: Tensor | None = None,  # noqa: ARG001
    use_input_stats: bool = True,
    momentum: float = 0.1,  # noqa: ARG001
    eps: float = 1e-5,
    *_: Any,  # noqa: ANN401
    **__: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor | None] | None:
    """1/σ of each image's channels, and γ; None where running statistics make it linear."""
    if not use_input_stats:
        return None
    over = tuple(range(2, x.dim()))
    inverse = (x.var(over, correction=0, keepdim=True) + eps).rsqrt()
    return inverse, _channelwise(weight, (1,) * len(over))


def _of_rms_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    """1 over the root mean square of each position, and γ."""
    over = tuple(range(-len(normalized_shape), 0))
    floor = torch.finfo(x.dtype).eps if eps is None else eps
    return (x.square().mean(over, keepdim=True) + floor).rsqrt(), weight


def _channelwise(weight: Tensor | None, spatial: tuple[int, ...]) -> Tensor | None:
    return None if weight is None else weight.reshape(-1, *spatial)


#: What the signal is multiplied by, for normalisations by the image's own statistics.
_FROZEN: dict[str, Callable[..., tuple[Tensor, Tensor | None] | None]] = {
    "layer_norm": _of_layer_norm,
    "group_norm": _of_group_norm,
    "instance_norm": _of_instance_norm,
    "rms_norm": _of_rms_norm,
}


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


class _FrozenNorm(torch.autograd.Function):
    """`call(x)`, a normalisation, whose backward holds mean and deviation fixed."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        call: Callable[[Tensor], Tensor],
        inverse_deviation: Tensor,
        weight: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(inverse_deviation, weight)
        return call(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> Any:  # noqa: ANN401
        inverse_deviation, weight = ctx.saved_tensors
        with torch._C.DisableTorchFunction():
            scaled = signal * inverse_deviation
            if weight is not None:
                scaled = scaled * weight
        return scaled.to(signal.dtype), None, None, None
