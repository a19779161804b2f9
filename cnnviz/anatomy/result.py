"""What a trace holds: one `Layer` for each operator call, and the `Trace` of them all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnnviz.anatomy.operators.receptive_field import Window

if TYPE_CHECKING:
    import pandas as pd

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One operator call of a forward pass of one image.

    Attributes:
        index: place in the order of execution, from 0.
        path: unique name; the module's path where a leaf module makes this one call, else
            ``path.op``; further calls of the same name end in ``#2``, ``#3``, …
        module: dotted path of the innermost module that makes the call, "" for the network itself.
        op: the operator, such as ``conv2d`` or ``add_``; a trailing ``_`` means in place.
        kind: conv, linear, norm, activation, pool, merge, reshape, dropout, elementwise, matmul
            or other.
        input_shape: shape of the first tensor that comes from the data, batch dimension (1)
            included; () where the call reads parameters or constants only.
        output_shape: shape of the output, of the first one where there are several.
        params: parameters that this call is the first to read.
        macs: multiply–accumulates of its contractions (convolutions, matrix products), None where
            the operator is not known.
        bias_adds: additions of a bias, not part of `macs`.
        other_ops: arithmetic outside contractions: normalisation, pooling, activations,
            element-wise work; see `cnnviz.anatomy.operators.costs` for the convention.
        output_bytes: memory that the call allocates for its outputs; 0 for views and in-place
            calls.
        receptive_field: side in input pixels of what one output position sees, the larger side
            where they differ; None where `note` says why.
        jump: distance in input pixels between neighbouring output positions.
        note: "" or why there is no receptive field: "whole input" (a global pooling, a flatten, a
            fully connected layer before it), "unaligned" (branches whose jumps differ) or
            "unknown" (an operator without a rule); "constant" where no input pixel takes part.
        attributes: what distinguishes the call: kernel_size, stride, padding, dilation, groups, …
        inputs: indices of the layers whose outputs it reads, -1 for the network's input.
        windows: what position (0, 0) sees along the rows and along the columns of the input, beyond
            the border included; () where there is no receptive field, or the output does not
            hold rows before columns.
        input_shapes: shapes of all tensors that come from the data, in the order of the call: of
            several where branches meet.
        part_of: name of the layer that the call is a part of, where one layer is written as several
            convolutions whose outputs are laid side by side; "" for all other calls.

    """

    index: int
    path: str
    module: str
    op: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    params: int
    macs: int | None
    bias_adds: int
    other_ops: int
    output_bytes: int
    receptive_field: int | None
    jump: int | float | None
    note: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    windows: tuple[Window, ...] = ()
    input_shapes: tuple[Shape, ...] = ()
    part_of: str = ""

    @property
    def pointwise(self) -> bool:
        """Whether it is a linear layer at every position of a map or row: a 1 × 1 convolution."""
        return self.kind == "linear" and len(self.output_shape) > 2

    @property
    def role(self) -> str:
        """What it is to a reader: its kind, but conv where it is a 1 × 1 convolution in effect."""
        return "conv" if self.pointwise else self.kind

    @property
    def flops(self) -> int | None:
        """Floating-point operations of the contractions, two for each MAC."""
        return None if self.macs is None else 2 * self.macs

    @property
    def has_positions(self) -> bool:
        """Whether the output has more than one position, of a map or of a row of tokens."""
        shape = self.output_shape
        return math.prod(shape[2:] if self.kind == "conv" else shape[1:-1]) > 1

    def to_dict(self) -> dict[str, Any]:
        """Give the row as plain data for JSON: shapes and tuples as lists."""
        return {
            "index": self.index,
            "path": self.path,
            "module": self.module,
            "op": self.op,
            "kind": self.kind,
            "input_shape": list(self.input_shape),
            "input_shapes": _plain(self.input_shapes),
            "output_shape": list(self.output_shape),
            "params": self.params,
            "macs": self.macs,
            "flops": self.flops,
            "bias_adds": self.bias_adds,
            "other_ops": self.other_ops,
            "output_bytes": self.output_bytes,
            "receptive_field": self.receptive_field,
            "jump": self.jump,
            "note": self.note,
            "attributes": {key: _plain(value) for key, value in self.attributes.items()},
            "inputs": list(self.inputs),
            "part_of": self.part_of,
        }


@dataclass(frozen=True)
class Trace:
    """One forward pass of one image through a network, operator by operator.

    Attributes:
        model: class name of the network.
        input_size: (channels, height, width).
        layers: every operator call in the order of execution.
        params: parameters of the network, shared ones once, modules that the pass does not call
            included.
        weight_bytes: memory of those parameters.
        training_bytes: memory that autograd keeps for the backward pass of one image, without
            parameters and buffers; None where the network cannot run in training mode.
        by_values: whether shapes were not enough to follow the network, as where its path depends
            on values: this is its path for a black image.

    """

    model: str
    input_size: tuple[int, int, int]
    layers: tuple[Layer, ...]
    params: int
    weight_bytes: int
    training_bytes: int | None
    by_values: bool = False

    @property
    def macs(self) -> int:
        """Multiply–accumulates of all contractions that are known; see `unknown`."""
        return sum(layer.macs or 0 for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations of the contractions, two for each MAC."""
        return 2 * self.macs

    @property
    def unknown(self) -> tuple[Layer, ...]:
        """Calls whose MACs are not known, so that `macs` leaves them out."""
        return tuple(layer for layer in self.layers if layer.macs is None)

    @property
    def activation_bytes(self) -> int:
        """Bytes of every output that is neither a view nor in place, without the input image."""
        return sum(layer.output_bytes for layer in self.layers)

    @property
    def peak_bytes(self) -> int:
        """Most bytes of outputs that are held at once in inference, without the input image.

        Each is held until its last reader has run. What an operator uses inside and what a program
        keeps longer than it needs, such as a variable of the network's code, come on top.
        """
        owners: dict[int, int] = {-1: -1}  # of the memory: that of a view is its source's
        last: dict[int, int] = {}  # the last layer that reads it
        for layer in self.layers:
            for source in layer.inputs:
                last[owners[source]] = layer.index
            view = not layer.output_bytes and layer.inputs
            owner = owners[layer.index] = owners[layer.inputs[0]] if view else layer.index
            last[owner] = layer.index
        freed = Counter[int]()
        for layer in self.layers[:-1]:
            if layer.output_bytes:
                freed[last[layer.index]] += layer.output_bytes
        held = peak = 0
        for layer in self.layers:
            held += layer.output_bytes
            peak = max(peak, held)
            held -= freed[layer.index]
        return peak

    @property
    def receptive_field(self) -> tuple[int, int | float] | None:
        """(size, jump) in input pixels on the last spatial map; None if there is no such map.

        None, too, where nothing is known of it, as after attention or squeeze-and-excitation.
        Where branches meet, the size is that of the hull of their fields, an upper bound.
        """
        for layer in reversed(self.layers):
            if layer.receptive_field is not None and layer.jump is not None:
                return layer.receptive_field, layer.jump
            if layer.has_positions and layer.kind in ("conv", "linear", "matmul"):
                return None
        return None

    @property
    def weighted(self) -> list[Layer]:
        """Convolutions and fully connected layers as papers count them, in order of execution.

        Of a layer that is written as several convolutions (see `Layer.part_of`) the first stands
        for all, as for C3 of LeNet-5, whose maps read three, four or six of those before.
        """
        found: dict[str | int, Layer] = {}
        for layer in self.layers:
            if layer.kind in ("conv", "linear"):
                found.setdefault(layer.part_of or layer.index, layer)
        return list(found.values())

    @property
    def depth(self) -> int:
        """Convolutions and fully connected layers on the longest path from input to output.

        Papers count depth so: a shortcut's projection and parallel branches add nothing to it.
        """
        depths: dict[int, int] = {}
        for layer in self.layers:
            before = max((depths.get(source, 0) for source in layer.inputs), default=0)
            depths[layer.index] = before + (layer.kind in ("conv", "linear"))
        return max(depths.values(), default=0)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """(producer, consumer) for each tensor handed on; producer -1 is the input image."""
        return [(source, layer.index) for layer in self.layers for source in layer.inputs]

    def layer(self, path: str) -> Layer:
        """Return the layer called `path`; `KeyError` if there is none."""
        for layer in self.layers:
            if layer.path == path:
                return layer
        raise KeyError(path)

    def to_frame(self) -> pd.DataFrame:
        """One row for each layer, shapes such as ``64×112×112`` (the batch dimension left out).

        Those of several inputs are joined by ``+``; ``role`` is `Layer.role`. Unknown MACs and
        receptive fields are missing values in columns of whole numbers.
        """
        import pandas as pd

        rows = []
        for layer in self.layers:
            row = layer.to_dict()
            row["input_shape"] = format_shapes(layer)
            row["output_shape"] = format_shape(layer.output_shape)
            row["attributes"] = ", ".join(f"{k}={_short(v)}" for k, v in layer.attributes.items())
            row["inputs"] = ", ".join(str(source) for source in layer.inputs)
            rows.append(row)
            row["role"] = layer.role
        left_out = ("windows", "input_shapes")
        columns = [name for name in Layer.__dataclass_fields__ if name not in left_out]
        frame = pd.DataFrame(rows, columns=[*columns, "flops", "role"])
        for column in ("macs", "flops", "receptive_field"):
            frame[column] = frame[column].astype("Int64")
        frame["jump"] = frame["jump"].astype("Float64")
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Give the whole trace as plain data for JSON."""
        reach = self.receptive_field
        return {
            "model": self.model,
            "input_size": list(self.input_size),
            "params": self.params,
            "macs": self.macs,
            "flops": self.flops,
            "unknown": [layer.path for layer in self.unknown],
            "weight_bytes": self.weight_bytes,
            "activation_bytes": self.activation_bytes,
            "peak_bytes": self.peak_bytes,
            "training_bytes": self.training_bytes,
            "receptive_field": None if reach is None else {"size": reach[0], "jump": reach[1]},
            "by_values": self.by_values,
            "layers": [layer.to_dict() for layer in self.layers],
        }


def format_shape(shape: Shape) -> str:
    """Write a shape without its batch dimension: (1, 64, 112, 112) -> ``64×112×112``."""
    return "×".join(str(size) for size in shape[1:])


def format_shapes(layer: Layer) -> str:
    """Write the shapes of all that a layer reads: ``64×28×28 + 128×28×28`` where branches meet."""
    return " + ".join(map(format_shape, layer.input_shapes))


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _short(value: object) -> str:
    return "×".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
