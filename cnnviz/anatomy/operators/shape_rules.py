"""Receptive fields through operators that only rearrange: views, permutations, slices, splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from cnnviz.anatomy.operators.known import Operation, words
from cnnviz.anatomy.operators.receptive_field import UNALIGNED, Field, Window, merge, reshape

SPLITS = words("chunk split split_with_sizes tensor_split unbind")
"""Operators that cut a tensor into several along one dimension."""


def split(operation: Operation, field: Field, outputs: Sequence[torch.Tensor]) -> Sequence[Field]:
    """State of each piece; a piece of a spatial dimension starts further on in the input."""
    rank = operation.input.dim()
    dim = int(operation.arguments.get("dim", 0)) % rank
    if operation.op == "unbind":
        axes = [axis for d, axis in enumerate(field.axes) if d != dim]
        return [field.arrange(axes, UNALIGNED)] * len(outputs)
    pieces, start = [], 0
    for output in outputs:
        pieces.append(_cut(field, dim, start, 1))
        start += output.shape[dim]
    return pieces


def _cut(field: Field, dimension: int, start: int, step: int) -> Field:
    """State of every `step`-th position from `start` on."""
    axis = field.axes[dimension]
    reach = None if axis is None else field.reaches[axis]
    if axis is None or not isinstance(reach, Window):
        return field
    return field.with_reach(axis, reach.slide(1, step, 0).shift(start, reach.jump))


def _reshape(operation: Operation, field: Field) -> Field:
    return reshape(field, operation.input.shape, operation.output.shape)


def _permute(operation: Operation, field: Field) -> Field:
    """Find where each dimension went by asking a tensor whose dimensions all differ in size."""
    if operation.op in ("T", "mT", "H", "mH", "t", "adjoint"):
        order = list(range(len(field.axes)))
        order = order[::-1] if operation.op in ("T", "H", "t") else [*order[:-2], *order[:-3:-1]]
    else:
        probe = torch.empty(tuple(range(2, 2 + len(field.axes))), device="meta")
        rest = [value for name, value in operation.arguments.items() if name != "input"]
        method: Callable[..., torch.Tensor] = getattr(probe, operation.op)
        order = [size - 2 for size in method(*rest).shape]
    return field.arrange([field.axes[d] for d in order])


def _getitem(operation: Operation, field: Field) -> Field:
    return take(field, operation.input.shape, operation.arguments["index"], operation.output.dim())


def _narrow(operation: Operation, field: Field) -> Field:
    dim = int(operation.arguments["dim"]) % len(field.axes)
    return _cut(field, dim, int(operation.arguments["start"]), 1)


def _select(operation: Operation, field: Field) -> Field:
    dim = int(operation.arguments["dim"]) % len(field.axes)
    return field.arrange([a for d, a in enumerate(field.axes) if d != dim], UNALIGNED)


def _index_select(operation: Operation, field: Field) -> Field:
    """Channels may be picked in any order; positions picked so leave the grid."""
    axis = field.axes[int(operation.arguments["dim"]) % len(field.axes)]
    return field if axis is None else field.spoil([axis], UNALIGNED)


def take(field: Field, shape: Sequence[int], index: Any, rank: int) -> Field:  # noqa: ANN401
    """State of ``tensor[index]``, a tensor of `rank` dimensions."""
    items = list(index) if isinstance(index, tuple) else [index]
    consumed = sum(item is not None and item is not Ellipsis for item in items)
    if any(item is Ellipsis for item in items):
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(shape) - consumed)
    else:
        items += [slice(None)] * (len(shape) - consumed)
    axes: list[int | None] = []
    dimension = 0
    for item in items:
        if item is None:
            axes.append(None)
            continue
        if isinstance(item, slice):
            start, _, step = item.indices(shape[dimension])
            field = _cut(field, dimension, start, step)
            axes.append(field.axes[dimension])
        elif not isinstance(item, int):
            axes.append(None)  # an index tensor picks positions in any order
        dimension += 1
    if len(axes) != rank:  # index tensors of other ranks move dimensions about
        axes = [None] * rank
    return field.arrange(axes, UNALIGNED)


def _expand(operation: Operation, field: Field) -> Field:
    whole: tuple[Field | None, tuple[int, ...]] = (None, tuple(operation.output.shape))
    merged = merge([(field, tuple(operation.input.shape)), whole], operation.output.dim())
    return field if merged is None else merged


def _rearrange(operation: Operation, field: Field) -> Field:
    """Roll, flip or repeat: along a spatial dimension that leaves the grid."""
    named = operation.arguments.get("dims")
    if operation.op in ("roll", "flip") and named is not None:
        dims = named if isinstance(named, (tuple, list)) else (named,)
        touched = {int(d) % len(field.axes) for d in dims}
    elif operation.op in ("repeat", "tile") and operation.output.dim() == len(field.axes):
        touched = {
            d for d, size in enumerate(operation.input.shape) if size != operation.output.shape[d]
        }
    else:
        return Field((None,) * operation.output.dim(), field.reaches).spoil(
            range(len(field.reaches)), UNALIGNED
        )
    axes = [field.axes[d] for d in sorted(touched)]
    return field.spoil([axis for axis in axes if axis is not None], UNALIGNED)


def _table() -> dict[str, Callable[[Operation, Field], Field]]:
    rules: dict[str, Callable[[Operation, Field], Field]] = {}
    for ops, rule in (
        (
            "view reshape flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ view_as "
            "reshape_as ravel",
            _reshape,
        ),
        (
            "permute transpose transpose_ swapaxes swapdims movedim moveaxis t T mT H mH adjoint",
            _permute,
        ),
        ("expand expand_as broadcast_to", _expand),
        ("roll flip repeat tile", _rearrange),
    ):
        rules |= dict.fromkeys(words(ops), rule)
    return rules | {
        "getitem": _getitem,
        "narrow": _narrow,
        "select": _select,
        "index_select": _index_select,
    }


RULES = _table()
