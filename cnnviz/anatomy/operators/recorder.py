"""Record each top-level operator call of a forward pass, and where in the network it is made.

A `TorchFunctionMode` sees every call once: functional ones, tensor methods and in-place operators
too, which hooks on modules miss. The module that makes a call is read from the Python stack, so
nothing is attached to the network: several threads may record passes of one shared network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_CALL_CODE = nn.Module._call_impl.__code__

# They return tensors but compute nothing from the values of their arguments.
_NOT_OPERATORS = {
    *("zeros_like", "ones_like", "empty_like", "full_like"),
    *("rand_like", "randn_like", "randint_like"),
    *("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "new_empty_strided"),
    *("requires_grad_", "retain_grad", "grad", "_grad", "register_hook", "set_", "share_memory_"),
    *("as_subclass", "deepcopy"),
}
_DUNDERS = {
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "invert": "bitwise_not",
}
_ARITHMETIC = {"add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "div"}


@dataclass(frozen=True)
class Call:
    """Where a call is made: enough to find the same call in another pass of the same network.

    Attributes:
        index: how many operator calls came before it in the pass.
        op: name of the operator.
        module: dotted path of the innermost module on the stack, "" for the network itself.
        leaf: whether that module has no children.
        serial: number of that module's own call within the pass.

    """

    index: int
    op: str
    module: str
    leaf: bool
    serial: int


class OperatorRecorder(TorchFunctionMode):
    """Reports every operator that a forward pass of `model` calls itself.

    Use as a context around ``model(x)``, entered after any other function mode. What an operator
    calls inside is not reported, nor are queries (``x.shape``) and constants (``torch.zeros``).
    The calls collect in `calls`; a subclass overrides `on_operator` to look at the outputs or to
    replace them. A layer of a trace and a call of a recorder belong together where `index`,
    `module` and `op` agree.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model  # held, so that the ids below stay valid
        self.calls: list[Call] = []
        self._names = {id(module): name for name, module in model.named_modules()}
        self._leaves = {id(m) for m in model.modules() if next(m.children(), None) is None}
        self._stack: list[tuple[FrameType, int]] = []
        self._serials = 0

    def execute(self, op: str, run: Callable[[], Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401, ARG002
        """Run what may be an operator; whether it is one shows in its output."""
        return run()

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401, ARG002
        """Return what the network is to get for the output of `call`."""
        return output

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run `func`, and report it if it is an operator on tensors."""
        kwargs = kwargs or {}
        op = operator_name(func)
        if op == "iter":  # an iterator hides its tensors; what it does is unbind
            return iter(self.__torch_function__(torch.unbind, types, args, kwargs))
        if op in _NOT_OPERATORS or next(tensors_in((args, kwargs)), None) is None:
            return func(*args, **kwargs)
        output = self.execute(op, lambda: func(*args, **kwargs), args, kwargs)
        if op != "setitem" and next(tensors_in(output), None) is None:
            return output
        call = self.locate(op)
        self.calls.append(call)
        return self.on_operator(call, args, kwargs, output)

    @property
    def module_names(self) -> set[str]:
        """Dotted paths of the network's modules."""
        return set(self._names.values())

    def locate(self, op: str) -> Call:
        """Describe a call of `op` made now, as the next one of the pass."""
        module, serial = self._innermost()
        name, leaf = self._names[id(module)], id(module) in self._leaves
        return Call(index=len(self.calls), op=op, module=name, leaf=leaf, serial=serial)

    def _innermost(self) -> tuple[nn.Module, int]:
        """Return the innermost module of the network on the stack and the number of its call."""
        frames: list[FrameType] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is _CALL_CODE and id(frame.f_locals["self"]) in self._names:
                frames.append(frame)
            frame = frame.f_back
        frames.reverse()
        # A call that spans two operators spans all between them, so the last stack tells whether
        # a frame is new; the frames in it are alive, so comparing them by identity is safe.
        known = 0
        while known < min(len(frames), len(self._stack)) and (
            frames[known] is self._stack[known][0]
        ):
            known += 1
        del self._stack[known:]
        for new in frames[known:]:
            self._serials += 1
            self._stack.append((new, self._serials))
        if not self._stack:
            return self.model, 0
        innermost, serial = self._stack[-1]
        return innermost.f_locals["self"], serial

    def __exit__(self, *exc: Any) -> None:  # noqa: ANN401
        self._stack.clear()  # frames hold their locals, and with them activations
        super().__exit__(*exc)  # type: ignore[no-untyped-call]


def operator_name(func: Callable[..., Any]) -> str:
    """Name an operator by what it does: ``__iadd__`` -> ``add_``, ``__radd__`` -> ``add``."""
    name: str = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":  # a property of a tensor, such as .T or .shape
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    if not (name.startswith("__") and name.endswith("__")):
        return name.split(".")[0]  # an overload of torch.ops is called name.overload
    name = name[2:-2]
    if name[:1] == "i" and name[1:] in _ARITHMETIC:
        return _DUNDERS.get(name[1:], name[1:]) + "_"
    if name[:1] == "r" and name[1:] in _ARITHMETIC:
        name = name[1:]
    return _DUNDERS.get(name, name)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401
    """Yield the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def name_calls(calls: Sequence[Call], modules: set[str]) -> list[str]:
    """Give each call of a pass its unique path.

    The only operator of a leaf module's call has the module's path; any other is called
    ``module.op``, or ``op`` at the root. Repeats get ``#2``, ``#3``, …; a name in `modules` is
    kept for the module of that name.
    """
    operators: dict[int, int] = {}
    for call in calls:
        operators[call.serial] = operators.get(call.serial, 0) + 1
    bases = []
    for call in calls:
        if call.leaf and call.module and operators[call.serial] == 1:
            bases.append((call.module, True))
        else:
            bases.append((f"{call.module}.{call.op}" if call.module else call.op, False))
    used: dict[str, int] = {}
    paths = [""] * len(calls)
    for own in (True, False):  # modules first: a functional relu must not take the name of one
        for index, (base, is_module) in enumerate(bases):
            if is_module is not own:
                continue
            used[base] = used.get(base, 1 if not own and base in modules else 0) + 1
            paths[index] = base if used[base] == 1 else f"{base}#{used[base]}"
    return paths
