"""Boxes in frames: a foldable graph laid out, each unfolded group in a frame of its own.

`cnnviz.charts.drawing.layered` places the nodes of a group, and the frames in the group around.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cnnviz.charts.drawing.layered import Point, Size, arrange

if TYPE_CHECKING:
    from cnnviz.anatomy.graph import Graph, Node

WIDTH, HEIGHT = 180.0, 48.0  # of a box, pixels
PILL = (148.0, 28.0)  # width and height of the network's input
PLATE = 3.0  # how far each sheet of a folded group shows behind the one above
HEADER, PADDING, MARGIN = 26.0, 14.0, 12.0
_IN, _OUT = "(input)", "(output)"  # as in `cnnviz.anatomy.graph`


@dataclass(frozen=True)
class Box:
    """A drawn node: an operator, a folded group, or the frame of an unfolded one."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    framed: bool = False


@dataclass(frozen=True)
class Edge:
    """The route of an edge as in `Placement`, and whether it ends at a box or on a frame's rim."""

    route: list[Point]
    arrives: bool = True

    def moved(self, dx: float, dy: float) -> Edge:
        """Return it `dx` further right and `dy` further down."""
        return Edge([(x + dx, y + dy) for x, y in self.route], self.arrives)


@dataclass(frozen=True)
class Drawing:
    """A laid out network: boxes, frames before what they hold, and its edges.

    `entry` is the top left corner of the network's input, None where nothing reads it.
    """

    boxes: list[Box]
    edges: list[Edge]
    entry: Point | None
    width: float
    height: float


@dataclass
class _Laid:
    size: Size
    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    entry: Point | None = None


def lay_out(graph: Graph, opened: Set[str]) -> Drawing:
    """Place the visible nodes of `graph`, those of `opened` groups in frames, without overlaps."""
    laid = _content(graph, graph.root, opened)
    boxes = [_moved(box, MARGIN, MARGIN) for box in laid.boxes]
    edges = [edge.moved(MARGIN, MARGIN) for edge in laid.edges]
    entry = laid.entry and (laid.entry[0] + MARGIN, laid.entry[1] + MARGIN)
    width, height = laid.size.width + 2 * MARGIN, laid.size.height + 2 * MARGIN
    return Drawing(boxes, edges, entry, width, height)


def _moved(box: Box, dx: float, dy: float) -> Box:
    return Box(box.node, box.x + dx, box.y + dy, box.width, box.height, box.framed)


def _box_size(node: Node) -> Size:
    return Size(WIDTH, HEIGHT + PLATE * sheets(node), WIDTH / 2)


def sheets(node: Node) -> int:
    """Return how many sheets show behind a folded group: one, or two for equal blocks."""
    return 0 if not node.children else 1 if node.repeats == 1 else 2


def _content(graph: Graph, group: Node, opened: Set[str]) -> _Laid:
    """Lay out what `group` holds; the root also shows the network's input."""
    edges = graph.inner_edges(group)
    ends = {end for edge in edges for end in edge}
    inside: dict[str, _Laid] = {}
    is_root = group is graph.root
    if _IN in ends:
        inside[_IN] = _Laid(Size(*PILL, PILL[0] / 2) if is_root else Size(0, 0, 0))
    for child in group.children:
        inside[child.id] = _node(graph, child, opened)
    if _OUT in ends:
        inside[_OUT] = _Laid(Size(0, 0, 0))
    placed = arrange({name: laid.size for name, laid in inside.items()}, edges)
    port = next((name for name in (_IN, _OUT) if name in placed.corners), None)
    anchor = placed.corners[port][0] if port and not is_root else placed.width / 2
    whole = _Laid(Size(placed.width, placed.height, anchor))
    for (_, target), route in placed.routes.items():
        leaves = target == _OUT
        # What leaves does so right below where the input comes in: there the next frame waits.
        whole.edges.append(
            Edge(
                [*route[:-2], *((anchor, y) for _, y in route[-2:])] if leaves else route,
                not leaves,
            )
        )
    whole.entry = placed.corners.get(_IN) if is_root else None
    for name, laid in inside.items():
        dx, dy = placed.corners[name]
        whole.boxes += [_moved(box, dx, dy) for box in laid.boxes]
        whole.edges += [edge.moved(dx, dy) for edge in laid.edges]
    return whole


def _node(graph: Graph, node: Node, opened: Set[str]) -> _Laid:
    if not node.children or node.id not in opened:
        size = _box_size(node)
        return _Laid(size, [Box(node, 0, 0, WIDTH, HEIGHT)])
    content = _content(graph, node, opened)
    width = max(content.size.width, WIDTH - 2 * PADDING) + 2 * PADDING
    left = (width - content.size.width) / 2
    # The content starts under the header with its input and ends on the frame's rim.
    rim = 0.0 if any(not edge.arrives for edge in content.edges) else PADDING
    size = Size(width, content.size.height + HEADER + rim, content.size.anchor + left)
    boxes = [_moved(box, left, HEADER) for box in content.boxes]
    edges = [edge.moved(left, HEADER) for edge in content.edges]
    return _Laid(size, [Box(node, 0, 0, width, size.height, framed=True), *boxes], edges)
