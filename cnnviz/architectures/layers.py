"""Pieces that several papers share: response normalisation, and the width knob's rounding."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.registry import Change, Knob

WIDTH = Knob("width", 1.0, "Multiplies every layer's channels, rounded to 8.", low=0.125, high=2.0)
LRN = Knob("lrn", True, "Local response normalisation after the first two convolutions.")
LRN_OFF = Knob("lrn", False, LRN.help)

NO_LRN = Change(
    "No local response normalisation (the knob lrn brings it back)",
    "VGG's authors found that it takes memory and time and gains no accuracy (their section 2.1)",
    {"lrn": False},
)

DROPOUT_BEFORE = Change(
    "Dropout before the first two fully connected layers, not after them",
    "torchvision's place for it in AlexNet",
)


def scale_channels(channels: int, width: float) -> int:
    """Multiply a number of channels by `width`, to the nearest multiple of 8 (at least 8)."""
    return channels if width == 1 else max(8, round(channels * width / 8) * 8)


class LocalResponseNorm(nn.Module):
    """Divide each channel by the energy of its neighbours: (N, C, H, W) -> (N, C, H, W).

    b = a / (k + α Σ a²)^β over a window of `size` neighbouring channels, with the constants of
    Krizhevsky et al. 2012 (section 3.3). The window is summed by shifted slices, which on a CPU
    trains several times faster than `nn.LocalResponseNorm`; that one divides α by `size`.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
    ) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised channels."""
        before = self.size // 2
        after = self.size - 1 - before
        squares = F.pad(x.square(), (0, 0, 0, 0, before, after))  # (N, C + size - 1, H, W)
        energy = squares[:, : x.shape[1]]
        for shift in range(1, self.size):
            energy = energy + squares[:, shift : shift + x.shape[1]]
        return x * (self.k + self.alpha * energy).pow(-self.beta)

    def extra_repr(self) -> str:
        """Return the constants, as torch prints them."""
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def he_initialise(network: nn.Module) -> None:
    """Draw every convolution and linear layer from N(0, 2 / fan-in), biases 0 (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
