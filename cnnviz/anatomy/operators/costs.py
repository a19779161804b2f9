"""What each operator costs: multiply–accumulates, bias additions and other arithmetic.

MACs are those of contractions only: convolutions, linear layers and matrix products, without
biases, as in the tables of most papers; a bilinear layer takes one for each weight and output
position. Everything else is counted apart as `other_ops`, for each
output element unless said otherwise: 1 for an element-wise operator or activation; the window's
size for a pool (the input's elements for an adaptive pool or a mean); 2 for a batch norm in
inference (scale and shift); 5 for layer, group and instance norms (sum, centre, square, sum,
divide) and 2 more for their scale and shift; n + 4 for local response norm over n channels; 5 for
a softmax. Moving data costs nothing. What an operator costs that is not listed is found by
watching the ATen operators that it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cnnviz.anatomy.operators.known import COMPOSITE, KIND, Operation, words

# ATen operators without multiply–accumulates that are neither views nor tagged as pointwise.
_FREE = words(
    "cat stack clone copy_ _to_copy _unsafe_view sum mean amax amin max min argmax argmin "
    "_softmax _log_softmax _safe_softmax native_layer_norm native_group_norm native_batch_norm "
    "_native_batch_norm_legit_no_training cudnn_batch_norm max_pool2d_with_indices avg_pool2d "
    "_adaptive_avg_pool2d constant_pad_nd embedding index index_select gather arange zeros ones "
    "full empty new_zeros new_empty zeros_like ones_like empty_like full_like new_full new_ones "
    "scalar_tensor _fused_sdp_choice split_with_sizes_copy roll flip repeat fill_ zero_ "
    "masked_fill_ lift_fresh lift detach tril triu eye index_put_ _reshape_alias "
    "upsample_nearest2d upsample_bilinear2d squeeze_ unsqueeze_ transpose_ set_ unsafe_split "
    "unsafe_chunk unfold pixel_shuffle pixel_unshuffle argsort sort topk var std var_mean any all "
    "channel_shuffle native_channel_shuffle reflection_pad2d replication_pad2d"
)


@dataclass(frozen=True)
class Cost:
    """Arithmetic of one call; `macs` is None where it is not known."""

    macs: int | None
    bias_adds: int = 0
    other_ops: int = 0


def needs_counter(op: str) -> bool:
    """Whether the MACs of `op` are counted by an `AtenCounter` around its execution."""
    return op in COMPOSITE or op not in KIND


def cost_of(operation: Operation, counted: AtenCounter | None) -> Cost:
    """Cost of a call; `counted` is what was seen inside where `needs_counter` says so."""
    if counted is not None:
        return Cost(counted.macs, other_ops=counted.other_ops)
    kind = KIND[operation.op]
    if kind in ("conv", "linear"):
        return _weighted(operation)
    if kind == "matmul":
        return _product(operation)
    return Cost(0, other_ops=_other_ops(operation, kind))


def _weighted(operation: Operation) -> Cost:
    weight, output = operation.weight, operation.output
    biased = operation.arguments.get("bias") is not None
    # A transposed convolution spreads each input position, the others gather for each output.
    positions = operation.input if "transpose" in operation.op else output
    macs = positions.numel() * math.prod(weight.shape[1:])
    return Cost(macs, bias_adds=output.numel() if biased else 0)


def _product(operation: Operation) -> Cost:
    left = operation.arguments["input"]
    output = operation.output
    macs = output.numel() * left.shape[-1]
    if operation.op == "addbmm":  # it also sums over the batch
        macs *= left.shape[0]
    return Cost(macs, bias_adds=output.numel() if operation.op.startswith(("add", "bad")) else 0)


def _other_ops(operation: Operation, kind: str) -> int:
    elements, op = operation.output.numel(), operation.op
    if kind == "norm":
        scaled = sum(operation.arguments.get(name) is not None for name in ("weight", "bias"))
        if op == "batch_norm":
            return 2 * elements
        if op == "local_response_norm":
            return elements * (int(operation.arguments["size"]) + 4)
        return elements * (5 + scaled)
    if kind == "pool":
        if "kernel_size" in operation.arguments:
            return elements * math.prod(window[0] for window in operation.window())
        return operation.input.numel()
    if op in ("softmax", "log_softmax", "softmin"):
        return 5 * elements
    return elements if kind in ("activation", "elementwise") or op == "interpolate" else 0


class AtenCounter(TorchDispatchMode):
    """Counts the contractions among the ATen operators that run in its context.

    `macs` is None once an operator ran of which nothing is known. A dispatch mode belongs to its
    thread, so counters do not disturb each other.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs: int | None = 0
        self.other_ops = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        formula: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        name = func._schema.name.split("::")[-1]
        builtin = func.namespace == "aten"
        if formula is not None:
            self._add(formula(*args, **kwargs, out_val=output) // 2)
        elif builtin and name in ("mv", "dot"):
            self._add(args[0].numel())
        elif builtin and torch.Tag.pointwise in func.tags:
            self.other_ops += output.numel() if isinstance(output, torch.Tensor) else 0
        elif not (builtin and (func.is_view or name in _FREE)):
            self.macs = None
        return output

    def _add(self, macs: int) -> None:
        if self.macs is not None:
            self.macs += macs
