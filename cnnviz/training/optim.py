"""How weights move: the optimiser, its rate over time, the loss, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from cnnviz.training.recipe import Recipe

#: Weight of each auxiliary classifier's loss (Szegedy et al. 2014, section 5).
AUXILIARY_WEIGHT = 0.3


def learning_rate(recipe: Recipe, step: int, steps: int, per_epoch: int) -> float:
    """The rate at `step` of `steps`: linear warm-up, then a half cosine down to zero.

    Goyal et al. 2017, section 2.2; Loshchilov & Hutter 2017, equation 5, without restarts.
    """
    warmup = min(round(recipe.warmup_epochs * per_epoch), steps // 2)
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimiser of the parameters that are trained.

    Norms, biases and per-channel scales (one axis) are not decayed.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # One kernel for all parameters, and one that takes fp16's overflows without a wait.
    fused = all(p.is_cuda for p in trained)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, fused=fused)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
    )


def averaged_model(model: nn.Module, decay: float, step: Callable[[], int]) -> AveragedModel:
    """Return the exponential average of `model` (Tarvainen & Valpola 2017); `step` counts."""

    def average(averaged: Any, current: Any, _: Any) -> None:  # noqa: ANN401 - torch's types
        # Young averages forget faster, or the random start would weigh on short runs.
        young = min(decay, (1 + step()) / (10 + step()))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - young)
        else:
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)


def batch_loss(
    outputs: Any,  # noqa: ANN401 - a tensor, or torchvision's tuple of them
    labels: Tensor,
    smoothing: float,
    partners: Tensor | None = None,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy in fp32, and the logits; auxiliary classifiers (GoogLeNet) add theirs.

    Images that were blended with others have their `labels` with weight `share` and those of
    their `partners` with the rest (Zhang et al. 2018, section 2: the loss is linear in the target).
    """
    logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)

    def entropy(head: Tensor) -> Tensor:
        values = head.float()
        own = F.cross_entropy(values, labels, label_smoothing=smoothing)
        if partners is None:
            return own
        theirs = F.cross_entropy(values, partners, label_smoothing=smoothing)
        return share * own + (1 - share) * theirs

    loss = entropy(logits)
    for head in auxiliary:
        if head is not None:
            loss = loss + AUXILIARY_WEIGHT * entropy(head)
    return loss, logits


def gradient_norm(model: nn.Module) -> Tensor:
    """The Euclidean norm of all gradients of `model` taken as one vector: a tensor, no wait."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return nn.utils.get_total_norm(gradients)
