"""How weights move: the optimiser, its rate over time, the loss, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain
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


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Go on from `state`, which may be of another kind of device: its kernels are not taken over.

    Loaded as it is, it would have a GPU go on without its fused kernels, which fp16 relies on.
    """
    saved, own = state["param_groups"], [group["fused"] for group in optimizer.param_groups]
    groups = [{**group, "fused": fused} for group, fused in zip(saved, own, strict=True)]
    optimizer.load_state_dict({**state, "param_groups": groups})


class WeightAverage(AveragedModel):
    """The exponential average of a network and its buffers (Tarvainen & Valpola 2017).

    torch's own update sends its count of updates to the device, which waits for that each time.
    """

    def __init__(self, model: nn.Module, decay: float, step: Callable[[], int]) -> None:
        super().__init__(model, use_buffers=True)
        self._decay, self._step = decay, step

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards `model`; the first time, it becomes what `model` is."""
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        numbers = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        # Young averages forget faster, or the random start would weigh on short runs.
        young = min(self._decay, (1 + self._step()) / (10 + self._step()))
        if self.n_averaged == 0:
            counts, numbers = pairs, []
        if numbers:
            averaged, current = map(list, zip(*numbers, strict=True))
            torch._foreach_lerp_(averaged, current, 1 - young)
        if counts:
            averaged, current = map(list, zip(*counts, strict=True))
            torch._foreach_copy_(averaged, current)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())


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
