"""Two networks side by side: which layer of one stands for which of the other, and what differs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    is how often the map was halved (log2), -1 where an output has no positions. `form` is what
    its kind leaves open: of a convolution whether it is "wide", "1 × 1" or a shortcut's
    "projection", of a pool whether it is "global", "shrinking" or "even", of anything else whether
    it works on a "map" or a "vector". `stem` is whether a convolution reads the image.
    """

    path: str
    kind: str
    facts: Mapping[str, str]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    scale: int = field(compare=False)
    form: str = field(compare=False)
    stem: bool = field(compare=False)

    @property
    def nature(self) -> tuple[str, str]:
        """What a layer must have in common with another one to stand for it."""
        return self.kind, self.form

    @property
    def words(self) -> str:
        """The facts in one line, such as "conv2d 11 × 11, stride 4, 96 filters"."""
        head = " ".join(self.facts[key] for key in ("operator", "kernel") if key in self.facts)
        rest = [
            f"{value} {key.removesuffix('s') if value == '1' else key}"
            if key in (*_COUNTED, "groups", "trained parameters")
            else f"no {key}"
            if value == "none"
            else f"{key} {value}"
            for key, value in self.facts.items()
            if key not in ("operator", "kernel")
        ]
        return ", ".join([head, *rest])


@dataclass(frozen=True)
class Pair:
    """A layer of the left network and its counterpart in the right one; None where there is none.

    `differences` is (property, left, right) for each fact that differs. `moved` names what both
    come before on the left and after on the right, or the other way round: (left, right), such as
    ("before pool1", "after pool1"). It is empty where the order is the same.
    """

    left: Step | None
    right: Step | None
    moved: tuple[str, str] | tuple[()] = ()

    @property
    def differences(self) -> tuple[tuple[str, str, str], ...]:
        """What the two layers do differently, in their order."""
        if self.left is None or self.right is None:
            return ()
        ours, theirs = ({**_IF_UNSAID, **step.facts} for step in (self.left, self.right))
        found = tuple(
            (name, ours.get(name, "–"), theirs.get(name, "–"))
            for name in _ORDER
            if ours.get(name) != theirs.get(name)
        )
        return (("place", *self.moved), *found) if self.moved else found

    @property
    def state(self) -> str:
        """One of: same, differs, only left, only right."""
        if self.left is None:
            return "only right"
        if self.right is None:
            return "only left"
        return "differs" if self.differences else "same"


_COUNTED = ("filters", "units", "channels", "parts")
_IF_UNSAID = {
    **{"stride": "1", "padding": "0", "dilation": "1", "groups": "1"},
    **{"bias": "yes", "trained parameters": "0"},
}
_ORDER = ("operator", "kernel", *_IF_UNSAID, "output size", *_COUNTED)


def compare_traces(left: Trace, right: Trace) -> list[Pair]:
    """Pair the layers of two networks in the order of execution.

    Layers stand for one another where their kinds agree: a convolution over space never for one of
    1 × 1, which a linear layer at every position is, too, and a shortcut's projection only for
    another one. Of all orders the one of most worth is taken: of more pairs, above all of the first
    convolutions and of pairs whose maps were halved as often, then of pairs that follow each other
    and of equal layers. A layer that only changed places with its neighbour is a pair as well.
    Operators that only rearrange numbers are left out, those of one leaf module's call are one
    layer, and so is an activation that is spelt out.
    """
    return _with_moves(list(_align(steps(left), steps(right))))


_PAIR, _SAME_SCALE, _EQUAL = 2, 4, 1  # what a pair is worth
_STEMS = 8  # so that no later layer, of the same scale by chance, takes a stem's place
_NEXT = 1  # for a pair right before another one: blocks stay whole
_AFTER_STEMS = 5  # a stem keeps its norm or activation, even at another scale


def _align(left: Sequence[Step], right: Sequence[Step]) -> Iterator[Pair]:
    """Align two sequences (Needleman and Wunsch 1970); what is gone comes before what is new."""
    equal = {facts: number for number, facts in enumerate(map(_facts_of, left))}
    theirs = [
        (step.nature, step.scale, equal.get(_facts_of(step), -1), step.stem) for step in right
    ]
    # worth[i][j] is that of the best alignment of left[i:] and right[j:], paired[i][j] that of the
    # best one which pairs the first two of them, 0 where these cannot be a pair.
    worth = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    paired = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        nature, scale, same = left[i].nature, left[i].scale, equal[_facts_of(left[i])]
        stem = _STEMS * left[i].stem
        gains = [
            (_PAIR + _SAME_SCALE * (its_scale == scale) + _EQUAL * (its == same) + stem * its_stem)
            * (its_nature == nature)
            for its_nature, its_scale, its, its_stem in theirs
        ]
        row, below, pairs, next_pairs = worth[i], worth[i + 1], paired[i], paired[i + 1]
        for j in range(len(right) - 1, -1, -1):
            best = below[j] if below[j] > row[j + 1] else row[j + 1]
            if gains[j]:
                bonus = _AFTER_STEMS if stem and theirs[j][-1] else _NEXT
                follows = next_pairs[j + 1] and next_pairs[j + 1] + bonus
                pairs[j] = gains[j] + max(follows, below[j + 1])
                best = max(best, pairs[j])
            row[j] = best
    i, j, due = 0, 0, False  # whether the pair before counts on this one
    while i < len(left) and j < len(right):
        if paired[i][j] and (due or worth[i][j] == paired[i][j]):
            yield Pair(left[i], right[j])
            bonus = _AFTER_STEMS if left[i].stem and right[j].stem else _NEXT
            i, j = i + 1, j + 1
            due = paired[i][j] > 0 and paired[i][j] + bonus >= worth[i][j]
        elif worth[i][j] == worth[i + 1][j]:
            yield Pair(left[i], None)
            i, due = i + 1, False
        else:
            yield Pair(None, right[j])
            j, due = j + 1, False
    yield from (Pair(step, None) for step in left[i:])
    yield from (Pair(None, step) for step in right[j:])


def _with_moves(pairs: list[Pair]) -> list[Pair]:
    """Make one pair of a layer gone and the same one new on the other side of one pair."""
    found: list[Pair] = []
    for pair in pairs:
        found.append(pair)
        if len(found) < 3:
            continue
        first, between, _ = found[-3:]
        left, right = first.left or pair.left, first.right or pair.right
        alone = None in (first.left, first.right) and None in (pair.left, pair.right)
        if not alone or left is None or right is None or between.left is None:
            continue
        if between.right is None or between.moved or not _alike(left, right):
            continue
        words = ("before", "after") if first.left else ("after", "before")
        moved = f"{words[0]} {between.left.path}", f"{words[1]} {between.right.path}"
        whole = Pair(left, right, moved)
        found[-3:] = [whole, between] if first.left else [between, whole]
    return found


def _alike(left: Step, right: Step) -> bool:
    return left.nature == right.nature and left.facts["operator"] == right.facts["operator"]


def _facts_of(step: Step) -> tuple[tuple[str, str], ...]:
    return tuple(step.facts.items())


def steps(trace: Trace) -> list[Step]:
    """Return the layers of a trace as a comparison sees them."""
    modules = {layer.module for layer in trace.layers}
    inner = {name[:end] for name in modules for end in _dots(name)}
    wholes = {layer.part_of for layer in trace.layers} - {""}
    spelt = _spelt_activations(trace.layers)
    projections = _projections(trace)

    def key(layer: Layer) -> str:
        if layer.part_of or layer.module in wholes:
            return layer.part_of or layer.module
        leaf = layer.module and layer.module not in inner and layer.path != layer.module
        return layer.module if leaf else spelt.get(layer.index, layer.path)

    found = []
    for name, group in groupby(trace.layers, key):
        layers = list(group)
        if any(_computes(layer) for layer in layers):
            found.append(_step(name, layers, projections))
    return found


def _dots(name: str) -> list[int]:
    return [place for place, letter in enumerate(name) if letter == "."]


def _computes(layer: Layer) -> bool:
    """Tell whether a layer does anything to a number; a pool to the size of its input does not."""
    idle = "adaptive" in layer.op and layer.input_shape == layer.output_shape
    return layer.kind not in _LEFT_OUT and not idle


def _spelt_activations(layers: Sequence[Layer]) -> dict[int, str]:
    """Find the operators that spell out one activation, by index: the path of the activation.

    They follow one another in one module, only the activation among them is more than
    element-wise, and none has parameters: LeNet-5's 1.7159 · tanh(2a/3).
    """
    found: dict[int, str] = {}
    run: list[Layer] = []
    for layer in [*layers, None]:
        if layer is not None and layer.kind in ("elementwise", "activation") and not layer.params:
            follows = run and run[-1].index in layer.inputs and run[-1].module == layer.module
            if not run or follows:
                run.append(layer)
                continue
        named = [part.path for part in run if part.kind == "activation"]
        if len(run) > 1 and len(named) == 1:
            found |= {part.index: named[0] for part in run}
        run = [layer] if layer is not None and layer.kind in ("elementwise", "activation") else []
    return found


def _projections(trace: Trace) -> set[int]:
    """Find the convolutions on shortcuts, and their norms, by index.

    A shortcut is shorter than the longest way and added to it at its end. Concatenated
    branches are none, nor are the auxiliary classifiers of GoogLeNet.
    """
    weighs = [layer.kind in ("conv", "linear") for layer in trace.layers]
    before = [0] * len(weighs)  # layers with weights on the longest way to the end of each layer
    after = [0] * len(weighs)  # and from there on
    follows: dict[int, list[Layer]] = {}
    for source, target in trace.edges:
        follows.setdefault(source, []).append(trace.layers[target])
    for layer in trace.layers:
        reached = max((before[source] for source in layer.inputs if source >= 0), default=0)
        before[layer.index] = reached + weighs[layer.index]
    for layer in reversed(trace.layers):
        onward = follows.get(layer.index, [])
        after[layer.index] = max((after[n.index] + weighs[n.index] for n in onward), default=0)
    longest = max(before, default=0)
    found = set()
    for layer in trace.layers:
        if layer.kind != "conv" or before[layer.index] + after[layer.index] >= longest:
            continue
        way = [layer.index]
        ahead = follows.get(layer.index, [])
        while len(ahead) == 1 and ahead[0].kind in ("norm", "activation", "reshape", "dropout"):
            way.append(ahead[0].index)
            ahead = follows.get(ahead[0].index, [])
        if len(ahead) == 1 and ahead[0].kind == "merge" and ahead[0].op.startswith("add"):
            found |= set(way)
    return found


def _step(path: str, layers: Sequence[Layer], projections: Collection[int]) -> Step:
    telling = [layer for kind in _TELLING for layer in layers if layer.kind == kind]
    main = telling[0] if telling else layers[0]
    facts = _facts(main, layers)
    named = [layer.op for layer in layers if layer.kind not in _LEFT_OUT]
    # What is spelt out is not one operator.
    if len(named) > 1 and main.kind in ("merge", "elementwise", "activation"):
        facts = {"operator": ", ".join(dict.fromkeys(named))}
    params = sum(layer.params for layer in layers)
    if main.kind == "pool" and params:
        facts["trained parameters"] = f"{params:,}"
    return Step(
        path=path,
        kind=main.role,
        facts=facts,
        output_shape=layers[-1].output_shape,
        params=params,
        macs=sum(layer.macs or 0 for layer in layers),
        scale=round(math.log2(main.jump)) if main.jump else -1,
        form=_form(main, projections),
        stem=main.role == "conv" and -1 in main.inputs,
    )


def _form(layer: Layer, projections: Collection[int]) -> str:
    """Return `Step.form` of a step whose main operator is `layer`."""
    if layer.index in projections:
        return "projection"
    if layer.role == "conv":
        return "wide" if math.prod(layer.attributes.get("kernel_size", ())) > 1 else "1 × 1"
    if layer.kind == "pool":
        before, after = layer.input_shape[2:], layer.output_shape[2:]
        return "global" if math.prod(after) == 1 else "even" if before == after else "shrinking"
    return "map" if len(layer.output_shape) > 2 else "vector"


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
    if layer.role in ("conv", "linear") and not any(part.bias_adds for part in layers):
        facts["bias"] = "none"
    channels = _normalised(layer)
    if channels:
        facts["channels"] = f"{channels}"
    if layer.part_of:
        facts["parts"] = f"{sum(other.kind == 'conv' for other in layers)}"
    return facts


def _normalised(layer: Layer) -> int:
    """Return how many channels a normalisation scales; 0 for anything else."""
    if layer.kind != "norm":
        return 0
    shape = layer.attributes.get("normalized_shape")
    return int(shape[-1]) if shape else layer.output_shape[1]


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
