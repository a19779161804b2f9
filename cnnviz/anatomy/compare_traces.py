"""Two networks side by side: which layer of one stands for which of the other, and what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import groupby

from cnnviz.anatomy.result import Layer, Trace

_LEFT_OUT = ("reshape", "dropout")  # they compute nothing when the network is asked
_TELLING = ("conv", "linear", "matmul", "norm", "pool", "activation", "merge")


@dataclass(frozen=True)
class Step:
    """One layer of a comparison: an operator, or all operators of one leaf module's call.

    `facts` says what it is, a word for each property: operator, kernel, stride, padding, …;
    `output_shape` has the batch dimension; `scale` is how often the map was halved (log2), -1
    where an output has no positions.
    """

    path: str
    kind: str
    facts: Mapping[str, str]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    scale: int = field(compare=False)

    @property
    def words(self) -> str:
        """The facts in one line, such as "conv2d 11 × 11, stride 4, 96 filters"."""
        head = " ".join(self.facts[key] for key in ("operator", "kernel") if key in self.facts)
        rest = [
            f"{value} {key}" if key in ("filters", "units", "groups") else f"{key} {value}"
            for key, value in self.facts.items()
            if key not in ("operator", "kernel")
        ]
        return ", ".join([head, *rest])


@dataclass(frozen=True)
class Pair:
    """A layer of the left network and its counterpart in the right one; None where there is none.

    `differences` is (property, left, right) for each fact that differs.
    """

    left: Step | None
    right: Step | None

    @property
    def differences(self) -> tuple[tuple[str, str, str], ...]:
        """What the two layers do differently, in their order."""
        if self.left is None or self.right is None:
            return ()
        ours, theirs = ({**_IF_UNSAID, **step.facts} for step in (self.left, self.right))
        return tuple(
            (name, ours.get(name, "–"), theirs.get(name, "–"))
            for name in _ORDER
            if ours.get(name) != theirs.get(name)
        )

    @property
    def state(self) -> str:
        """One of: same, differs, only left, only right."""
        if self.left is None:
            return "only right"
        if self.right is None:
            return "only left"
        return "differs" if self.differences else "same"


_IF_UNSAID = {"stride": "1", "padding": "0", "dilation": "1", "groups": "1"}
_ORDER = ("operator", "kernel", *_IF_UNSAID, "output size", "filters", "units")


def compare_traces(left: Trace, right: Trace) -> list[Pair]:
    """Pair the layers of two networks in the order of execution.

    Layers stand for one another where kind and scale (how often the map was halved) agree in one
    longest common order (difflib); between those, where the kind alone agrees. Operators that
    only rearrange numbers are left out, those of one leaf module's call are one layer.
    """
    return list(_align(steps(left), steps(right), by_scale=True))


def _align(left: Sequence[Step], right: Sequence[Step], *, by_scale: bool) -> Iterator[Pair]:
    def keys(part: Sequence[Step]) -> list[tuple[str, int]]:
        return [(step.kind, step.scale if by_scale else 0) for step in part]

    # Without autojunk: it would ignore the convolutions of a deep network as too common.
    matcher = SequenceMatcher(None, keys(left), keys(right), autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            yield from map(Pair, left[i:j], right[k:m])
        elif tag == "replace" and by_scale:
            yield from _align(left[i:j], right[k:m], by_scale=False)
        else:
            yield from (Pair(step, None) for step in left[i:j])
            yield from (Pair(None, step) for step in right[k:m])


def steps(trace: Trace) -> list[Step]:
    """Return the layers of a trace as a comparison sees them."""
    modules = {layer.module for layer in trace.layers}
    inner = {name[:end] for name in modules for end in _dots(name)}

    def key(layer: Layer) -> str:
        leaf = layer.module and layer.module not in inner and layer.path != layer.module
        return layer.module if leaf else layer.path

    found = []
    for name, group in groupby(trace.layers, key):
        layers = list(group)
        if any(layer.kind not in _LEFT_OUT for layer in layers):
            found.append(_step(name, layers))
    return found


def _dots(name: str) -> list[int]:
    return [place for place, letter in enumerate(name) if letter == "."]


def _step(path: str, layers: Sequence[Layer]) -> Step:
    telling = [layer for kind in _TELLING for layer in layers if layer.kind == kind]
    main = telling[0] if telling else layers[0]
    facts = _facts(main)
    named = [layer.op for layer in layers if layer.kind not in _LEFT_OUT]
    if len(named) > 1 and main.kind in ("merge", "elementwise"):  # spelt out, not one operator
        facts = {"operator": ", ".join(dict.fromkeys(named))}
    return Step(
        path=path,
        kind=main.kind,
        facts=facts,
        output_shape=layers[-1].output_shape,
        params=sum(layer.params for layer in layers),
        macs=sum(layer.macs or 0 for layer in layers),
        scale=round(math.log2(main.jump)) if main.jump else -1,
    )


def _facts(layer: Layer) -> dict[str, str]:
    attributes = layer.attributes
    facts = {"operator": layer.op.rstrip("_")}
    if "kernel_size" in attributes:
        facts["kernel"] = _window(attributes["kernel_size"], keep=True)
    for name in ("stride", "padding", "dilation"):
        value = _window(attributes[name]) if name in attributes else _IF_UNSAID[name]
        if value != _IF_UNSAID[name]:
            facts[name] = value
    if attributes.get("groups", 1) != 1:
        facts["groups"] = str(attributes["groups"])
    if "output_size" in attributes:
        facts["output size"] = _window(attributes["output_size"], keep=True)
    if layer.kind == "conv":
        facts["filters"] = f"{layer.output_shape[1]}"
    elif layer.kind == "linear":
        facts["units"] = f"{layer.output_shape[-1]}"
    return facts


def _window(value: object, *, keep: bool = False) -> str:
    """Write (11, 11) as "11 × 11" or, where it need not be kept, as "11"."""
    sides = value if isinstance(value, tuple) else (value, value)
    if not keep and len(set(sides)) == 1:
        return str(sides[0])
    return " × ".join(map(str, sides))


def describe_ratio(value: float, reference: float) -> str:
    """Write `value` as a multiple of `reference`: "1.9 ×", "1.02 ×", "129 ×"; "–" against 0."""
    if not reference:
        return "–"
    ratio = value / reference
    if ratio >= 99.5:
        return f"{ratio:.0f} ×"
    return f"{ratio:.2f} ×" if 0.9 <= ratio < 1.1 else f"{ratio:.2g} ×"
