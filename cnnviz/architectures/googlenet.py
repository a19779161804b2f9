"""GoogLeNet: branches of several sizes side by side, made affordable by 1 × 1 convolutions.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich, "Going deeper with
convolutions", CVPR 2015 (arXiv 1409.4842, 2014), Table 1. `GoogLeNet2014` is that network.
`googlenet` is torchvision's class, which adds batch normalisation, reads 3 × 3 where the paper
reads 5 × 5, and leaves the response normalisation out.
"""

from __future__ import annotations

import functools
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.googlenet import GoogLeNet, GoogLeNetOutputs

from cnnviz.architectures.layers import WIDTH, LocalResponseNorm, he_initialise, scale_channels
from cnnviz.registry import Change, Knob, Variant, register

# Channels of each module (Table 1): 1×1 | 3×3 reduce, 3×3 | 5×5 reduce, 5×5 | pool projection.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def build_torchvision_googlenet(num_classes: int, aux: bool) -> nn.Module:
    """Build torchvision's GoogLeNet with random weights.

    With `aux`, a training pass returns torchvision's (logits, aux_logits2, aux_logits1).
    """
    network: nn.Module = GoogLeNet(num_classes=num_classes, aux_logits=aux, init_weights=False)
    he_initialise(network)  # torchvision's own truncated normal takes most of a minute
    return network


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, batch_norm: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=not batch_norm)
    ]
    if batch_norm:
        layers.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Four branches on one input, concatenated: (N, in, H, W) -> (N, out, H, W) (Figure 2b).

    `channels` is a row of `INCEPTIONS`; `.out_channels` is the sum over the branches.
    """

    def __init__(
        self, in_channels: int, channels: tuple[int, ...], batch_norm: bool = False
    ) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pool = channels
        convolution = functools.partial(_convolution, batch_norm=batch_norm)
        self.branch1 = convolution(in_channels, one, 1)
        self.branch3 = nn.Sequential(
            convolution(in_channels, reduce3, 1), convolution(reduce3, three, 3)
        )
        self.branch5 = nn.Sequential(
            convolution(in_channels, reduce5, 1), convolution(reduce5, five, 5)
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), convolution(in_channels, pool, 1)
        )
        self.out_channels = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels, side by side."""
        branches = [self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)]
        return torch.cat(branches, dim=1)


class AuxiliaryHead(nn.Module):
    """A classifier on a middle layer, used while training only: (N, C, 14, 14) -> (N, classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv = _convolution(in_channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the head's logits."""
        x = self.conv(self.pool(x)).flatten(1)  # (N, C, 14, 14) -> (N, 128 · 4 · 4)
        logits: Tensor = self.fc2(self.dropout(self.relu(self.fc1(x))))
        return logits


class GoogLeNet2014(nn.Module):
    """GoogLeNet as published: (N, 3, 224, 224) -> (N, classes), 6,998,552 parameters.

    With `aux`, two auxiliary heads (13,378,280 parameters) and a training pass that returns
    (logits, aux_logits2, aux_logits1), as torchvision's does; evaluation returns the logits.
    `lrn` switches the response normalisation around the second convolution.
    """

    def __init__(self, num_classes: int = 1000, aux: bool = False, lrn: bool = True) -> None:
        super().__init__()
        self.conv1 = _convolution(3, 64, 7, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = LocalResponseNorm() if lrn else nn.Identity()
        self.conv2 = nn.Sequential(_convolution(64, 64, 1), _convolution(64, 192, 3))
        self.norm2 = LocalResponseNorm() if lrn else nn.Identity()
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, INCEPTIONS["3a"])
        self.inception3b = Inception(256, INCEPTIONS["3b"])
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, INCEPTIONS["4a"])
        self.inception4b = Inception(512, INCEPTIONS["4b"])
        self.inception4c = Inception(512, INCEPTIONS["4c"])
        self.inception4d = Inception(512, INCEPTIONS["4d"])
        self.inception4e = Inception(528, INCEPTIONS["4e"])
        self.pool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, INCEPTIONS["5a"])
        self.inception5b = Inception(832, INCEPTIONS["5b"])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(1024, num_classes)
        self.aux1 = AuxiliaryHead(512, num_classes) if aux else None
        self.aux2 = AuxiliaryHead(528, num_classes) if aux else None
        he_initialise(self)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Return the logits; in training with auxiliary heads, theirs as well."""
        x = self.norm1(self.pool1(self.conv1(x)))  # (N, 3, 224, 224) -> (N, 64, 56, 56)
        x = self.pool2(self.norm2(self.conv2(x)))  # -> (N, 192, 28, 28)
        x = self.inception3b(self.inception3a(x))  # -> (N, 480, 28, 28)
        middle = self.inception4a(self.pool3(x))  # -> (N, 512, 14, 14)
        late = self.inception4d(self.inception4c(self.inception4b(middle)))  # -> (N, 528, 14, 14)
        x = self.pool4(self.inception4e(late))  # -> (N, 832, 7, 7)
        x = self.inception5b(self.inception5a(x))  # -> (N, 1024, 7, 7)
        logits: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(logits, self.aux2(late), self.aux1(middle))
        return logits


class CifarGoogLeNet(nn.Module):
    """The nine inception modules behind a 3 × 3 stem: (N, 3, 32, 32) -> (N, classes)."""

    def __init__(self, num_classes: int = 10, width: float = 1.0) -> None:
        super().__init__()
        channels = scale_channels(192, width)
        self.stem = _convolution(3, channels, 3, batch_norm=True)
        self.stage3, channels = self._stage(channels, ("3a", "3b"), width)
        self.pool3 = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage4, channels = self._stage(channels, ("4a", "4b", "4c", "4d", "4e"), width)
        self.pool4 = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage5, channels = self._stage(channels, ("5a", "5b"), width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialise(self)

    @staticmethod
    def _stage(channels: int, names: tuple[str, ...], width: float) -> tuple[nn.Sequential, int]:
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for name in names:
            row = tuple(scale_channels(c, width) for c in INCEPTIONS[name])
            module = Inception(channels, row, batch_norm=True)
            modules[f"inception{name}"] = module
            channels = module.out_channels
        return nn.Sequential(modules), channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stem(x)  # (N, 3, 32, 32) -> (N, 192, 32, 32) at width 1
        x = self.stage3(x)  # -> (N, 480, 32, 32)
        x = self.stage4(self.pool3(x))  # -> (N, 832, 16, 16)
        x = self.stage5(self.pool4(x))  # -> (N, 1024, 8, 8)
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


_AUX = Knob("aux", False, "Two auxiliary classifiers on middle layers, used while training.")

_NO_AUX = Change(
    "No auxiliary classifiers (the knob aux brings them)",
    "they take part in training alone, and prediction leaves them out",
    {"aux": False},
)

_SMALL_CHANGES = (
    Change(
        "One 3 × 3 stem of stride 1 in place of 7 × 7, 1 × 1, 3 × 3 and two pools",
        "a 32 × 32 image is too small to be shrunk eightfold before the first module",
    ),
    Change(
        "Batch normalisation after every convolution, no response normalisation",
        "it trains faster and from scratch",
    ),
    Change(
        "No auxiliary classifiers, no dropout",
        "with batch normalisation gradients reach the first layers, and it regularises",
    ),
)

register(
    [
        Variant(
            name="googlenet",
            architecture="googlenet",
            title="GoogLeNet (torchvision)",
            edition="paper",
            input_size=(3, 224, 224),
            num_classes=1000,
            builder=build_torchvision_googlenet,
            knobs=(_AUX,),
            changes=(
                Change("3 × 3 in place of the 5 × 5 branch", "a slip kept for the weights' sake"),
                Change(
                    "Batch normalisation, no response normalisation, no biases",
                    "the published weights come from a later version of the network",
                ),
                Change(
                    "The fourth max-pool is 2 × 2, not 3 × 3, and dropout 0.2, not 0.4",
                    "torchvision's choices, with which its weights were published",
                ),
                Change(
                    "The auxiliary classifiers average to 4 × 4, whatever the input",
                    "torchvision's choice; at 224 × 224 the paper's 5 × 5 windows give 4 × 4, too",
                    {"aux": True},
                ),
                _NO_AUX,
            ),
            summary="Nine inception modules with batch normalisation, 3 × 3 in place of 5 × 5; "
            "torchvision's class.",
            weights="GoogLeNet_Weights.IMAGENET1K_V1",
        ),
        Variant(
            name="googlenet_2014",
            architecture="googlenet",
            title="GoogLeNet (2014)",
            edition="paper",
            input_size=(3, 224, 224),
            num_classes=1000,
            builder=GoogLeNet2014,
            knobs=(_AUX, Knob("lrn", True, "Local response normalisation around conv2.")),
            changes=(_NO_AUX,),
            summary="As published: 5 × 5 branches, biases, response normalisation.",
        ),
        Variant(
            name="googlenet_cifar",
            architecture="googlenet",
            title="GoogLeNet for CIFAR-10",
            edition="cifar",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=CifarGoogLeNet,
            knobs=(WIDTH,),
            changes=_SMALL_CHANGES,
            summary="The nine inception modules behind a 3 × 3 stem.",
        ),
        Variant(
            name="googlenet_slim_cifar",
            architecture="googlenet",
            title="GoogLeNet for CIFAR-10, slim",
            edition="cifar",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=functools.partial(CifarGoogLeNet, width=0.25),
            changes=(
                Change(
                    "A quarter of the channels, rounded to 8",
                    "it trains on a CPU in an hour or two",
                ),
                *_SMALL_CHANGES,
            ),
            summary="The same network with a quarter of the channels, for a CPU.",
        ),
    ]
)
