"""The road from ResNet-50 to ConvNeXt-T, each step a network.

Liu et al., "A ConvNet for the 2020s", CVPR 2022 (arXiv 2201.03545), section 2, Figure 2 and Table
10. The first network is a ResNet-50 with torchvision's places of the stride, the last is
ConvNeXt-T itself. The paper describes the steps between in words; where that leaves a choice open
(which norms and activations sit around the stem and in the projections), a step changes only what
its sentence names. Two exceptions are listed with their steps: the stem's activation goes with the
blocks' ones, and the last step is the network as released.

Counted in MACs of convolutions and linear layers, the networks cost what Table 10 prints, to both
decimals, but for its last two rows: it gives 4.46 for layer normalisation and 4.49 for separate
down-sampling, where these networks have 4.146 and 4.456 billion. What can be said of that: the last
network is ConvNeXt-T as released, and fvcore counts 4.456 for its convolutions and linear layers
(4.470 with norms and pooling). The row before normalises 2.6 million numbers, so normalisation
alone cannot make the 0.31 that the table adds there: 120 operations each would be needed, where
fvcore counts five. Separate down-sampling adds just that, 0.310. Which operators the two rows
count beyond, the paper does not say.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

from cnnviz.architectures.convnext import build_convnext
from cnnviz.registry import Change, Variant, register


@dataclass(frozen=True)
class Design:
    """What the road changes, one field after the other; the defaults are ResNet-50's."""

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    patchify: bool = False
    depthwise: bool = False
    width: int = 64
    inverted: bool = False
    depthwise_first: bool = False
    kernel: int = 3
    gelu: bool = False
    few_activations: bool = False
    few_norms: bool = False
    layer_norm: bool = False

    def activation(self) -> nn.Module:
        """Return a new activation of this design."""
        return nn.GELU() if self.gelu else nn.ReLU(inplace=True)

    def norm(self, channels: int) -> nn.Module:
        """Return a new normalisation over `channels` of this design."""
        if self.layer_norm:
            norm: nn.Module = LayerNorm2d(channels, eps=1e-6)
            return norm
        return nn.BatchNorm2d(channels)

    def stage_channels(self, stage: int) -> tuple[int, int]:
        """Return the (hidden, output) channels of the blocks of a stage, 0 to 3."""
        narrow = self.width * 2**stage
        return (4 * narrow, narrow) if self.inverted else (narrow, 4 * narrow)


_RESNET = Design()
_RATIO = replace(_RESNET, blocks=(3, 3, 9, 3))
_PATCHIFY = replace(_RATIO, patchify=True)
_DEPTHWISE = replace(_PATCHIFY, depthwise=True)
_WIDTH = replace(_DEPTHWISE, width=96)
_INVERTED = replace(_WIDTH, inverted=True)
_MOVED = replace(_INVERTED, depthwise_first=True)
_KERNEL_7 = replace(_MOVED, kernel=7)
_GELU = replace(_KERNEL_7, gelu=True)
_FEW_ACTIVATIONS = replace(_GELU, few_activations=True)
_FEW_NORMS = replace(_FEW_ACTIVATIONS, few_norms=True)
_LAYER_NORM = replace(_FEW_NORMS, layer_norm=True)

# Title of the step, its design, and the reason for it, "" where the road starts. The paper tries
# the kernels 9 and 11 beside the road and goes on from 7; its new training recipe is a step without
# a network of its own.
STEPS: tuple[tuple[str, Design, str], ...] = (
    ("ResNet-50", _RESNET, ""),
    ("stage ratio 3:3:9:3", _RATIO, "Swin spends its blocks 1:1:3:1"),
    ("patchify stem", _PATCHIFY, "Transformers cut the image into patches"),
    ("depthwise convolution", _DEPTHWISE, "it mixes space but not channels, as attention does"),
    ("width 96", _WIDTH, "wider layers spend the work that depthwise saved"),
    ("inverted bottleneck", _INVERTED, "a Transformer's hidden layer is four times as wide"),
    ("depthwise first", _MOVED, "large kernels are affordable where channels are few"),
    ("kernel 5", replace(_MOVED, kernel=5), "Swin's windows are at least 7 × 7"),
    ("kernel 7", _KERNEL_7, "Swin's windows are at least 7 × 7"),
    ("kernel 9", replace(_MOVED, kernel=9), "tried, but no better than 7"),
    ("kernel 11", replace(_MOVED, kernel=11), "tried, but no better than 7"),
    ("GELU", _GELU, "Transformers use it"),
    ("fewer activations", _FEW_ACTIVATIONS, "a Transformer block has one"),
    ("fewer norms", _FEW_NORMS, "a Transformer block has few"),
    ("layer normalisation", _LAYER_NORM, "Transformers use it"),
)


class RoadBlock(nn.Module):
    """A residual block of any design on the road: (N, in, H, W) -> (N, out, H/stride, W/stride)."""

    def __init__(
        self, design: Design, in_channels: int, hidden: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        first = in_channels if design.depthwise_first else hidden
        spatial = nn.Conv2d(
            first,
            first,
            design.kernel,
            stride,
            design.kernel // 2,
            groups=first if design.depthwise else 1,
            bias=False,
        )
        expand = nn.Conv2d(in_channels, hidden, 1, bias=False)
        project = nn.Conv2d(hidden, out_channels, 1, bias=False)
        order = (spatial, expand, project) if design.depthwise_first else (expand, spatial, project)
        layers: list[nn.Module] = []
        for place, convolution in enumerate(order):
            layers.append(convolution)
            if place == 0 or not design.few_norms:
                layers.append(design.norm(convolution.out_channels))
            if place == 1 or (place == 0 and not design.few_activations):
                layers.append(design.activation())
        self.residual = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, design.norm(out_channels))
        self.activation = nn.Identity() if design.few_activations else design.activation()

    def forward(self, x: Tensor) -> Tensor:
        """Return the residual added to the shortcut."""
        out: Tensor = self.residual(x)
        out += self.shortcut(x)  # in place, as in torchvision's blocks: the memory compares
        summed: Tensor = self.activation(out)
        return summed


class RoadNet(nn.Module):
    """A network of the road, from ResNet-50 on: (N, 3, 224, 224) -> (N, classes)."""

    def __init__(self, num_classes: int = 1000, design: Design = _RESNET) -> None:
        super().__init__()
        channels = design.width
        stem: list[nn.Module]
        if design.patchify:
            stem = [nn.Conv2d(3, channels, 4, stride=4, bias=False), design.norm(channels)]
        else:
            stem = [nn.Conv2d(3, channels, 7, 2, 3, bias=False), design.norm(channels)]
        if not design.few_activations:
            stem.append(design.activation())
        if not design.patchify:
            stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.stem = nn.Sequential(*stem)
        stages = []
        for stage, blocks in enumerate(design.blocks):
            hidden, out_channels = design.stage_channels(stage)
            built = []
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                built.append(RoadBlock(design, channels, hidden, out_channels, stride))
                channels = out_channels
            stages.append(nn.Sequential(*built))
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stages(self.stem(x))  # (N, 3, 224, 224) -> (N, C, 7, 7)
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


_TRIALS = ("kernel 9", "kernel 11")
_SIDE_BY = {11: 8}  # the step that follows the trials goes on from kernel 7
# What a step does beside what its title says.
_ALSO = {
    "fewer activations": (
        Change(
            "The stem's activation goes, too",
            "ConvNeXt's stem has none, and the paper does not say where it was left",
        ),
    ),
    "separate down-sampling": (
        Change(
            "Layer normalisation before each down-sampling and before the classifier",
            "part of this step in the paper: without it training diverged",
        ),
        Change(
            "Biases, LayerScale and stochastic depth",
            "this is the network as released, torchvision's class; the steps before have none",
        ),
    ),
}


def _variant(number: int, title: str, why: str, builder: Callable[..., nn.Module]) -> Variant:
    start = number == 0
    return Variant(
        name=f"convnext_road_{number:02d}",
        architecture="convnext",
        title=f"ConvNeXt road {number:02d} ({title})",
        edition="paper",
        input_size=(3, 224, 224),
        num_classes=1000,
        builder=builder,
        changes=() if start else (Change(title[0].upper() + title[1:], why), *_ALSO.get(title, ())),
        step_from="resnet50" if start else f"convnext_road_{_SIDE_BY.get(number, number - 1):02d}",
        summary="Where the road to ConvNeXt-T starts: ResNet-50."
        if start
        else f"A trial beside the road from ResNet-50 to ConvNeXt-T: {title}."
        if title in _TRIALS
        else f"Step {number} from ResNet-50 to ConvNeXt-T: {title}.",
    )


register(
    _variant(number, title, why, functools.partial(RoadNet, design=design))
    for number, (title, design, why) in enumerate(STEPS)
)
register(
    [
        _variant(
            len(STEPS),
            "separate down-sampling",
            "Swin shrinks its maps between stages; this is ConvNeXt-T",
            functools.partial(build_convnext, size="tiny"),
        )
    ]
)
