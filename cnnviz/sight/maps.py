"""Feature maps: what operators give for some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.sight.backward.passes import Site, check_images, find_sites, frozen_twin, run_to


def feature_maps(model: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return the outputs of `layers` for images (N, C, H, W), all from one forward pass.

    A layer is a module's path or a trace row's path, as for `project`. Its maps are (N, units, H,
    W), or (N, units) where it is fully connected, whatever layout the network uses; they are copies
    on the CPU, so that an operator in place behind the layer does not show in them.

    Raises:
        CnnvizError: if the model is in training mode, a layer does not exist or is not called, or
            the images do not fit.

    """
    twin = frozen_twin(model)
    batch = check_images(images, twin)
    maps: dict[str, Tensor] = {}

    def keep(site: Site, output: Tensor) -> None:
        maps[site.name] = output.detach().cpu().clone(memory_format=torch.contiguous_format)

    with torch.no_grad():
        sites = find_sites(twin, layers, batch[:1])
        run_to(twin, sites, batch.clone(), keep)
    return {layer: maps[layer] for layer in layers}


@dataclass(frozen=True, eq=False)
class Activity:
    """How active the feature maps of one image are.

    Attributes:
        maps: (units, height, width), what an operator gave for the image.

    """

    maps: NDArray[np.floating[Any]]

    @cached_property
    def peaks(self) -> NDArray[np.floating[Any]]:
        """The largest value of each unit (units,)."""
        peaks: NDArray[np.floating[Any]] = self.maps.max(axis=(1, 2))
        return peaks

    @cached_property
    def active(self) -> NDArray[np.float64]:
        """The share of positions of each unit where it is above zero (units,), 0 to 1."""
        return np.asarray((self.maps > 0).mean(axis=(1, 2)))

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Which units are above zero nowhere in this image (units,)."""
        return np.asarray(self.active == 0)

    @cached_property
    def is_rectified(self) -> bool:
        """Whether no value is below zero."""
        return not bool((self.maps < 0).any())

    @property
    def strongest(self) -> NDArray[np.intp]:
        """The units by their peaks, the largest first (units,)."""
        return np.argsort(-self.peaks, kind="stable")
