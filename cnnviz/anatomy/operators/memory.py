"""Memory that training needs: what autograd keeps from the forward pass for the backward pass."""

from __future__ import annotations

import torch
from torch import nn

from cnnviz.anatomy.operators.ledger import storage_of


def saved_bytes(model: nn.Module, image: torch.Tensor) -> int | None:
    """Bytes that autograd keeps for the backward pass of one image, all parameters trained.

    Counted by storage, so that a tensor kept by two operators counts once; parameters and buffers,
    which exist anyway, are left out, the image is not. `model` is put into training mode and its
    buffers are updated: give it a copy (on the meta device it costs no memory). Where batch
    normalisation refuses a batch of one, half the bytes of a batch of two.

    Args:
        model: a copy of the network.
        image: (1, channels, height, width) on the network's device.

    Returns:
        None where the network cannot run in training mode.

    """
    model.train()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(True)
    for batch in (1, 2):
        try:
            return batch_bytes(model, image.expand(batch, -1, -1, -1).contiguous()) // batch
        except ValueError:  # "Expected more than 1 value per channel when training"
            continue
        except Exception:  # noqa: BLE001 - whatever the network's own code raises
            return None
    return None


def batch_bytes(model: nn.Module, images: torch.Tensor) -> int:
    """Bytes that autograd keeps for the backward pass of a batch (N, C, H, W), as `saved_bytes`.

    `model` runs as it is: in its present mode, with its gradients as they are switched on.
    """
    weights = {storage_of(t) for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}  # the tensors are held, so that no storage is used again

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(storage_of(tensor), tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept):
        output = model(images)
    total = sum(t.untyped_storage().nbytes() for s, t in kept.items() if s not in weights)
    del output  # it holds the graph, and the graph the saved tensors, until they are counted
    return total
