"""Trace a network: one forward pass of one image, every operator with its shape and its costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from cnnviz.anatomy.clone import meta_clone, real_clone
from cnnviz.anatomy.inputs import Place, check_input_size, explain_misfit
from cnnviz.anatomy.operators.costs import AtenCounter, cost_of, needs_counter
from cnnviz.anatomy.operators.known import KIND, Operation, bind, groups_of
from cnnviz.anatomy.operators.ledger import INPUT, Ledger, storage_of
from cnnviz.anatomy.operators.memory import saved_bytes
from cnnviz.anatomy.operators.meta_norm import QuickNorms
from cnnviz.anatomy.operators.propagation import propagate
from cnnviz.anatomy.operators.receptive_field import CONSTANT, Field
from cnnviz.anatomy.operators.recorder import Call, OperatorRecorder, name_calls, tensors_in
from cnnviz.anatomy.result import Layer, Trace
from cnnviz.errors import CnnvizError

_META = torch.device("meta")

# What a pass without values raises where the network looks at values or mixes devices.
_NEEDS_VALUES = re.compile(r"\bmeta\b|no data|data-dependent|device", re.IGNORECASE)

# What Python says of a `forward` that takes more than the images.
_TAKES_MORE = re.compile(r"\bforward\(\) missing \d+ required")


def trace(model: nn.Module, input_size: Sequence[int], name: str | None = None) -> Trace:
    """Run one image through a structural copy of `model` and record every operator.

    The copy lives on the meta device: shapes without values, so that nothing is allocated or
    computed. A network whose path depends on values runs once for real instead, as a copy, on its
    own device, on a black image. `model` itself is never touched, so threads may share it.

    Args:
        model: any network that takes a batch of images, on any device.
        input_size: (channels, height, width).
        name: what error messages call the network, its class's name if None.

    Raises:
        CnnvizError: if `input_size` is not one, does not fit the network (the message names the
            layer), or the network cannot be copied.

    """
    if not isinstance(model, nn.Module):
        raise CnnvizError(f"trace needs a torch.nn.Module, not a {type(model).__name__}.")
    if "_modules" not in vars(model):
        kind = type(model).__name__
        raise CnnvizError(f"{kind} is not ready: call super().__init__() first in its __init__.")
    size = check_input_size(input_size)
    name = name or type(model).__name__
    by_values = False
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    with torch.inference_mode(False):
        twin = meta_clone(model)
        try:
            layers, training = _run(twin, size, _META, name)
        except _NeedsValuesError as error:
            device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
            if device == _META:
                raise error.explanation from error
            twin, by_values = real_clone(model), True
            with torch.random.fork_rng():  # dropout in training mode draws random numbers
                layers, training = _run(twin, size, device, name)
    if not layers:
        raise CnnvizError(
            f"{name} calls no operator that can be seen; trace the network before "
            "it is scripted or compiled."
        )
    parameters = list(model.parameters())
    return Trace(
        model=type(model).__name__,
        input_size=size,
        layers=layers,
        params=sum(parameter.numel() for parameter in parameters),
        weight_bytes=sum(parameter.numel() * parameter.element_size() for parameter in parameters),
        training_bytes=training,
        by_values=by_values,
    )


class _NeedsValuesError(Exception):
    """The network looks at values; `explanation` is for one that has none to offer."""

    def __init__(self, explanation: CnnvizError) -> None:
        super().__init__(str(explanation))
        self.explanation = explanation


def _run(
    twin: nn.Module, size: tuple[int, int, int], device: torch.device, name: str
) -> tuple[tuple[Layer, ...], int | None]:
    """Pass one black image through a copy: its layers and what training keeps of the pass."""
    dtypes = (p.dtype for p in twin.parameters() if p.is_floating_point())
    image = torch.zeros((1, *size), dtype=next(dtypes, torch.float32), device=device)
    tracer = _Tracer(twin.eval(), image, name)
    try:
        with device, torch.no_grad(), QuickNorms(), tracer:
            twin(image)
    except CnnvizError:
        raise
    except Exception as error:
        explanation = tracer.explain(error)
        if device == _META and (
            not tracer.failed_with(error)
            or isinstance(error, NotImplementedError)
            or _NEEDS_VALUES.search(str(error))
        ):
            raise _NeedsValuesError(explanation) from error
        raise explanation from error
    with device, QuickNorms():
        return tracer.layers(), saved_bytes(twin, image)


@dataclass(frozen=True)
class _Row:
    """What is known of a call when it has run; its path needs the whole pass."""

    operation: Operation
    kind: str
    input_shapes: tuple[tuple[int, ...], ...]
    params: int
    counted: AtenCounter | None
    output_bytes: int
    state: Field | None
    inputs: tuple[int, ...]


class _Tracer(OperatorRecorder):
    """Collects a row for each operator call of a pass of one image."""

    def __init__(self, model: nn.Module, image: torch.Tensor, name: str) -> None:
        super().__init__(model)
        self._name = name
        self._image = image
        self._ledger = Ledger()
        self._ledger.record(image, INPUT, Field.of_input())
        self._unread = {id(p): p.numel() for p in model.parameters()}
        self._rows: list[_Row] = []
        self._versions: list[tuple[torch.Tensor, int]] = []
        self._counter: AtenCounter | None = None
        self._failure: tuple[Call, list[torch.Tensor], Exception] | None = None
        self._groups = 1  # of the call that runs, where it is a convolution

    def execute(self, op: str, run: Callable[[], Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        self._counter = AtenCounter() if needs_counter(op) else None
        self._groups = groups_of(op, args, kwargs)
        self._versions = [(tensor, tensor._version) for tensor in tensors_in((args, kwargs))]
        try:
            if self._counter is None:
                return run()
            with self._counter:
                return run()
        except Exception as error:
            read = [tensor for tensor, _ in self._versions]
            self._failure = (self.locate(op), read, error)
            raise

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401
        with torch._C.DisableTorchFunction():  # asking a tensor for its shape is no operator
            outputs = [args[0]] if call.op == "setitem" else list(tensors_in(output))
            operation = bind(call.op, args, kwargs, output)
            read = [tensor for tensor, _ in self._versions]
            made = [t for t in read if self._ledger.producer(t) is not None]
            # A slice of a parameter is made by the network, but not of the image.
            from_data = [t for t in made if self._ledger.state(t) is not None] or made
            states = propagate(operation, outputs, self._ledger.state)
            self._rows.append(
                _Row(
                    operation=operation,
                    kind=KIND.get(call.op, "other"),
                    input_shapes=tuple(tuple(tensor.shape) for tensor in from_data),
                    params=sum(self._unread.pop(id(tensor), 0) for tensor in read),
                    counted=self._counter,
                    output_bytes=_new_bytes(read, outputs),
                    state=states[0],
                    inputs=self._ledger.producers(read),
                )
            )
            if _is_empty_map(outputs[0]):  # few operators refuse one; its mean is NaN
                raise self._misfit(call, read, None)
            for tensor, state in zip(outputs, states, strict=True):
                self._ledger.record(tensor, call.index, state)
            for tensor, version in self._versions:
                if tensor._version != version:
                    state = self._ledger.state(tensor)
                    self._ledger.overwrite(tensor, call.index, state)
        return output

    def failed_with(self, error: Exception) -> bool:
        """Whether it was an operator, not the network's own code, that raised `error`."""
        return self._failure is not None and self._failure[2] is error

    def explain(self, error: Exception) -> CnnvizError:
        """Say why the pass failed."""
        if self._failure is not None and self._failure[2] is error:
            return self._misfit(self._failure[0], self._failure[1], error)
        size = "x".join(map(str, self._image.shape[1:]))
        message = next(iter(str(error).splitlines()), type(error).__name__)
        reason = f"{self._name} cannot run on an input of {size}: {message[:200]}"
        if _TAKES_MORE.search(message):
            reason += "; wrap it in a module whose forward takes one batch of images."
        return CnnvizError(reason)

    def _misfit(self, call: Call, read: list[torch.Tensor], error: Exception | None) -> CnnvizError:
        calls = self.calls if self.calls[-1:] == [call] else [*self.calls, call]
        path = name_calls(calls, self.module_names)[-1]
        kind, parts = KIND.get(call.op, "other"), _parts(calls, self._rows)
        alike = [other.index for other in calls if KIND.get(other.op, "other") == kind]
        number = len({parts.get(index, index) for index in alike})
        place = Place(path, call.op, number, self._groups)
        return explain_misfit(self._name, self._image.shape[1:], place, read, error)

    def layers(self) -> tuple[Layer, ...]:
        """Give the rows of the pass with their paths."""
        paths = name_calls(self.calls, self.module_names)
        parts, merges = _parts(self.calls, self._rows), _merges(self._rows)
        return tuple(
            _layer(
                call,
                replace(row, kind="merge") if call.index in merges else row,
                path,
                parts.get(call.index, ""),
            )
            for call, row, path in zip(self.calls, self._rows, paths, strict=True)
        )


def _layer(call: Call, row: _Row, path: str, part_of: str) -> Layer:
    cost = cost_of(row.operation, row.counted)
    size, jump, note = (None, None, CONSTANT) if row.state is None else row.state.summary()
    return Layer(
        index=call.index,
        path=path,
        module=call.module,
        op=call.op,
        kind=row.kind,
        input_shape=next(iter(row.input_shapes), ()),
        output_shape=tuple(row.operation.output.shape),
        params=row.params,
        macs=cost.macs,
        bias_adds=cost.bias_adds,
        other_ops=cost.other_ops,
        output_bytes=row.output_bytes,
        receptive_field=size,
        jump=jump,
        note=note,
        attributes=row.operation.shown(),
        inputs=row.inputs,
        windows=() if row.state is None else row.state.windows,
        input_shapes=row.input_shapes,
        part_of=part_of,
    )


def _parts(calls: Sequence[Call], rows: Sequence[_Row]) -> dict[int, str]:
    """Find the calls that are one layer together, by their index: its name for each of them.

    Those are convolutions alike in their windows, in one module that lays their outputs side by
    side at once. Where branches have activations of their own, each is a layer, as in GoogLeNet.
    """
    found: dict[int, str] = {}
    for call, row in zip(calls, rows, strict=False):  # a failed call has no row
        sources = [rows[index] for index in row.inputs if index >= 0]
        if call.op not in _SIDE_BY_SIDE or len(sources) < 2 or len(sources) < len(row.inputs):
            continue
        convolutions = all(source.kind == "conv" for source in sources)
        homes = {calls[index].module.rpartition(".")[0] for index in row.inputs}
        if not convolutions or homes != {call.module}:
            continue
        if len({tuple(source.operation.window()) for source in sources}) == 1:
            name = call.module or call.op
            found |= dict.fromkeys((*row.inputs, call.index), name)
    return found


_SIDE_BY_SIDE = ("cat", "concat", "concatenate")


def _is_empty_map(output: torch.Tensor) -> bool:
    """Whether these are feature maps without a position; no maps at all are a detector's right."""
    return output.dim() > 3 and output.shape[0] > 0 and output.numel() == 0


#: Kinds whose output is their input, number for number or rearranged.
_PASSES_ON = ("elementwise", "activation", "reshape", "dropout")


def _merges(rows: Sequence[_Row]) -> set[int]:
    """Find the element-wise operators that join branches, by their index.

    Their operands come from different layers. What is spelt out of one layer's output, such as a
    response normalisation or x · sigmoid(x), joins nothing.
    """
    origins: dict[int, frozenset[int]] = {INPUT: frozenset([INPUT])}
    merges = set()
    for index, row in enumerate(rows):
        before = [origins[source] for source in dict.fromkeys(row.inputs)]
        origin = frozenset[int]().union(*before)
        if row.kind == "elementwise" and len(origin) > 1 and len(before) > 1:
            merges.add(index)
            origin = frozenset([index])
        elif row.state is not None and row.kind not in _PASSES_ON:
            origin = frozenset([index])
        origins[index] = origin
    return merges


def _new_bytes(read: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> int:
    """Bytes of the outputs that are neither views nor the inputs themselves."""
    seen, total = {storage_of(tensor) for tensor in read}, 0
    for tensor in outputs:
        if storage_of(tensor) not in seen:
            seen.add(storage_of(tensor))
            total += tensor.numel() * tensor.element_size()
    return total
