"""A sanity check: whether a reconstruction depends on what the network has learnt.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018 (arXiv 1810.03292), section 3: the
weights are randomised one layer after another, from the unit down to the image. A method whose
pictures stay the same shows the image's edges rather than the network; guided backprop is one (see
also Nie et al. 2018, arXiv 1805.07039).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnviz.anatomy import Trace, trace
from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.projection import Projection, project
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.patches import patch_boxes, row_of

#: Times that a module's weights are drawn, at most, until the unit is active.
DRAWS = 8


@dataclass(frozen=True, eq=False)
class SanityStep:
    """A reconstruction after the weights of `randomised` and of all later modules are random.

    `similarity` is the rank correlation, −1 to 1, of its pixels with those of the first step, for
    which `randomised` is None, over the pixels that the position can see: all others are zero in
    both. Signs count: by absolute values alone any two pictures that fade from the middle of a
    field to its edge would be alike. It is 0 where nothing is left to compare.
    """

    randomised: str | None
    projection: Projection
    similarity: float


def sanity_check(
    model: nn.Module,
    image: Tensor,
    layer: str,
    unit: int,
    rule: Rule = "deconvnet",
    seed: int = 0,
) -> Iterator[SanityStep]:
    """Yield reconstructions of `unit` while the weights below it are randomised, layer by layer.

    The first step is the network as it is. The position stays that of its strongest activation.
    Random weights are normal, with mean and deviation of the weights they replace. A module whose
    random weights leave the unit at zero there, with nothing to carry back, draws others, up to
    `DRAWS` times. Works on a copy of the network.

    Args:
        model: a network in evaluation mode.
        image: (1, C, H, W), normalised.
        layer: as for `project`.
        unit: a channel of the layer.
        rule: the backward rule.
        seed: of the random weights.

    Raises:
        CnnvizError: as `project` does, and if more than one image is given.

    """
    if isinstance(image, Tensor) and image.dim() == 4 and len(image) != 1:
        raise CnnvizError(f"The sanity check takes one image, not {len(image)}.")
    first = project(model, image, layer, unit, rule)
    yield SanityStep(None, first, 1.0)
    twin = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    network = trace(model, tuple(image.shape[1:]))
    box = patch_boxes(row_of(network, layer), network, first.positions[0, 0])
    for path in reversed(_modules_up_to(network, layer)):
        drawn = list(twin.get_submodule(path).parameters(recurse=False))
        learnt = [parameter.detach().clone() for parameter in drawn]
        for _ in range(DRAWS):
            for parameter, before in zip(drawn, learnt, strict=True):
                _randomise(parameter, before, generator)
            now = project(twin, image, layer, unit, rule, first.positions)
            if now.activations.any():
                break
        seen = (_cut(step.pixels, box) for step in (first, now))
        yield SanityStep(path, now, _rank_correlation(*seen))


def _cut(pixels: Tensor, box: Tensor) -> Tensor:
    """The part of pixels (…, H, W) in a box (4,)."""
    top, left, height, width = box.tolist()
    return pixels[..., top : top + height, left : left + width]


def _modules_up_to(network: Trace, layer: str) -> list[str]:
    """Modules with weights that run before the output of `layer`, in the order they run."""
    rows = network.layers
    inside = [
        row.index
        for row in rows
        if row.path == layer or row.module == layer or row.module.startswith(f"{layer}.")
    ]
    end = max(inside, default=len(rows) - 1)
    return list(dict.fromkeys(row.module for row in rows[: end + 1] if row.params))


def _randomise(parameter: Tensor, learnt: Tensor, generator: torch.Generator) -> None:
    """Draw `parameter` with the mean and the deviation of what was `learnt`."""
    with torch.no_grad():
        deviation, mean = torch.std_mean(learnt.float(), correction=0)
        noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
        parameter.copy_(noise * deviation + mean)


def _rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation; equal values, such as zeros, share their mean rank."""
    ranks = torch.stack([_ranks(values.flatten().double()) for values in (first, second)])
    centred = ranks - ranks.mean(1, keepdim=True)
    norms = centred.norm(dim=1)
    return float(centred[0] @ centred[1] / (norms[0] * norms[1])) if norms.min() > 0 else 0.0


def _ranks(values: Tensor) -> Tensor:
    _, which, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    mean: Tensor = last - (counts.double() - 1) / 2
    return mean[which]
