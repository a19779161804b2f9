"""A trace as a graph that folds: operators in blocks, blocks in stages, equal blocks as "× n".

Every node is a stretch of the order of execution, so that folding any of them never makes a cycle:
a module that is called at two places is two nodes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from cnnviz.anatomy.result import Layer, Shape, Trace

#: Ends of edges that leave a group: where its input comes in, where its output goes out.
INPUT, OUTPUT = "(input)", "(output)"

FEW, ENOUGH, TOO_MANY = 3, 8, 30  # stages with convolutions, and nodes of a first view
LONG = 12  # a flat sequence of more layers is cut behind its poolings: AlexNet's, not LeNet's

_TELLING = ("pool", "norm", "activation", "elementwise", "merge", "dropout", "reshape")


@dataclass(frozen=True)
class Node:
    """An operator, or a group that unfolds into `children`.

    Attributes:
        id: unique in the graph; an operator's is its layer's path.
        name: what it is called inside its parent.
        module: dotted path of the module it stands for, "" where there is none.
        start: index of its first layer in the trace.
        stop: index behind its last layer.
        kind: an operator's `Layer.role`; a group's: that of most MACs, or the most telling.
        params: parameters that its operators are the first to read.
        macs: multiply–accumulates, those that are known.
        unknown: operators in it whose MACs are not known.
        output_shape: shape of its last output, batch dimension included.
        children: what it unfolds into, () for an operator.
        repeats: how many equal blocks it stands for; its children are they.

    """

    id: str
    name: str
    module: str
    start: int
    stop: int
    kind: str
    params: int
    macs: int
    unknown: int
    output_shape: Shape
    children: tuple[Node, ...] = ()
    repeats: int = 1

    @property
    def operators(self) -> int:
        """Number of operator calls in it."""
        return self.stop - self.start

    def walk(self) -> Iterator[Node]:
        """Give this node and all below it, in order of execution, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


class Graph:
    """The foldable graph of a trace; what is unfolded is a set of node ids that callers keep."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.root = _Builder(trace.layers).root(trace.model)
        self.nodes = {node.id: node for node in self.root.walk()}
        self._parents = {
            child.id: node.id for node in self.nodes.values() for child in node.children
        }

    @cached_property
    def _consumers(self) -> dict[int, list[int]]:
        consumers: dict[int, list[int]] = {}
        for source, target in self.trace.edges:
            consumers.setdefault(source, []).append(target)
        return consumers

    def ancestors(self, node_id: str) -> list[str]:
        """Return the groups around a node, the innermost first, without the whole network."""
        around = []
        while (node_id := self._parents.get(node_id, self.root.id)) != self.root.id:
            around.append(node_id)
        return around

    def visible(self, opened: Set[str]) -> list[Node]:
        """Return the nodes to draw where the groups in `opened` are unfolded, in order.

        They share the trace's operators between them. The network itself is always unfolded.
        """
        return list(_cut(self.root.children, opened))

    def edges(self, opened: Set[str]) -> list[tuple[str, str]]:
        """Return (producer, consumer) between visible nodes, each pair once; see `INPUT`."""
        shown = self.visible(opened)
        starts = [node.start for node in shown]

        def at(index: int) -> str:
            return INPUT if index < 0 else shown[bisect_right(starts, index) - 1].id

        pairs = ((at(source), at(target)) for source, target in self.trace.edges)
        return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))

    def inner_edges(self, node: Node) -> list[tuple[str, str]]:
        """Return the edges between the children of `node`, and those from INPUT and to OUTPUT."""
        starts = [child.start for child in node.children]

        def at(index: int) -> str:
            if index >= node.stop:
                return OUTPUT
            if index < node.start:
                return INPUT
            return node.children[bisect_right(starts, index) - 1].id

        inside = range(node.start, node.stop)
        pairs = [(at(s), at(i)) for i in inside for s in self.trace.layers[i].inputs]
        pairs += [
            (at(i), OUTPUT) for i in inside for t in self._consumers.get(i, ()) if t >= node.stop
        ]
        return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))

    def stages(self) -> frozenset[str]:
        """Return what to unfold for the coarsest view that still shows a handful of nodes."""
        return self._unfold(
            lambda shown: len(shown) >= ENOUGH or sum(node.kind == "conv" for node in shown) >= FEW
        )

    def blocks(self) -> frozenset[str]:
        """Return what to unfold for a first view: about 8 to 30 nodes.

        Levels are kept whole, and the first block with branches is unfolded to show them.
        """
        opened = self._unfold(lambda shown: len(shown) >= TOO_MANY)
        for node in (node for child in self.root.children for node in child.walk()):
            finer = opened | {node.id, *self.ancestors(node.id)}
            if self._branches(node) and len(self.visible(finer)) <= TOO_MANY:
                return finer
        return opened

    def _branches(self, node: Node) -> bool:
        """Tell whether what a group reads, or one node of it makes, is read twice in it."""
        if not any(child.kind in ("conv", "linear") for child in node.children):
            return False
        sources = [source for source, target in self.inner_edges(node) if target != OUTPUT]
        return len(set(sources)) < len(sources)

    def operators(self) -> frozenset[str]:
        """Return every group: all unfolded, each operator a node."""
        groups = (node.id for node in self.nodes.values() if node.children)
        return frozenset(groups) - {self.root.id}

    def _unfold(self, enough: Callable[[list[Node]], bool]) -> frozenset[str]:
        """Unfold level by level until what is shown is `enough`, or the next level too much."""
        opened: frozenset[str] = frozenset()
        while not enough(shown := self.visible(opened)):
            groups = [node for node in shown if node.children and node.repeats == 1]
            holders = [node for node in groups if any(child.children for child in node.children)]
            if not holders and len(shown) < ENOUGH:
                holders = groups
            finer = opened | {node.id for node in holders}
            if not holders or len(self.visible(finer)) > TOO_MANY:
                break
            opened = finer
        return opened


def _cut(nodes: Iterable[Node], opened: Set[str]) -> Iterator[Node]:
    for node in nodes:
        if node.children and node.id in opened:
            yield from _cut(node.children, opened)
        else:
            yield node


class _Builder:
    """Builds the tree of nodes from the paths of the layers."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        self._used = {layer.path for layer in layers}
        self._places = [_containers(layer) for layer in layers]

    def root(self, name: str) -> Node:
        children = self._arranged(self._children(0, len(self.layers), 0))
        return self._group(self._unique(name), name, "", children)

    def _children(self, start: int, stop: int, depth: int) -> list[Node]:
        def container(index: int) -> object:
            place = self._places[index]
            return place[depth] if depth < len(place) else index

        found = []
        for key, stretch in groupby(range(start, stop), container):
            inside = list(stretch)
            if isinstance(key, int):
                found.append(self._operator(key))
            else:
                found.append(self._module(inside[0], inside[-1] + 1, depth))
        return found

    def _operator(self, index: int) -> Node:
        layer = self.layers[index]
        name = layer.path.rpartition(".")[2]
        return Node(
            id=layer.path,
            name=name,
            module=layer.module,
            start=index,
            stop=index + 1,
            kind=layer.role,
            params=layer.params,
            macs=layer.macs or 0,
            unknown=int(layer.macs is None),
            output_shape=layer.output_shape,
        )

    def _module(self, start: int, stop: int, depth: int) -> Node:
        path = ".".join(self._places[start][: depth + 1])
        name = self._places[start][depth]
        children = self._arranged(self._children(start, stop, depth + 1))
        if len(children) > 1 or children[0].repeats > 1:
            return self._group(self._unique(path), name, path, children)
        only = children[0]
        functional = not only.children and only.id != only.module
        return replace(only, name=name if functional else f"{name}.{only.name}")

    def _arranged(self, children: list[Node]) -> list[Node]:
        children = self._functional_chains(children)
        if len(children) > LONG:
            children = self._behind_poolings(children)
        return self._repetitions(children)

    def _functional_chains(self, children: list[Node]) -> list[Node]:
        """Join an activation with the arithmetic written around it, as in 1.7159 tanh(2x/3)."""

        def pointwise(node: Node) -> bool:
            layer = self.layers[node.start]
            return (
                not node.children
                and layer.path != layer.module
                and layer.kind in ("activation", "elementwise")
            )

        found: list[Node] = []
        for joined, stretch in groupby(children, pointwise):
            chain = list(stretch)
            if joined and len(chain) > 1 and any(node.kind == "activation" for node in chain):
                name = " · ".join(self.layers[node.start].op for node in chain)
                identity = self._unique(f"{chain[0].id} – {chain[-1].id}")
                chain = [self._group(identity, name, "", chain)]
            found += chain
        return found

    def _behind_poolings(self, children: list[Node]) -> list[Node]:
        """Cut a flat sequence of layers behind its poolings, into block 1, block 2 and so on.

        That is a sequence of convolutions that are no groups themselves; what follows the last of
        them but its pooling is in no block.
        """
        places = [i for i, child in enumerate(children) if child.kind == "conv"]
        pools = [i for i, child in enumerate(children) if child.kind == "pool"]
        if any(children[i].children for i in places) or len(pools) < 2:
            return children
        blocks: list[Node] = []
        start = 0
        for end in pools:
            inside = children[start : end + 1]
            if not any(child.kind == "conv" for child in inside):
                break
            block = self._stretch(inside)
            blocks.append(replace(block, name=f"block {len(blocks) + 1}"))
            start = end + 1
        return [*blocks, *children[start:]]

    def _repetitions(self, children: list[Node]) -> list[Node]:
        found: list[Node] = []
        for structure, stretch in groupby(children, self._structure):
            equal = list(stretch)
            if structure[0] and len(equal) > 1:
                equal = [replace(self._stretch(equal), repeats=len(equal))]
            found += equal
        return found

    def _structure(self, node: Node) -> tuple[object, ...]:
        """Return what equal blocks have in common; an operator has nothing in common."""
        if not node.children:
            return (False, node.id)
        rows = (
            (
                *(layer.op, layer.input_shape, layer.output_shape, layer.params, layer.macs),
                tuple(sorted((key, str(value)) for key, value in layer.attributes.items())),
                tuple(max(source - node.start, -1) for source in layer.inputs),
            )
            for layer in self.layers[node.start : node.stop]
        )
        return (True, *rows)

    def _stretch(self, nodes: list[Node]) -> Node:
        first, last = nodes[0], nodes[-1]
        name = f"{first.name} – {last.name}"
        return self._group(self._unique(f"{first.id} – {last.id}"), name, "", nodes)

    def _group(self, identity: str, name: str, module: str, children: list[Node]) -> Node:
        inside = self.layers[children[0].start : children[-1].stop] if children else ()
        return Node(
            id=identity,
            name=name,
            module=module,
            start=inside[0].index if inside else 0,
            stop=inside[-1].index + 1 if inside else 0,
            kind=_kind(inside),
            params=sum(layer.params for layer in inside),
            macs=sum(layer.macs or 0 for layer in inside),
            unknown=sum(layer.macs is None for layer in inside),
            output_shape=inside[-1].output_shape if inside else (),
            children=tuple(children),
        )

    def _unique(self, identity: str) -> str:
        wanted, number = identity, 1
        while identity in self._used:
            number += 1
            identity = f"{wanted}#{number}"
        self._used.add(identity)
        return identity


def _containers(layer: Layer) -> tuple[str, ...]:
    """Return the names of the modules around an operator, a leaf module that is it left out."""
    names = tuple(layer.module.split(".")) if layer.module else ()
    return names[:-1] if layer.path == layer.module else names


def _kind(layers: Iterable[Layer]) -> str:
    work: dict[str, int] = {}
    for layer in layers:
        work[layer.role] = work.get(layer.role, 0) + (layer.macs or 0)
    costly = max(work, key=lambda kind: work[kind], default="other")
    if work.get(costly):
        return costly
    return next((kind for kind in _TELLING if kind in work), costly)
