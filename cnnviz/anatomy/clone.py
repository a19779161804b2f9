"""Structural copies of a network, so that tracing never touches the caller's own."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]
from torch.overrides import TorchFunctionMode

from cnnviz.errors import CnnvizError

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class TensorCopies(TorchFunctionMode):
    """In this context a deep copy of a plain tensor is what `make` makes of it."""

    def __init__(self, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._make = make

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run `func`, or make the copy that it was to make."""
        if func is not torch.Tensor.__deepcopy__:
            return func(*args, **(kwargs or {}))
        tensor, memo = args
        return memo.setdefault(id(tensor), self._make(tensor))


def meta_clone(model: nn.Module) -> nn.Module:
    """Copy the structure of `model` onto the meta device; no weight is read or copied.

    Tensors that the network shares stay shared. Hooks are left behind, as a pass of the copy must
    not run them, but for the ones of `torch.nn.utils` that compute weights.

    Raises:
        CnnvizError: if the network has uninitialised (lazy) parameters or cannot be copied.

    """
    return _clone(model, on_meta=True)


def real_clone(model: nn.Module) -> nn.Module:
    """Copy `model` with its weights, for a pass that needs values; hooks are left behind.

    Raises:
        CnnvizError: as `meta_clone`.

    """
    return _clone(model, on_meta=False)


def without_hooks(module: nn.Module, memo: dict[int, Any]) -> None:
    """Let a deep copy with `memo` leave the hooks of `module` behind.

    The ones of `torch.nn.utils` go along: they compute weights.
    """
    for name in _HOOKS:
        hooks = getattr(module, name, None)
        if hooks is not None:
            memo[id(hooks)] = OrderedDict(
                (key, hook)
                for key, hook in list(hooks.items())
                if type(hook).__module__.startswith("torch.nn.utils")
            )


def _clone(model: nn.Module, on_meta: bool) -> nn.Module:
    memo: dict[int, Any] = {}
    for module in list(model.modules()):
        without_hooks(module, memo)
        for parameter in module._parameters.values():
            if isinstance(parameter, UninitializedTensorMixin):
                raise CnnvizError(
                    f"{type(model).__name__} has lazy layers without a shape; run it once on a "
                    "batch of images before tracing it."
                )
            if on_meta and parameter is not None:
                memo[id(parameter)] = nn.Parameter(_meta(parameter), parameter.requires_grad)
    try:
        if on_meta:
            with TensorCopies(_meta):
                return copy.deepcopy(model, memo)
        return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise CnnvizError(
            f"{type(model).__name__} cannot be copied for tracing ({first_line(error)}); keep "
            "locks, files and generators out of the network's attributes."
        ) from error


def _meta(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
