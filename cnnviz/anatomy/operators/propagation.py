"""How operators change the receptive field, `cnnviz.anatomy.operators.receptive_field`.

A rule takes the call and the states of the tensors that it reads (None for constants) and gives
the state of each output. An operator without a rule gives "unknown", never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from operator import methodcaller

import torch

from cnnviz.anatomy.operators import shape_rules
from cnnviz.anatomy.operators.known import KIND, Operation, words
from cnnviz.anatomy.operators.receptive_field import UNALIGNED, UNKNOWN, WHOLE, Field, Window, merge
from cnnviz.anatomy.operators.recorder import tensors_in

States = Callable[[torch.Tensor], Field | None]
Rule = Callable[[Operation, Field], Field]
"""A rule for operators with one input that matters: (call, state of the input) -> state."""

_SAME = words(
    "dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout "
    "feature_dropout prelu local_response_norm contiguous clone detach data to type float half "
    "double bfloat16 cpu cuda type_as alias real imag channel_shuffle fill_ zero_"
)
_REDUCTIONS = words("mean sum amax amin std var max min argmax argmin norm")
_MIXES_ALL = words(
    "scaled_dot_product_attention multi_head_attention_forward bilinear lstm gru rnn_tanh "
    "rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell tensordot chain_matmul multi_dot "
    "inner addbmm dot vdot einsum"
)


def propagate(
    operation: Operation, outputs: Sequence[torch.Tensor], states: States
) -> list[Field | None]:
    """State of every output of a call, from the states of the tensors that it reads."""
    read = list(tensors_in(dict(operation.arguments)))
    known = [state for state in map(states, read) if state is not None]
    if not known:
        return [None] * len(outputs)
    try:
        return _apply(operation, outputs, states, read, known)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        # The arguments come in a form that the rule does not know, such as named dimensions.
        return [_everywhere(known, output, UNKNOWN) for output in outputs]


def _apply(
    operation: Operation,
    outputs: Sequence[torch.Tensor],
    states: States,
    read: Sequence[torch.Tensor],
    known: Sequence[Field],
) -> list[Field | None]:
    op = operation.op
    if op in shape_rules.SPLITS:
        state = states(operation.input)
        if state is not None:
            return list(shape_rules.split(operation, state, outputs))
    if op in ("cat", "concat", "concatenate", "stack"):
        return [_join(operation, read, states)]
    if op in ("setitem", "copy_"):
        return [_overwrite(operation, states)]
    if op == "einsum" and len(known) == 1:
        return [_einsum(operation, read, states)]
    if op in _PRODUCTS:
        return [_product(operation, states, known)]
    state, rule = states(operation.input), RULES.get(op)
    if rule is not None and state is not None and not (op in ("max", "min") and len(read) > 1):
        return [rule(replace(operation, output=output), state) for output in outputs]
    if KIND.get(op) in ("elementwise", "activation") or op in ("max", "min"):
        parts = [(states(tensor), tuple(tensor.shape)) for tensor in read]
        return [merge(parts, output.dim()) for output in outputs]
    reason = WHOLE if op in _MIXES_ALL else UNKNOWN
    return [_everywhere(known, output, reason) for output in outputs]


def _everywhere(known: Sequence[Field], output: torch.Tensor, reason: str) -> Field:
    """No window along any axis, for `reason` or an older, stronger one."""
    state = merge([(Field((), field.reaches), ()) for field in known], 0)
    assert state is not None  # noqa: S101 - `known` is never empty
    spoiled = state.spoil(range(len(state.reaches)), reason)
    return Field((None,) * output.dim(), spoiled.reaches)


def _convolution(operation: Operation, field: Field) -> Field:
    spatial = operation.dimensions
    axes: list[int | None] = [*field.axes[:-spatial]]
    axes[-1] = None  # channels are summed over
    field = field.arrange((*axes, *field.axes[-spatial:]))
    for dimension, (kernel, stride, padding, dilation) in _windows(operation):
        if "transpose" in operation.op:
            before = Fraction(padding - (kernel - 1) * dilation, stride)
            after = Fraction(padding, stride)
            field = _resample(field, dimension, before, after, Fraction(stride))
        else:
            field = _slide(field, dimension, kernel, stride, padding, dilation)
    return field


def _pool(operation: Operation, field: Field) -> Field:
    # An average of a whole map is global pooling; VGG's last max-pool halves 2 × 2 like any map.
    averages = operation.op.startswith("avg")
    for dimension, (kernel, stride, padding, dilation) in _windows(operation):
        before, after = operation.input.shape[dimension], operation.output.shape[dimension]
        if averages and after == 1 < before <= kernel:
            field = _spoil(field, [dimension], WHOLE)
        else:
            field = _slide(field, dimension, kernel, stride, padding, dilation)
    return field


def _windows(operation: Operation) -> list[tuple[int, tuple[int, int, int, int]]]:
    return [(d - operation.dimensions, window) for d, window in enumerate(operation.window())]


def _adaptive(operation: Operation, field: Field) -> Field:
    for dimension in range(-operation.dimensions, 0):
        field = _adapt(
            field, dimension, operation.input.shape[dimension], operation.output.shape[dimension]
        )
    return field


def _adapt(field: Field, dimension: int, before: int, after: int) -> Field:
    if before == after:
        return field
    if after == 1:
        return _spoil(field, [dimension], WHOLE)
    if before % after == 0:
        group = before // after
        return _slide(field, dimension, group, group, 0)
    if after % before == 0:
        return _nearest(field, dimension, Fraction(after, before))
    return _spoil(field, [dimension], UNALIGNED)  # its windows differ in size


def _nearest(field: Field, dimension: int, scale: Fraction) -> Field:
    before = Fraction(1 - scale.numerator, scale.numerator)  # the last of the copies
    return _resample(field, dimension, before, Fraction(0), scale)


def _interpolate(operation: Operation, field: Field) -> Field:
    mode = operation.arguments.get("mode", "nearest")
    corners = bool(operation.arguments.get("align_corners"))
    for dimension in range(2 - operation.output.dim(), 0):
        before, after = operation.input.shape[dimension], operation.output.shape[dimension]
        if mode == "area":
            field = _adapt(field, dimension, before, after)
        elif before == after:
            continue
        elif mode in ("nearest", "nearest-exact"):
            field = _nearest(field, dimension, Fraction(after, before))
        elif operation.arguments.get("antialias") or (corners and min(before, after) == 1):
            field = _spoil(field, [dimension], UNKNOWN)
        else:
            reach = 2 if mode == "bicubic" else 1
            scale = Fraction(after - 1, before - 1) if corners else Fraction(after, before)
            shift = Fraction(0) if corners else (1 / scale - 1) / 2
            field = _resample(field, dimension, shift - reach, shift + reach, scale)
    return field


def _pixel_shuffle(operation: Operation, field: Field) -> Field:
    for dimension in (-2, -1):
        before, after = operation.input.shape[dimension], operation.output.shape[dimension]
        if after > before:
            field = _nearest(field, dimension, Fraction(after, before))
        else:
            field = _slide(field, dimension, before // after, before // after, 0)
    return field


def _pad(operation: Operation, field: Field) -> Field:
    amounts = operation.arguments["pad"]
    for number, before in enumerate(amounts[::2], start=1):
        field = _change(field, -number, methodcaller("shift", -int(before)))
    return field


def _norm(operation: Operation, field: Field) -> Field:
    """Statistics taken over positions make every one of them depend on all."""
    if operation.op == "batch_norm":
        over = range(2, operation.output.dim()) if operation.arguments.get("training") else range(0)
    elif operation.op in ("layer_norm", "rms_norm"):
        over = range(-len(operation.arguments["normalized_shape"]), 0)
    else:
        over = range(2, operation.output.dim())
    return _spoil(field, over, WHOLE)


def _over_dim(operation: Operation, field: Field) -> Field:
    dim = operation.arguments.get("dim", 1 if operation.op == "normalize" else -1)
    over = (
        range(operation.output.dim()) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    )
    return _spoil(field, over, WHOLE)


def _reduction(operation: Operation, field: Field) -> Field:
    rank = operation.input.dim()
    dim = operation.arguments.get("dim")
    dims = range(rank) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    over = {int(d) % rank for d in dims}
    field = _spoil(field, over, WHOLE)
    if operation.output.dim() == rank:
        return field
    return field.arrange([axis for d, axis in enumerate(field.axes) if d not in over])


def _linear(_: Operation, field: Field) -> Field:
    return field.arrange((*field.axes[:-1], None))


def _join(operation: Operation, read: Sequence[torch.Tensor], states: States) -> Field | None:
    rank = operation.output.dim()
    dim = int(operation.arguments.get("dim", 0)) % rank
    if operation.op == "stack":
        parts: list[tuple[Field | None, tuple[int, ...]]] = []
        for tensor in read:
            state, shape = states(tensor), list(tensor.shape)
            shape.insert(dim, 1)
            if state is not None:
                state = Field((*state.axes[:dim], None, *state.axes[dim:]), state.reaches)
            parts.append((state, tuple(shape)))
        return merge(parts, rank)
    # The joined dimension differs in size, which is no broadcasting.
    merged = merge([(states(t), (*t.shape[:dim], 2, *t.shape[dim + 1 :])) for t in read], rank)
    return None if merged is None else _spoil(merged, [dim], UNALIGNED)


def _overwrite(operation: Operation, states: States) -> Field | None:
    """State of a tensor into which another is written."""
    target = operation.output
    value = operation.arguments.get("value", operation.arguments.get("argument 1"))
    written = states(value) if isinstance(value, torch.Tensor) else None
    old = states(target)
    if written is None:
        return old
    parts = [(written, tuple(value.shape)), (None, tuple(target.shape))]
    if operation.op == "copy_":
        return merge(parts, target.dim())
    if tuple(value.shape) == tuple(target.shape):
        return merge([*parts, (old, tuple(target.shape))], target.dim())
    placed = Field((None,) * target.dim(), written.reaches)
    placed = placed.spoil(range(len(placed.reaches)), UNALIGNED)
    return merge([(placed, tuple(target.shape)), (old, tuple(target.shape))], target.dim())


def _product(operation: Operation, states: States, known: Sequence[Field]) -> Field:
    """Multiply matrices: with constants, it keeps the dimensions that it does not sum over."""
    left, right = operation.arguments["input"], operation.arguments["other"]
    rank = operation.output.dim()
    states_of = states(left), states(right)
    if left.dim() < 2 or right.dim() < 2 or None not in states_of or len(known) > 1:
        return _everywhere(known, operation.output, WHOLE)
    if states_of[0] is not None:
        field, axes = states_of[0], [*states_of[0].axes[:-1], None]
    else:
        field, axes = known[0], [*known[0].axes[:-2], None, known[0].axes[-1]]
    return field.arrange([None] * (rank - len(axes)) + axes)


def _slide(
    field: Field, dimension: int, kernel: int, stride: int, padding: int, dilation: int = 1
) -> Field:
    change = methodcaller("slide", kernel, stride, padding, dilation)
    return _change(field, dimension, change)


def _resample(
    field: Field, dimension: int, before: Fraction, after: Fraction, scale: Fraction
) -> Field:
    return _change(field, dimension, methodcaller("resample", before, after, scale))


def _einsum(operation: Operation, read: Sequence[torch.Tensor], states: States) -> Field | None:
    """Sum over letters: a letter that stays keeps its axis, one that is summed over loses it."""
    operands, result = str(operation.arguments["input"]).replace(" ", "").split("->")
    letters, field = next(
        (names, state)
        for names, state in zip(operands.split(","), map(states, read), strict=True)
        if state is not None
    )
    axes = dict(zip(letters, field.axes, strict=True))
    return field.arrange([axes.get(letter) for letter in result])


def _change(field: Field, dimension: int, change: Callable[[Window], Window]) -> Field:
    """Change the window of the axis that a dimension walks along, if there is one."""
    axis = field.axes[dimension] if -len(field.axes) <= dimension < len(field.axes) else None
    if axis is None:
        return field
    reach = field.reaches[axis]
    return field.with_reach(axis, change(reach)) if isinstance(reach, Window) else field


def _spoil(field: Field, dimensions: Sequence[int] | range | set[int], reason: str) -> Field:
    axes = {field.axes[dimension] for dimension in dimensions}
    return field.spoil(sorted(axis for axis in axes if axis is not None), reason)


_PRODUCTS = words("matmul mm bmm mv addmm baddbmm addmv")


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = dict(shape_rules.RULES)
    for op, kind in KIND.items():
        if kind == "conv":
            rules[op] = _convolution
        elif kind == "norm":
            rules[op] = _norm
        elif op.startswith("adaptive"):
            rules[op] = _adaptive
        elif op.startswith(("max_pool", "avg_pool", "lp_pool")):
            rules[op] = _pool
    rules |= dict.fromkeys(_SAME, lambda _, field: field)
    rules |= dict.fromkeys(_REDUCTIONS, _reduction)
    rules |= dict.fromkeys(words("softmax log_softmax softmin normalize cumsum glu"), _over_dim)
    rules |= dict.fromkeys(words("pixel_shuffle pixel_unshuffle"), _pixel_shuffle)
    rules |= {"linear": _linear, "pad": _pad, "interpolate": _interpolate}
    return rules


RULES = _rules()
