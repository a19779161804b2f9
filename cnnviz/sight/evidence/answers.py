"""What some layers give and what the network answers, for a batch of altered images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.passes import OUTPUT, Site, run_to

#: Images of one pass, and their pixels: at 224 × 224 the maps of eleven images fill a gigabyte.
BATCH_SIZE = 64
BATCH_PIXELS = 600_000


def rows_of(images: Tensor) -> int:
    """Return how many images of the size of `images` (N, C, H, W) go through at a time."""
    height, width = images.shape[2:]
    return max(1, min(BATCH_SIZE, BATCH_PIXELS // (height * width)))


def answers(
    twin: nn.Module, sites: Sequence[Site], images: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Return each site's output (N, units, …) by its name, and the logits (N, classes).

    One forward pass of a network in evaluation mode; the outputs are copies.
    """
    found: dict[Site, Tensor] = {}

    def keep(place: Site, output: Tensor) -> None:
        found[place] = output.clone()

    with torch.no_grad():
        run_to(twin, [*dict.fromkeys(sites), OUTPUT], images.clone(), keep)
    return {site.name: found[site] for site in sites}, found[OUTPUT].flatten(1)


def check_targets(targets: int | Sequence[int] | None, logits: Tensor) -> Tensor:
    """Return a class for each row of `logits` (N, classes); None takes the most probable ones.

    Raises:
        CnnvizError: if there is no such class, or not one for each image.

    """
    if targets is None:
        return logits.argmax(1)
    listed = [targets] * len(logits) if isinstance(targets, int) else list(targets)
    if len(listed) != len(logits) or not all(0 <= t < logits.shape[1] for t in listed):
        raise CnnvizError(
            f"Targets are one class from 0 to {logits.shape[1] - 1}, or one for each of the "
            f"{len(logits)} images, not {targets!r}."
        )
    return torch.tensor(listed, device=logits.device)
