"""A layered layout of a small directed graph, from top to bottom.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", 1981: ranks by the longest path, long edges through points of their own on each rank
between, order in a rank by barycentres. Places in a rank are then a least-squares fit to the
neighbours' places under the order and the widths, by pooling adjacent violators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP = 14.0  # between neighbours of one rank, pixels
LANE = 16.0  # width of the lane in which a long edge passes other nodes
RANK_GAP, RANK_GAP_MAX = 22.0, 54.0
_SWEEPS = 5  # down and up in turn; the last goes down, which leaves chains straight
_BEND = 1e-6  # weight of a long edge, against 1 of one between neighbouring ranks

Point = tuple[float, float]


@dataclass(frozen=True)
class Size:
    """The room that a node takes; its edges come and go `anchor` right of its left side."""

    width: float
    height: float
    anchor: float


@dataclass(frozen=True)
class Placement:
    """Where everything stands, in pixels from the top left corner.

    Attributes:
        corners: the top left corner of each node.
        routes: for each edge pairs of points: down along each pair is straight, between pairs it
            bends.
        width: of everything.
        height: of everything.

    """

    corners: dict[str, Point]
    routes: dict[tuple[str, str], list[Point]]
    width: float
    height: float


def arrange(sizes: Mapping[str, Size], edges: Sequence[tuple[str, str]]) -> Placement:
    """Place the nodes of `sizes`, which come in an order that all `edges` follow."""
    ranks = _ranks(list(sizes), edges)
    sizes, links, chains = _with_lanes(dict(sizes), edges, ranks)
    rows: list[list[str]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for name in sizes:
        rows[ranks[name]].append(name)
    up: dict[str, list[tuple[str, float]]] = {name: [] for name in sizes}
    down: dict[str, list[tuple[str, float]]] = {name: [] for name in sizes}
    for source, target, weight in links:
        down[source].append((target, weight))
        up[target].append((source, weight))
    _order(rows, up, down)
    anchors = _fit(rows, sizes, up, down)
    _straighten(rows, sizes, anchors, chains.values())
    left = min((anchors[name] - size.anchor for name, size in sizes.items()), default=0.0)
    anchors = {name: x - left for name, x in anchors.items()}
    tops, bottoms = _heights(rows, sizes, anchors, links)
    corners = {name: (anchors[name] - sizes[name].anchor, tops[ranks[name]]) for name in sizes}
    routes = {
        edge: _route(chain, anchors, sizes, ranks, tops, bottoms) for edge, chain in chains.items()
    }
    return Placement(
        corners={name: corner for name, corner in corners.items() if not name.startswith("\0")},
        routes=routes,
        width=max((corners[name][0] + sizes[name].width for name in sizes), default=0.0),
        height=bottoms[-1] if bottoms else 0.0,
    )


def _ranks(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Rank by the longest path; what reads nothing stands just above its first reader."""
    readers: dict[str, list[str]] = {name: [] for name in names}
    reading = set()
    for source, target in edges:
        readers[source].append(target)
        reading.add(target)
    ranks = dict.fromkeys(names, 0)
    for name in names:
        for target in readers[name]:
            ranks[target] = max(ranks[target], ranks[name] + 1)
    for name in names:
        if name not in reading and readers[name]:
            ranks[name] = min(ranks[target] for target in readers[name]) - 1
    lowest = min(ranks.values(), default=0)
    return {name: rank - lowest for name, rank in ranks.items()}


def _with_lanes(
    sizes: dict[str, Size], edges: Iterable[tuple[str, str]], ranks: dict[str, int]
) -> tuple[dict[str, Size], list[tuple[str, str, float]], dict[tuple[str, str], list[str]]]:
    """Add a lane to each rank that an edge passes; `ranks` grows. Give links and chains too."""
    links, chains = [], {}
    for source, target in edges:
        chain = [source]
        for rank in range(ranks[source] + 1, ranks[target]):
            lane = f"\0{source}\0{target}\0{rank}"
            sizes[lane] = Size(LANE, 0, LANE / 2)
            ranks[lane] = rank
            chain.append(lane)
        chain.append(target)
        weight = 1.0 if len(chain) == 2 else _BEND
        links += [(a, b, weight) for a, b in pairwise(chain)]
        chains[source, target] = chain
    return sizes, links, chains


def _order(
    rows: list[list[str]],
    up: Mapping[str, list[tuple[str, float]]],
    down: Mapping[str, list[tuple[str, float]]],
) -> None:
    """Sort each rank by the mean place of its neighbours, downwards and upwards in turn."""
    for sweep in range(4):
        neighbours, others = (up, rows) if sweep % 2 == 0 else (down, rows[::-1])
        for before, row in pairwise(others):
            places = {name: index for index, name in enumerate(before)}
            keys = {}
            for index, name in enumerate(row):
                near = [places[other] for other, _ in neighbours[name]]
                keys[name] = sum(near) / len(near) if near else float(index)
            row.sort(key=keys.__getitem__)


def _fit(
    rows: list[list[str]],
    sizes: Mapping[str, Size],
    up: Mapping[str, list[tuple[str, float]]],
    down: Mapping[str, list[tuple[str, float]]],
) -> dict[str, float]:
    """Find the x of every anchor."""
    anchors: dict[str, float] = {}
    for row in rows:
        anchors |= dict(zip(row, _spread(row, sizes, [0.0] * len(row)), strict=True))
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for name in row:
                near = down[name] if sweep % 2 else up[name]
                near = near or up[name] + down[name]
                if len(near) > 2:  # of a shortcut the lane bends; of many branches each counts
                    near = [(other, 1.0) for other, _ in near]
                total = sum(weight for _, weight in near)
                sought = sum(anchors[other] * weight for other, weight in near)
                wanted.append(sought / total if total else anchors[name])
            anchors |= dict(zip(row, _spread(row, sizes, wanted), strict=True))
    return anchors


def _spread(row: Sequence[str], sizes: Mapping[str, Size], wanted: Sequence[float]) -> list[float]:
    """Return the places nearest to `wanted` at which the nodes of a rank do not touch."""
    offsets, offset = [], 0.0
    for index, name in enumerate(row):
        if index:
            before = sizes[row[index - 1]]
            offset += before.width - before.anchor + GAP + sizes[name].anchor
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, nodes
    for name, place, shift in zip(row, wanted, offsets, strict=True):
        block = (place - shift, _BEND if name.startswith("\0") else 1.0, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, weight, nodes = blocks.pop()
            total = weight + block[1]
            mean = (mean * weight + block[0] * block[1]) / total
            block = (mean, total, nodes + block[2])
        blocks.append(block)
    means = [mean for mean, _, nodes in blocks for _ in range(nodes)]
    return [mean + shift for mean, shift in zip(means, offsets, strict=True)]


def _straighten(
    rows: Sequence[Sequence[str]],
    sizes: Mapping[str, Size],
    anchors: dict[str, float],
    chains: Iterable[Sequence[str]],
) -> None:
    """Put the lanes of a long edge at one x where the nodes beside them leave room for it."""
    beside = {}
    for row in rows:
        for left, name, right in zip(["", *row], row, [*row[1:], ""], strict=False):
            beside[name] = (left, right)
    for chain in chains:
        lanes = chain[1:-1]
        if len(lanes) < 2:
            continue
        low, high = float("-inf"), float("inf")
        for left, right in (beside[lane] for lane in lanes):
            if left:
                edge = anchors[left] + sizes[left].width - sizes[left].anchor
                low = max(low, edge + GAP + LANE / 2)
            if right:
                high = min(high, anchors[right] - sizes[right].anchor - GAP - LANE / 2)
        if low <= high:
            places = sorted(anchors[lane] for lane in lanes)
            x = min(max(places[len(places) // 2], low), high)
            anchors.update(dict.fromkeys(lanes, x))


def _heights(
    rows: Sequence[Sequence[str]],
    sizes: Mapping[str, Size],
    anchors: Mapping[str, float],
    links: Iterable[tuple[str, str, float]],
) -> tuple[list[float], list[float]]:
    """Return the y of each rank's top and bottom; edges that go far aside get more room."""
    places = {name: index for index, row in enumerate(rows) for name in row}
    aside = [0.0] * len(rows)
    for source, target, _ in links:
        rank = places[target]
        aside[rank] = max(aside[rank], abs(anchors[source] - anchors[target]))
    tops: list[float] = []
    bottoms: list[float] = []
    for rank, row in enumerate(rows):
        gap = min(RANK_GAP + aside[rank] * 0.1, RANK_GAP_MAX) if rank else 0.0
        tops.append((bottoms[-1] if bottoms else 0.0) + gap)
        bottoms.append(tops[-1] + max(sizes[name].height for name in row))
    return tops, bottoms


def _route(
    chain: Sequence[str],
    anchors: Mapping[str, float],
    sizes: Mapping[str, Size],
    ranks: Mapping[str, int],
    tops: Sequence[float],
    bottoms: Sequence[float],
) -> list[Point]:
    """Return an edge's straight stretches: beside what is higher than its source, in each lane."""
    first = chain[0]
    points = [
        (anchors[first], tops[ranks[first]] + sizes[first].height),
        (anchors[first], bottoms[ranks[first]]),
    ]
    for lane in chain[1:-1]:
        points += [(anchors[lane], tops[ranks[lane]]), (anchors[lane], bottoms[ranks[lane]])]
    last = chain[-1]
    return [*points, (anchors[last], tops[ranks[last]]), (anchors[last], tops[ranks[last]])]
