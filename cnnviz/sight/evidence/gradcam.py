"""Grad-CAM: where the evidence for a class lies, as a coarse heat map.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017 (arXiv 1610.02391), equations 1 and 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.passes import OUTPUT, Site, check_images, find_sites, frozen_twin, run_to
from cnnviz.sight.evidence.answers import check_targets


def grad_cam(
    model: nn.Module, images: Tensor, layer: str, targets: int | list[int] | None = None
) -> Tensor:
    """Return heat maps (N, H, W) at the images' size, not negative, in units of the logit.

    Each feature map of the layer is weighted by the mean derivative of the class's logit by it;
    the positive part of their sum is enlarged bilinearly.

    Args:
        model: a classifier in evaluation mode that returns logits.
        images: (N, C, H, W), normalised.
        layer: a module's or trace row's path, as for `project`; the last one with positions is
            usual.
        targets: a class for all images or one for each, None for the class that each one gets.

    Raises:
        CnnvizError: as `project` does, and if there is no such class, or the layer has no positions
            or no part in the logits.

    """
    twin = frozen_twin(model)
    batch = check_images(images, twin)
    found: dict[Site, Tensor] = {}

    def keep(site: Site, output: Tensor) -> Tensor:
        found[site] = output
        return output.clone()  # what overwrites this copy in place leaves the maps as they are

    with torch.inference_mode(False), torch.enable_grad():
        (site,) = find_sites(twin, [layer], batch[:1])
        run_to(twin, [site, OUTPUT], batch.clone().requires_grad_().clone(), keep)
        maps, logits = found[site], found[OUTPUT].flatten(1)
        if maps.dim() != 4:
            raise CnnvizError(f"The layer {layer!r} has no positions: choose one before it.")
        chosen = check_targets(targets, logits)
        scores = logits.gather(1, chosen[:, None]).sum()
        (slopes,) = torch.autograd.grad(scores, maps, allow_unused=True)
    if slopes is None:
        raise CnnvizError(f"The logits do not depend on the layer {layer!r}: choose another one.")
    weighted = (slopes.mean((2, 3), keepdim=True) * maps.detach()).sum(1, keepdim=True)
    heat = F.interpolate(weighted.relu(), batch.shape[2:], mode="bilinear", align_corners=False)
    return heat[:, 0].detach().cpu()
