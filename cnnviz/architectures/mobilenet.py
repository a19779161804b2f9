"""MobileNet: depthwise separable convolutions for phones.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam, "MobileNets: efficient convolutional
neural networks for mobile vision applications", arXiv 1704.04861, 2017, Table 1. That table gives
the last depthwise convolution stride 2; its output size, 7 × 7, says 1, and so do we.
"""

from __future__ import annotations

import functools

from torch import Tensor, nn

from cnnviz.architectures.layers import scale_channels
from cnnviz.registry import Change, Knob, Variant, register

# (output channels, stride) of the blocks after the stem of 32 channels (paper, Table 1).
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


class SeparableBlock(nn.Module):
    """A 3 × 3 convolution in each channel, then a 1 × 1 across them, each with BN and ReLU.

    (N, in, H, W) -> (N, out, H/stride, W/stride). `full` makes one ordinary 3 × 3 convolution of
    it, for the paper's comparison (Table 4).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, full: bool) -> None:
        super().__init__()
        if full:
            self.full = _convolution(in_channels, out_channels, 3, stride)
        else:
            self.depthwise = _convolution(in_channels, in_channels, 3, stride, groups=in_channels)
            self.pointwise = _convolution(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor
        out = self.full(x) if hasattr(self, "full") else self.pointwise(self.depthwise(x))
        return out


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class MobileNetV1(nn.Module):
    """MobileNet of 28 layers: (N, 3, H, W) -> (N, classes), H and W multiples of 32 at best.

    `width` is the paper's α, which thins every layer (section 3.3), `full` swaps each separable
    pair for an ordinary convolution, `stem_stride` is 2 in the paper. Weights start as torch draws
    them: the larger He weights slow short trainings down, behind so many normalisations.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width: float = 1.0,
        full: bool = False,
        stem_stride: int = 2,
    ) -> None:
        super().__init__()
        channels = scale_channels(32, width)
        self.stem = _convolution(3, channels, 3, stem_stride)
        blocks = []
        for wanted, stride in BLOCKS:
            out_channels = scale_channels(wanted, width)
            blocks.append(SeparableBlock(channels, out_channels, stride, full))
            channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stem(x)  # (N, 3, 224, 224) -> (N, 32α, 112, 112)
        x = self.blocks(x)  # -> (N, 1024α, 7, 7)
        x = self.avgpool(x).flatten(1)
        logits: Tensor = self.fc(x)
        return logits


_ALPHA = Knob(
    "width", 1.0, "α: multiplies every layer's channels, rounded to 8.", low=0.125, high=1.0
)
_RESOLUTION = Knob(
    "resolution",
    224,
    "Height and width of the input in pixels: ρ, the paper's resolution multiplier, times 224.",
    (128, 160, 192, 224),
)

_LAST_STRIDE = Change(
    "The last depthwise convolution has stride 1 where Table 1 prints 2",
    "the table's own output size, 7 × 7, needs 1",
)

register(
    [
        Variant(
            name="mobilenet_v1",
            architecture="mobilenet",
            title="MobileNetV1",
            edition="paper",
            input_size=(3, 224, 224),
            num_classes=1000,
            builder=MobileNetV1,
            knobs=(_ALPHA, _RESOLUTION),
            changes=(_LAST_STRIDE,),
            summary="Thirteen depthwise separable blocks, with the paper's two knobs.",
        ),
        Variant(
            name="mobilenet_v1_full",
            architecture="mobilenet",
            title="MobileNetV1, full convolutions",
            edition="paper",
            input_size=(3, 224, 224),
            num_classes=1000,
            builder=functools.partial(MobileNetV1, full=True),
            knobs=(_RESOLUTION,),
            changes=(_LAST_STRIDE,),
            summary="The same network with ordinary convolutions, as the paper compares.",
        ),
        Variant(
            name="mobilenet_v1_cifar",
            architecture="mobilenet",
            title="MobileNetV1 for CIFAR-10",
            edition="cifar",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=functools.partial(MobileNetV1, stem_stride=1),
            knobs=(_ALPHA,),
            changes=(
                Change("A stem of stride 1, not 2", "the last maps keep 2 × 2 positions, not 1"),
                _LAST_STRIDE,
            ),
            summary="The same blocks after a stem of stride 1.",
        ),
    ]
)
