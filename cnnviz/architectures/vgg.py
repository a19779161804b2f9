"""VGG: nothing but 3 × 3 convolutions, and many of them.

Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015
(arXiv 1409.1556, 2014), Table 1, configurations A, B, D and E. The ImageNet networks are
torchvision's class; `_bn` adds batch normalisation after every convolution, which came after the
paper (Ioffe and Szegedy 2015).
"""

from __future__ import annotations

import functools

from torch import Tensor, nn
from torchvision.models.vgg import VGG, cfgs, make_layers

from cnnviz.architectures.layers import WIDTH, he_initialise, scale_channels
from cnnviz.registry import Change, Variant, register

# The number of layers with weights, and the paper's letter for it (Table 1).
CONFIGURATIONS = {11: "A", 13: "B", 16: "D", 19: "E"}


def build_vgg(num_classes: int, depth: int, batch_norm: bool) -> nn.Module:
    """Build torchvision's VGG with random weights."""
    features = make_layers(cfgs[CONFIGURATIONS[depth]], batch_norm=batch_norm)
    network: nn.Module = VGG(features, num_classes=num_classes)
    return network


class CifarVGG(nn.Module):
    """VGG's convolutions and a head of three small linear layers: (N, 3, 32, 32) -> (N, classes).

    The number of layers with weights is the paper's, so the name still counts them.
    """

    def __init__(
        self, num_classes: int = 10, depth: int = 16, batch_norm: bool = True, width: float = 1.0
    ) -> None:
        super().__init__()
        plan = [c if c == "M" else scale_channels(c, width) for c in cfgs[CONFIGURATIONS[depth]]]
        hidden = scale_channels(512, width)
        self.features = make_layers(plan, batch_norm=batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, num_classes),
        )
        he_initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.features(x)  # (N, 3, 32, 32) -> (N, C, 1, 1)
        x = self.avgpool(x).flatten(1)  # larger images are averaged
        logits: Tensor = self.classifier(x)
        return logits


_BATCH_NORM = Change(
    "Batch normalisation after every convolution",
    "it trains faster and from scratch; the paper came before it",
)


def _variant(depth: int, batch_norm: bool, small: bool) -> Variant:
    builder = functools.partial(
        CifarVGG if small else build_vgg, depth=depth, batch_norm=batch_norm
    )
    changes: tuple[Change, ...] = (_BATCH_NORM,) if batch_norm else ()
    if small:
        changes += (
            Change(
                "Linear layers of 512 (at width 1), not 4096",
                "five pools leave one pixel of 512 channels, and ten classes need fewer weights",
            ),
        )
    norm = "with" if batch_norm else "without"
    return Variant(
        name=f"vgg{depth}{'_bn' if batch_norm else ''}{'_cifar' if small else ''}",
        architecture="vgg",
        title=f"VGG-{depth}{' BN' if batch_norm else ''}{' for CIFAR-10' if small else ''}",
        edition="cifar" if small else "paper",
        input_size=(3, 32, 32) if small else (3, 224, 224),
        num_classes=10 if small else 1000,
        builder=builder,
        knobs=(WIDTH,) if small else (),
        changes=changes,
        summary=f"{depth} layers with weights, {norm} batch normalisation"
        + ("; a small head." if small else "; torchvision's class."),
        weights="" if small else f"VGG{depth}{'_BN' if batch_norm else ''}_Weights.IMAGENET1K_V1",
    )


for _small in (False, True):
    register(_variant(depth, norm, _small) for depth in CONFIGURATIONS for norm in (False, True))
