"""What is known of each operator: its kind, and how its arguments are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cnnviz.anatomy.operators.recorder import tensors_in


def words(text: str) -> frozenset[str]:
    """Read a set of names that are separated by blanks."""
    return frozenset(text.split())


_KINDS = {
    "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear": "linear bilinear",
    "norm": "batch_norm layer_norm group_norm instance_norm local_response_norm rms_norm normalize",
    "activation": "relu relu_ relu6 gelu silu hardswish hardsigmoid hardtanh hardtanh_ sigmoid "
    "sigmoid_ tanh tanh_ leaky_relu leaky_relu_ elu elu_ celu selu prelu rrelu softplus softsign "
    "softmax log_softmax softmin logsigmoid mish glu threshold threshold_ tanhshrink hardshrink "
    "softshrink",
    "pool": "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
    "max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d lp_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d adaptive_max_pool2d_with_indices mean sum amax amin "
    "std var max_unpool2d",
    "merge": "cat concat concatenate stack hstack vstack dstack",
    "reshape": "view reshape flatten unflatten permute transpose transpose_ swapaxes swapdims "
    "movedim moveaxis t T mT H mH adjoint squeeze squeeze_ unsqueeze unsqueeze_ expand expand_as "
    "view_as reshape_as contiguous getitem setitem chunk split split_with_sizes tensor_split "
    "unbind narrow select pad roll flip repeat repeat_interleave tile channel_shuffle "
    "pixel_shuffle pixel_unshuffle unfold fold clone detach data to type float half double "
    "bfloat16 cpu cuda type_as index_select gather broadcast_to meshgrid ravel atleast_1d "
    "atleast_2d atleast_3d alias copy_ real imag",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout dropout_ "
    "feature_dropout",
    "elementwise": "add add_ sub sub_ mul mul_ div div_ floor_divide floor_divide_ remainder pow "
    "pow_ neg neg_ abs abs_ exp exp_ log log_ log2 log10 log1p sqrt sqrt_ rsqrt square sin cos "
    "erf reciprocal clamp clamp_ clamp_min clamp_max clip maximum minimum where masked_fill "
    "masked_fill_ fill_ zero_ round floor ceil sign lerp addcmul addcdiv eq ne lt gt le ge "
    "logical_not logical_and logical_or bitwise_not and or xor subtract multiply divide rsub "
    "true_divide tril triu negative _weight_norm",
    "matmul": "matmul mm bmm mv dot vdot inner addmm baddbmm addbmm addmv einsum tensordot "
    "chain_matmul multi_dot scaled_dot_product_attention multi_head_attention_forward",
    "other": "interpolate upsample embedding one_hot argmax argmin max min topk sort cumsum norm "
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
}
KIND = {op: kind for kind, ops in _KINDS.items() for op in words(ops)}

COMPOSITE = words(
    "einsum tensordot chain_matmul multi_dot inner scaled_dot_product_attention "
    "multi_head_attention_forward lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell "
    "rnn_relu_cell"
)
"""Operators whose contractions are counted by watching what they call inside."""

_POOL = ("input", "kernel_size", "stride", "padding")
_SIGNATURES: dict[str, Sequence[str]] = {
    "conv": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "conv_transpose": (
        *("input", "weight", "bias", "stride", "padding"),
        *("output_padding", "groups", "dilation"),
    ),
    "linear": ("input", "weight", "bias"),
    "bilinear": ("input", "other", "weight", "bias"),
    "max_pool": (*_POOL, "dilation", "ceil_mode", "return_indices"),
    "avg_pool": (*_POOL, "ceil_mode", "count_include_pad", "divisor_override"),
    "lp_pool": ("input", "norm_type", "kernel_size", "stride", "ceil_mode"),
    "adaptive": ("input", "output_size", "return_indices"),
    "batch_norm": (
        *("input", "running_mean", "running_var", "weight", "bias"),
        *("training", "momentum", "eps"),
    ),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "instance_norm": (
        *("input", "running_mean", "running_var", "weight", "bias"),
        *("use_input_stats", "momentum", "eps"),
    ),
    "local_response_norm": ("input", "size", "alpha", "beta", "k"),
    "normalize": ("input", "p", "dim", "eps"),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "softmin": ("input", "dim"),
    "glu": ("input", "dim"),
    "dropout": ("input", "p", "training", "inplace"),
    "leaky_relu": ("input", "negative_slope"),
    "elu": ("input", "alpha"),
    "mean": ("input", "dim", "keepdim"),
    "sum": ("input", "dim", "keepdim"),
    "amax": ("input", "dim", "keepdim"),
    "amin": ("input", "dim", "keepdim"),
    "max": ("input", "dim", "keepdim"),
    "min": ("input", "dim", "keepdim"),
    "std": ("input", "dim"),
    "var": ("input", "dim"),
    "cat": ("tensors", "dim"),
    "concat": ("tensors", "dim"),
    "concatenate": ("tensors", "dim"),
    "stack": ("tensors", "dim"),
    "chunk": ("input", "chunks", "dim"),
    "split": ("input", "split_size", "dim"),
    "split_with_sizes": ("input", "split_size", "dim"),
    "tensor_split": ("input", "indices_or_sections", "dim"),
    "unbind": ("input", "dim"),
    "narrow": ("input", "dim", "start", "length"),
    "select": ("input", "dim", "index"),
    "index_select": ("input", "dim", "index"),
    "getitem": ("input", "index"),
    "setitem": ("input", "index", "value"),
    "pad": ("input", "pad", "mode", "value"),
    "roll": ("input", "shifts", "dims"),
    "flip": ("input", "dims"),
    "permute": ("input", "dims"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "pixel_shuffle": ("input", "upscale_factor"),
    "pixel_unshuffle": ("input", "downscale_factor"),
    "matmul": ("input", "other"),
    "mm": ("input", "other"),
    "bmm": ("input", "other"),
    "mv": ("input", "other"),
    "dot": ("input", "other"),
    "vdot": ("input", "other"),
    "addmm": ("added", "input", "other"),
    "baddbmm": ("added", "input", "other"),
    "addbmm": ("added", "input", "other"),
    "addmv": ("added", "input", "other"),
}

_SHOWN = {
    "conv": ("stride", "padding", "dilation", "groups"),
    "pool": ("kernel_size", "stride", "padding", "dilation", "output_size", "ceil_mode", "dim"),
    "norm": ("normalized_shape", "num_groups", "size", "alpha", "beta", "k", "eps"),
    "activation": ("dim", "negative_slope", "alpha"),
    "merge": ("dim",),
    "dropout": ("p",),
    "reshape": ("dims", "dim", "pad", "chunks", "upscale_factor"),
    "other": ("size", "scale_factor", "mode"),
}


@dataclass(frozen=True)
class Operation:
    """One operator call with its arguments by name, `output` being its first output tensor."""

    op: str
    arguments: Mapping[str, Any]
    output: torch.Tensor

    @property
    def input(self) -> torch.Tensor:
        """The tensor that the operator works on."""
        found = self.arguments.get("input")
        return found if isinstance(found, torch.Tensor) else next(tensors_in(self.arguments))

    @property
    def weight(self) -> torch.Tensor:
        """The weight of a convolution or linear layer."""
        weight: torch.Tensor = self.arguments["weight"]
        return weight

    @property
    def dimensions(self) -> int:
        """Spatial dimensions of a convolution or pool: the digit in its name."""
        return int(next(character for character in self.op if character.isdigit()))

    def spatial(self, name: str, default: int | None = None) -> tuple[int, ...]:
        """Return an argument for each spatial dimension; a single number counts for all of them."""
        value = self.arguments.get(name)
        if value is None or value == ():
            if default is None:
                return self.spatial("kernel_size")  # the default stride of a pool
            value = default
        if isinstance(value, (tuple, list, torch.Size)):
            sizes = tuple(int(item) for item in value)
            return sizes * self.dimensions if len(sizes) == 1 else sizes
        return (int(value),) * self.dimensions

    def window(self) -> list[tuple[int, int, int, int]]:
        """(kernel, stride, padding, dilation) for each spatial dimension of a conv or pool.

        The padding is the one before the first element.
        """
        if self.op.startswith("conv"):
            kernel = tuple(self.weight.shape[-self.dimensions :])
            stride, dilation = self.spatial("stride", 1), self.spatial("dilation", 1)
        else:
            kernel, stride = self.spatial("kernel_size"), self.spatial("stride")
            dilation = self.spatial("dilation", 1)
        padding = self.arguments.get("padding", 0)
        if padding == "valid":
            before: tuple[int, ...] = (0,) * self.dimensions
        elif padding == "same":
            before = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        else:
            before = self.spatial("padding", 0)
        return list(zip(kernel, stride, before, dilation, strict=True))

    def shown(self) -> dict[str, Any]:
        """Return the arguments worth showing, as numbers, words and tuples."""
        result: dict[str, Any] = {}
        kind = KIND.get(self.op, "other")
        if kind == "conv":
            result["kernel_size"] = tuple(self.weight.shape[2:])
        for name in _SHOWN.get(kind, ()):
            value = self.arguments.get(name)
            if isinstance(value, (tuple, list)) and not any(tensors_in(value)):
                result[name] = tuple(value)
            elif isinstance(value, (int, float, str)):
                result[name] = value
        if kind == "pool" and "kernel_size" in result and not result.get("stride"):
            result["stride"] = self.spatial("stride")  # unsaid: windows that do not overlap
        if "kernel_size" in result:  # one number stands for all dimensions
            for name in ("kernel_size", "stride", "padding", "dilation"):
                if isinstance(result.get(name), int):
                    result[name] = (result[name],) * self.dimensions
        return result


def bind(op: str, args: Sequence[Any], kwargs: Mapping[str, Any], output: Any) -> Operation:  # noqa: ANN401
    """Give the arguments of a call their names; unknown ones are called by their position."""
    names = _signature(op)
    arguments: dict[str, Any] = {}
    for position, value in enumerate(args):
        last = position == len(names) - 1
        if last and len(args) > len(names) and isinstance(value, int):
            arguments[names[position]] = tuple(args[position:])  # permute(0, 2, 3, 1)
            break
        arguments[names[position] if position < len(names) else f"argument {position}"] = value
    arguments.update(kwargs)
    first = args[0] if op == "setitem" else next(tensors_in(output))
    return Operation(op, arguments, first)


def groups_of(op: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Return the groups of a convolution's call, 1 for every other operator."""
    if KIND.get(op) != "conv":
        return 1
    place = _signature(op).index("groups")
    groups = kwargs.get("groups", args[place] if place < len(args) else 1)
    return groups if isinstance(groups, int) else 1


def _signature(op: str) -> Sequence[str]:
    if op in _SIGNATURES:
        return _SIGNATURES[op]
    if op.startswith("adaptive"):
        return _SIGNATURES["adaptive"]
    for family in ("conv_transpose", "conv", "max_pool", "avg_pool", "lp_pool"):
        if op.startswith(family) and KIND.get(op) in ("conv", "pool"):
            return _SIGNATURES[family]
    return _SIGNATURES.get(op.rstrip("_"), ("input",))
