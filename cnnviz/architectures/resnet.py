"""ResNet: blocks that learn what to add to their input.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016 (arXiv 1512.03385,
2015).

The ImageNet networks are torchvision's own class. It departs from the paper in two places: in a
bottleneck the stride sits on the 3 × 3 convolution, not on the first 1 × 1 ("v1.5"), and the 18
layers project where the shape changes (option B). Their `_cifar` editions are the same class with
a stem for 32 × 32 images. `CifarResNet` is the paper's own network for CIFAR-10 (section 4.2), with
parameter-free shortcuts (option A).
"""

from __future__ import annotations

import functools
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from cnnviz.registry import Change, Knob, Variant, register

# Blocks in each of the four stages of the ImageNet networks (paper, Table 1).
DEPTHS: dict[int, tuple[type[nn.Module], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}

# Blocks in each of the three stages of the CIFAR networks: depth = 6n + 2 (section 4.2).
CIFAR_DEPTHS = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18}


class ZeroPadShortcut(nn.Module):
    """Option A: every stride-th pixel, and zeros for the channels that the block adds.

    (N, in, H, W) -> (N, out, H/stride, W/stride), without a parameter (section 3.3).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.extra = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the strided, zero-padded input."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))  # the last pair pads the channels


class PlainBlock(BasicBlock):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's two-convolution block without its shortcut, for the paper's plain networks."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.downsample = None  # torchvision's stage passes a projection: nothing here reads it

    def forward(self, x: Tensor) -> Tensor:
        """Return the two convolutions of the input."""
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)))
        return out


def build_resnet(
    num_classes: int, depth: int, shortcut: str = "B", plain: bool = False, small: bool = False
) -> nn.Module:
    """Build torchvision's ResNet of `depth` layers.

    `shortcut` is the paper's option (section 4.1): A pads with zeros where the shape changes, B
    projects there, C projects in every block. `plain` leaves the shortcuts out; `small` gives it
    the stem for 32 × 32 images.
    """
    block, stages = DEPTHS[depth]
    network: nn.Module = ResNet(PlainBlock if plain else block, stages, num_classes=num_classes)
    if small:
        network.conv1 = _he_initialised(nn.Conv2d(3, 64, 3, padding=1, bias=False))
        network.maxpool = nn.Identity()
    if not plain and shortcut != "B":
        for module in network.modules():
            if isinstance(module, BasicBlock | Bottleneck):
                _change_shortcut(module, shortcut)
    return network


def _change_shortcut(block: Any, shortcut: str) -> None:  # noqa: ANN401 - torchvision ships no types
    """Turn torchvision's shortcut of one block (option B) into option A or C."""
    channels = (block.conv1.in_channels, block.bn1.num_features * block.expansion)
    if shortcut == "A" and block.downsample is not None:
        block.downsample = ZeroPadShortcut(*channels, stride=block.stride)
    elif shortcut == "C" and block.downsample is None:
        projection = _he_initialised(nn.Conv2d(*channels, 1, bias=False))
        block.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels[1]))


def _he_initialised(conv: nn.Conv2d) -> nn.Conv2d:
    """Draw the weights as torchvision's ResNet does."""
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class CifarBlock(nn.Module):
    """Two 3 × 3 convolutions and an option-A shortcut; `plain` leaves the shortcut out."""

    def __init__(self, in_channels: int, channels: int, stride: int, plain: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module | None = nn.Identity()
        if in_channels != channels:
            self.shortcut = ZeroPadShortcut(in_channels, channels, stride)
        if plain:
            self.shortcut = None
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + shortcut(x))."""
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        if self.shortcut is not None:
            residual = residual + self.shortcut(x)
        out: Tensor = self.relu2(residual)
        return out


class CifarResNet(nn.Module):
    """The paper's network for CIFAR-10 (section 4.2): (N, 3, 32, 32) -> (N, classes).

    Three stages of `blocks` blocks with 16, 32 and 64 maps: 6 · blocks + 2 layers with weights.
    """

    def __init__(self, num_classes: int = 10, blocks: int = 3, plain: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.layer1 = self._stage(16, 16, 1, blocks, plain)
        self.layer2 = self._stage(16, 32, 2, blocks, plain)
        self.layer3 = self._stage(32, 64, 2, blocks, plain)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def _stage(
        in_channels: int, channels: int, stride: int, blocks: int, plain: bool
    ) -> nn.Sequential:
        first = CifarBlock(in_channels, channels, stride, plain)
        rest = [CifarBlock(channels, channels, 1, plain) for _ in range(blocks - 1)]
        return nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stem(x)  # (N, 3, 32, 32) -> (N, 16, 32, 32)
        x = self.layer1(x)
        x = self.layer2(x)  # -> (N, 32, 16, 16)
        x = self.layer3(x)  # -> (N, 64, 8, 8)
        x = self.avgpool(x).flatten(1)  # -> (N, 64)
        logits: Tensor = self.fc(x)
        return logits


_SHORTCUT = Knob(
    "shortcut",
    "B",
    "Where the shape changes: A pads with zeros, B projects; C projects in every block.",
    choices=("A", "B", "C"),
)

_STRIDE_CHANGE = Change(
    "The stride sits on the 3 × 3 convolution of a bottleneck, not on the first 1 × 1",
    "torchvision's choice: no activation is skipped, and accuracy rises by about half a point",
)

_SHORTCUT_CHANGE = Change(
    "1 × 1 convolutions on the shortcuts where the shape changes (option B)",
    "torchvision's choice: the paper's 18 layers have zero padding there (option A, section 4.1)",
    {"shortcut": "B"},
)

_STEM_CHANGES = (
    Change(
        "A 3 × 3 stem of stride 1 in place of 7 × 7 of stride 2",
        "a 32 × 32 image is too small to be halved at once",
    ),
    Change("No max-pool after the stem", "the first stage keeps all 32 × 32 positions"),
)


def _departures(depth: int, plain: bool = False) -> tuple[Change, ...]:
    """What torchvision's class does otherwise than the paper's network of `depth` layers."""
    if DEPTHS[depth][0] is Bottleneck:
        return (_STRIDE_CHANGE,)
    return (_SHORTCUT_CHANGE,) if depth == 18 and not plain else ()


def _imagenet_variant(depth: int, plain: bool = False) -> Variant:
    bottleneck = DEPTHS[depth][0] is Bottleneck
    return Variant(
        name=f"{'plain' if plain else 'resnet'}{depth}",
        architecture="resnet",
        title=f"{'Plain' if plain else 'ResNet'}-{depth}",
        edition="paper",
        input_size=(3, 224, 224),
        num_classes=1000,
        builder=functools.partial(build_resnet, depth=depth, plain=plain),
        knobs=() if plain else (_SHORTCUT,),
        changes=_departures(depth, plain),
        summary=f"The {depth}-layer network without shortcuts; with shortcut A it has no more "
        "parameters."
        if plain
        else f"{sum(DEPTHS[depth][1])} {'bottleneck' if bottleneck else 'basic'} blocks in four "
        "stages; torchvision's class.",
        weights="" if plain else f"ResNet{depth}_Weights.IMAGENET1K_V1",
    )


def _small_variant(depth: int) -> Variant:
    return Variant(
        name=f"resnet{depth}_cifar",
        architecture="resnet",
        title=f"ResNet-{depth} for CIFAR-10",
        edition="cifar",
        input_size=(3, 32, 32),
        num_classes=10,
        builder=functools.partial(build_resnet, depth=depth, small=True),
        knobs=(_SHORTCUT,),
        changes=(*_STEM_CHANGES, *_departures(depth)),
        summary=f"The ImageNet ResNet-{depth} with a stem for small images.",
    )


def _cifar_variant(depth: int, plain: bool = False) -> Variant:
    return Variant(
        name=f"{'plain' if plain else 'resnet'}{depth}_cifar",
        architecture="resnet",
        title=f"{'Plain' if plain else 'ResNet'}-{depth} for CIFAR-10",
        edition="cifar",
        input_size=(3, 32, 32),
        num_classes=10,
        builder=functools.partial(CifarResNet, blocks=CIFAR_DEPTHS[depth], plain=plain),
        changes=(
            Change(
                "Against the paper's ImageNet networks alone: three stages of 16, 32 and 64 maps, "
                "a 3 × 3 stem and no max-pool",
                "the paper's own design for CIFAR-10 (section 4.2), built as it describes it",
            ),
        ),
        summary=f"The paper's {depth}-layer CIFAR-10 network without its shortcuts."
        if plain
        else f"The paper's own {depth}-layer network for CIFAR-10, with parameter-free shortcuts.",
    )


register([_imagenet_variant(depth) for depth in DEPTHS])
register([_imagenet_variant(depth, plain=True) for depth in (18, 34)])
register([_small_variant(depth) for depth in DEPTHS])
register([_cifar_variant(depth) for depth in CIFAR_DEPTHS])
register([_cifar_variant(depth, plain=True) for depth in (20, 56)])
