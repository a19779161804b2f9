"""Feature maps: what operators give for some images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnnviz.sight.passes import Site, check_images, find_sites, frozen_twin, run_to


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
