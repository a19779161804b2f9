"""How each operator changes the receptive field: the rules for `cnnviz.anatomy.receptive_field`.

A rule takes the operation and the state of each tensor (None for constants) and gives the state
of every output. An operator without a rule gives "unknown", never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch

from cnnviz.anatomy.operators import KIND, Operation
from cnnviz.anatomy.receptive_field import (
    UNALIGNED,
    UNKNOWN,
    WHOLE,
    Field,
    Window,
    merge,
    reshape,
)
from cnnviz.anatomy.recorder import tensors_in

States = Callable[[torch.Tensor], Field | None]

_SAME = frozenset(
    "contiguous clone detach data to type float half double bfloat16 cpu cuda type_as alias real "
    "dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout "
    "feature_dropout prelu batch_norm local_response_norm tril triu".split()
)
_RESHAPES = frozenset(
    "view reshape flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ view_as reshape_as "
    "ravel".split()
)
_PERMUTES = frozenset(
    "permute transpose transpose_ swapaxes swapdims movedim moveaxis t T mT H mH adjoint".split()
)
_REDUCTIONS = frozenset("mean sum amax amin max min std var argmax argmin norm".split())
_OVER_DIM = frozenset("softmax log_softmax softmin normalize cumsum".split())
_PRODUCTS = frozenset("matmul mm bmm mv addmm baddbmm addmv".split())


def propagate(operation: Operation, outputs: Sequence[torch.Tensor], states: States) -> list[Field | None]:
    """State of every output of a call, from the states of the tensors that it reads."""
    arguments = list(tensors_in(operation.arguments))
    known = [(states(tensor), tensor.shape) for tensor in arguments]
    if all(state is None for state, _ in known):
        return [None] * len(outputs)
    op, kind = operation.op, KIND.get(operation.op)
    rule = _RULES.get(op) or _RULES.get(kind or "")
    if rule is not None:
        return rule(operation, outputs, states)
    return [_unknown(known, output) for output in outputs]


def _unknown(known: Sequence[tuple[Field | None, Sequence[int]]], output: torch.Tensor) -> Field:
    return _everywhere(known, output, UNKNOWN)


def _everywhere(
    known: Sequence[tuple[Field | None, Sequence[int]]], output: torch.Tensor, reason: str
) -> Field:
    count = next(len(state.reaches) for state, _ in known if state is not None)
    reaches = {r for state, _ in known if state for r in state.reaches if r == UNKNOWN}
    return Field((None,) * output.dim(), (UNKNOWN if reaches else reason,) * count)
