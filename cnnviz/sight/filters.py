"""Filters: the kernels of convolutions as arrays to be drawn, and which of them do nothing new."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cnnviz.errors import CnnvizError

Array = NDArray[np.floating[Any]]

#: A filter whose norm is below this part of the layer's median does next to nothing.
DEAD_FRACTION = 1e-3
#: Cosine from which two filters count as near duplicates.
DUPLICATE_COSINE = 0.95


#: How filters can be put in order: by number, the largest norm first, or like beside like.
Order = Literal["number", "norm", "similarity"]


class Pair(NamedTuple):
    """Two filters of a layer and the cosine of the angle between them, -1 to 1."""

    first: int
    second: int
    cosine: float


@dataclass(frozen=True, eq=False)
class Filters:
    """The kernels of one convolution.

    Attributes:
        layer: the convolution's path.
        weights: (filters, channels / groups, height, width).
        groups: into how many groups channels and filters are divided.
        kind: how they are drawn: "colour" (read three channels of an image), "depthwise" (each
            reads one channel of its own), or "deep" (signed weights of each input channel).

    """

    layer: str
    weights: Array
    groups: int
    kind: Literal["colour", "depthwise", "deep"]

    @property
    def is_matrix(self) -> bool:
        """Whether the kernels are 1 × 1 and mix channels: a matrix (filters, channels)."""
        return self.weights.shape[2:] == (1, 1) and self.kind != "depthwise"

    @property
    def tiles(self) -> Array:
        """What is drawn: colour (filters, height, width, 3), depthwise (filters, height, width).

        Deep ones are (filters, channels / groups, height, width), one signed tile a channel.
        """
        if self.kind == "colour":
            return self.weights.transpose(0, 2, 3, 1)
        return self.weights[:, 0] if self.kind == "depthwise" else self.weights

    @cached_property
    def norms(self) -> Array:
        """Euclidean norm of each filter (filters,)."""
        rows = self.weights.reshape(len(self.weights), -1).astype(np.float64)
        norms: Array = np.linalg.norm(rows, axis=1)
        return norms

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which filters are next to zero against the layer's median norm (filters,)."""
        norms = self.norms
        return norms <= DEAD_FRACTION * np.median(norms)

    def duplicates(self, cosine: float = DUPLICATE_COSINE) -> list[Pair]:
        """Pairs of filters that point the same way, the most alike first; dead ones are left out.

        Filters of different groups read different channels and are compared in depthwise layers
        only, where the question is which kernels there are. 1 × 1 kernels of a depthwise layer are
        single numbers and are never alike. Of each pair, `first` < `second`.
        """
        if self._single:
            return []
        alike = np.triu(self._cosines(slice(None)), k=1)
        first, second = np.nonzero(alike >= cosine)
        pairs = [
            Pair(int(a), int(b), float(alike[a, b])) for a, b in zip(first, second, strict=True)
        ]
        return sorted(pairs, key=lambda pair: (-pair.cosine, pair.first, pair.second))

    def neighbours(self, unit: int, count: int = 4) -> list[Pair]:
        """The `count` filters nearest to `unit` by cosine, as pairs whose `first` is `unit`.

        Dead filters and those of other groups are left out, as in `duplicates`. Raises
        `CnnvizError` where there is no such filter.
        """
        if not 0 <= unit < len(self.weights):
            raise CnnvizError(
                f"{self.layer} has the filters 0 to {len(self.weights) - 1}, not {unit}."
            )
        if self._single or self.dead[unit]:
            return []
        alike = self._cosines(slice(unit, unit + 1))[0]
        comparable = ~self.dead & self._together(slice(unit, unit + 1))[0]
        comparable[unit] = False
        nearest = np.argsort(-np.where(comparable, alike, -np.inf), kind="stable")
        return [Pair(unit, int(i), float(alike[i])) for i in nearest[:count] if comparable[i]]

    def order(self, by: Order) -> NDArray[np.intp]:
        """The filters' numbers in an order (filters,).

        "similarity" starts at the largest norm and goes on each time to the filter most like the
        last one; dead ones come last.
        """
        if by == "number":
            return np.arange(len(self.weights))
        strongest = np.argsort(-self.norms, kind="stable")
        if by == "norm" or self._single:
            return strongest
        alike = self._cosines(slice(None))
        open_ = ~self.dead
        chain = [int(strongest[0])]
        open_[chain[0]] = False
        while open_.any():
            chain.append(int(np.where(open_, alike[chain[-1]], -np.inf).argmax()))
            open_[chain[-1]] = False
        reached = set(chain)
        return np.array([*chain, *(unit for unit in strongest if unit not in reached)])

    @property
    def _single(self) -> bool:
        """Whether a filter is one number, which has no direction."""
        return bool(self.weights[0].size == 1)

    def _cosines(self, rows: slice) -> NDArray[np.float32]:
        """Cosines of the filters in `rows` with all (rows, filters); 0 where not comparable."""
        # In 32 bits: a layer of VGG-16 takes 2.4 GFLOPs, and 0.95 needs no more digits.
        flat = self.weights.reshape(len(self.weights), -1)
        unit = (flat / np.where(self.dead, 1, self.norms)[:, None]).astype(np.float32)
        unit[self.dead] = 0
        alike: NDArray[np.float32] = unit[rows] @ unit.T
        alike[~self._together(rows)] = 0
        return alike

    def _together(self, rows: slice) -> NDArray[np.bool_]:
        """Which pairs read the same channels, or are depthwise (rows, filters)."""
        groups = 1 if self.kind == "depthwise" else self.groups
        group = np.arange(len(self.weights)) // (len(self.weights) // groups)
        together: NDArray[np.bool_] = group[rows, None] == group
        return together


def convolutions(model: nn.Module) -> list[str]:
    """Return the paths of the network's two-dimensional convolutions, in the order they are held.

    The network itself is "" where it is one.
    """
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]


def filters(model: nn.Module, layer: str) -> Filters:
    """Return the kernels of the convolution at `layer`, as a copy.

    Raises:
        CnnvizError: if there is no convolution of that name, with the nearest one.

    """
    known = convolutions(model)
    if layer not in known:
        close = difflib.get_close_matches(layer, known, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {len(known)} of them."
        raise CnnvizError(f"{type(model).__name__} has no convolution {layer!r}; {hint}")
    conv = model.get_submodule(layer)
    assert isinstance(conv, nn.Conv2d)  # noqa: S101 - for the type checker: `known` holds no other
    with torch.no_grad():
        weights = conv.weight.detach().float().cpu().numpy().copy()
    kind: Literal["colour", "depthwise", "deep"] = "deep"
    if conv.groups == conv.in_channels and conv.groups > 1:
        kind = "depthwise"
    elif weights.shape[1] == 3 and conv.groups == 1:
        kind = "colour"
    return Filters(layer, weights, conv.groups, kind)
