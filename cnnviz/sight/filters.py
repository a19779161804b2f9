"""Filters: the kernels of convolutions as arrays to be drawn, and which of them do nothing new."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
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


class Pair(NamedTuple):
    """Two filters of a layer, `first` < `second`, and the cosine of the angle between them."""

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
    def tiles(self) -> Array:
        """What is drawn: colour (filters, height, width, 3), depthwise (filters, height, width).

        Deep ones are (filters, channels / groups, height, width), one signed tile a channel.
        """
        if self.kind == "colour":
            return self.weights.transpose(0, 2, 3, 1)
        return self.weights[:, 0] if self.kind == "depthwise" else self.weights

    @property
    def norms(self) -> Array:
        """Euclidean norm of each filter (filters,)."""
        norms: Array = np.linalg.norm(self._rows(), axis=1)
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
        single numbers and are never alike.
        """
        rows = self._rows()
        if rows.shape[1] == 1:
            return []
        norms = self.norms
        unit = rows / np.where(self.dead, 1, norms)[:, None]
        alike = np.triu(unit @ unit.T, k=1)
        alike[self.dead] = 0
        alike[:, self.dead] = 0
        if self.kind != "depthwise":
            group = np.arange(len(rows)) // (len(rows) // self.groups)
            alike[group[:, None] != group] = 0
        first, second = np.nonzero(alike >= cosine)
        pairs = [
            Pair(int(a), int(b), float(alike[a, b])) for a, b in zip(first, second, strict=True)
        ]
        return sorted(pairs, key=lambda pair: (-pair.cosine, pair.first, pair.second))

    def _rows(self) -> Array:
        return self.weights.reshape(len(self.weights), -1).astype(np.float64)


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
