"""How a network does on labelled images, measured the same way on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnviz.errors import CnnvizError
from cnnviz.training.augment import fit, normalise
from cnnviz.training.calibration import Calibration, Tally
from cnnviz.training.devices.choice import exact_fp32, memory_format


@dataclass(frozen=True)
class Evaluation:
    """How a network does on labelled images. `confusion` is (true class, predicted class).

    `calibration` is None where an output of the network is not finite.
    """

    loss: float
    confusion: Tensor
    calibration: Calibration | None = None

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The fraction of images whose most probable class is right."""
        return float(self.confusion.diagonal().sum()) / max(self.images, 1)

    def per_class(self, classes: tuple[str, ...]) -> dict[str, float]:
        """The accuracy on the images of each class."""
        right, count = self.confusion.diagonal(), self.confusion.sum(1).clamp(min=1)
        return {name: float(right[i]) / int(count[i]) for i, name in enumerate(classes)}


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    size: tuple[int, int],
    resized: int = 0,
    batch_size: int = 500,
) -> Evaluation:
    """Evaluate `model` in fp32, without augmentation, on uint8 images (N, C, H, W).

    Images are brought to `size`; with `resized`, to that side first, and the middle is cut out.
    fp32 whatever it was trained in, so that the figure can be recomputed on any machine. The
    training mode of each module is put back afterwards.
    """
    device = next(model.parameters()).device
    layout = memory_format(device)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    total_loss = torch.zeros((), dtype=torch.float64)
    confusion: Tensor | None = None
    tally = Tally()
    try:
        for batch, target in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            inputs = fit(normalise(batch.to(device), mean, std), size, resized)
            with exact_fp32(device):
                logits = model(inputs.contiguous(memory_format=layout)).float().cpu()
            classes = logits.shape[1]
            if confusion is None:
                confusion = torch.zeros(classes, classes, dtype=torch.long)
            pairs = target.cpu() * classes + logits.argmax(1)
            confusion += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
            total_loss += F.cross_entropy(logits, target.cpu(), reduction="sum").double()
            tally.add(logits, target.cpu())
    finally:
        for module, was_training in modes:
            module.training = was_training
    if confusion is None:
        raise CnnvizError("There are no images to evaluate on.")
    return Evaluation(float(total_loss) / len(images), confusion, tally.calibration())
