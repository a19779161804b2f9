"""Two networks side by side: which layer of one stands for which of the other, and what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from cnnviz.anatomy.result import Layer, Trace

_LEFT_OUT = ("reshape", "dropout")  # they compute nothing when the network is asked
_TELLING = ("conv", "linear", "matmul", "norm", "pool", "activation", "merge")


@dataclass(frozen=True)
class Step:
    """One layer of a comparison: an operator, or all operators of one leaf module's call.

    `kind` is the `Layer.role` of its main operator. `facts` says what it is, a word for each
    property: operator, kernel, stride, padding, …; `output_shape` has the batch dimension; `scale`
    is how often the map was halved (log2), -1 where an output has no positions. `spatial` is
    whether a convolution looks at more than one position; `stem`, whether it reads the image.
    """

    path: str
    kind: str
    facts: Mapping[str, str]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    scale: int = field(compare=False)
    spatial: bool = field(compare=False)
    stem: bool = field(compare=False)

    @property
    def nature(self) -> tuple[str, bool]:
        """What a layer must have in common with another one to stand for it."""
        return self.kind, self.spatial

    @property
    def words(self) -> str:
        """The facts in one line, such as "conv2d 11 × 11, stride 4, 96 filters"."""
        head = " ".join(self.facts[key] for key in ("operator", "kernel") if key in self.facts)
        rest = [
            f"{value} {key.removesuffix('s') if value == '1' else key}"
            if key in ("filters", "units", "groups", "parts")
            else f"{key} {value}"
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
_ORDER = ("operator", "kernel", *_IF_UNSAID, "output size", "filters", "units", "parts")


def compare_traces(left: Trace, right: Trace) -> list[Pair]:
    """Pair the layers of two networks in the order of execution.

    Layers stand for one another where their kinds agree: a convolution over space never for one of
    1 × 1, which a linear layer at every position is, too. Of all orders the one of most worth is
    taken: of more pairs, above all of the first convolutions and of pairs whose maps were halved as
    often, then of equal layers. Operators that only rearrange numbers are left out, those of one
    leaf module's call are one layer.
    """
    return list(_align(steps(left), steps(right)))


_PAIR, _SAME_SCALE, _EQUAL = 2, 3, 1  # what a pair is worth
_STEMS = 6  # so that no later layer, of the same scale by chance, takes a stem's place


def _align(left: Sequence[Step], right: Sequence[Step]) -> Iterator[Pair]:
    """Align two sequences (Needleman and Wunsch 1970); what is gone comes before what is new."""
    equal = {facts: number for number, facts in enumerate(map(_facts_of, left))}
    theirs = [
        (step.nature, step.scale, equal.get(_facts_of(step), -1), step.stem) for step in right
    ]
    # worth[i][j] is that of the best alignment of left[i:] and right[j:].
    worth = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    gains: list[list[int]] = []
    for i in range(len(left) - 1, -1, -1):
        nature, scale, same = left[i].nature, left[i].scale, equal[_facts_of(left[i])]
        stem = _STEMS * left[i].stem
        gain = [
            (_PAIR + _SAME_SCALE * (its_scale == scale) + _EQUAL * (its == same) + stem * its_stem)
            * (its_nature == nature)
            for its_nature, its_scale, its, its_stem in theirs
        ]
        gains.append(gain)
        row, below = worth[i], worth[i + 1]
        for j in range(len(right) - 1, -1, -1):
            best = below[j] if below[j] > row[j + 1] else row[j + 1]
            paired = gain[j] + below[j + 1]
            row[j] = paired if gain[j] and paired > best else best
    gains.reverse()
    i = j = 0
    while i < len(left) and j < len(right):
        if gains[i][j] and worth[i][j] == gains[i][j] + worth[i + 1][j + 1]:
            yield Pair(left[i], right[j])
            i, j = i + 1, j + 1
        elif worth[i][j] == worth[i + 1][j]:
            yield Pair(left[i], None)
            i += 1
        else:
            yield Pair(None, right[j])
            j += 1
    yield from (Pair(step, None) for step in left[i:])
    yield from (Pair(None, step) for step in right[j:])


def _facts_of(step: Step) -> tuple[tuple[str, str], ...]:
    return tuple(step.facts.items())


def steps(trace: Trace) -> list[Step]:
    """Return the layers of a trace as a comparison sees them."""
    modules = {layer.module for layer in trace.layers}
    inner = {name[:end] for name in modules for end in _dots(name)}
    wholes = {layer.part_of for layer in trace.layers} - {""}

    def key(layer: Layer) -> str:
        if layer.part_of or layer.module in wholes:
            return layer.part_of or layer.module
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
    facts = _facts(main, layers)
    named = [layer.op for layer in layers if layer.kind not in _LEFT_OUT]
    if len(named) > 1 and main.kind in ("merge", "elementwise"):  # spelt out, not one operator
        facts = {"operator": ", ".join(dict.fromkeys(named))}
    return Step(
        path=path,
        kind=main.role,
        facts=facts,
        output_shape=layers[-1].output_shape,
        params=sum(layer.params for layer in layers),
        macs=sum(layer.macs or 0 for layer in layers),
        scale=round(math.log2(main.jump)) if main.jump else -1,
        spatial=main.role == "conv" and math.prod(main.attributes.get("kernel_size", ())) > 1,
        stem=main.role == "conv" and -1 in main.inputs,
    )


def _facts(layer: Layer, layers: Sequence[Layer]) -> dict[str, str]:
    """Say what `layer` is, the main one of those that are one step."""
    attributes = layer.attributes
    facts = {"operator": layer.op.rstrip("_")}
    if layer.pointwise:
        facts["kernel"] = "1 × 1"
    if "kernel_size" in attributes:
        facts["kernel"] = _window(attributes["kernel_size"], keep=True)
    for name in ("stride", "padding", "dilation"):
        value = _window(attributes[name]) if name in attributes else _IF_UNSAID[name]
        if value != _IF_UNSAID[name]:
            facts[name] = value
    if attributes.get("groups", 1) != 1 and not layer.part_of:
        facts["groups"] = str(attributes["groups"])
    if "output_size" in attributes:
        facts["output size"] = _window(attributes["output_size"], keep=True)
    if layer.kind == "conv":
        facts["filters"] = f"{layers[-1].output_shape[1]}"
    elif layer.pointwise:
        facts["filters"] = f"{layer.output_shape[-1]}"
    elif layer.kind == "linear":
        facts["units"] = f"{layer.output_shape[-1]}"
    if layer.part_of:
        facts["parts"] = f"{sum(other.kind == 'conv' for other in layers)}"
    return facts


def _window(value: object, *, keep: bool = False) -> str:
    """Write (11, 11) as "11 × 11" or, where it need not be kept, as "11"."""
    sides = value if isinstance(value, tuple) else (value, value)
    if not keep and len(set(sides)) == 1:
        return str(sides[0])
    return " × ".join(map(str, sides))


def describe_ratio(value: float, reference: float) -> str:
    """Write `value` as a multiple of `reference`: "1.9 ×", "1.02 ×", "2,193 ×"; "–" against 0."""
    if not reference:
        return "–"
    ratio = value / reference
    if ratio >= 99.5:
        return f"{ratio:,.0f} ×"
    return f"{ratio:.2f} ×" if 0.9 <= ratio < 1.1 else f"{ratio:.2g} ×"
