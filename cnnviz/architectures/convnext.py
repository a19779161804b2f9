"""ConvNeXt: a ResNet brought up to date, step by step, with what Transformers taught.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", CVPR 2022 (arXiv 2201.03545).
All networks are torchvision's class; its `CNBlock` is the paper's block with linear layers for the
1 × 1 convolutions. The sizes below Tiny are those of Woo et al., "ConvNeXt V2", CVPR 2023.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from cnnviz.registry import Change, Knob, Variant, register


@dataclass(frozen=True)
class Size:
    """Channels and blocks of the four stages, and the rate of dropped blocks while training."""

    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    drop: float


SIZES = {
    "atto": Size((40, 80, 160, 320), (2, 2, 6, 2), 0.0),
    "tiny": Size((96, 192, 384, 768), (3, 3, 9, 3), 0.1),
    "small": Size((96, 192, 384, 768), (3, 3, 27, 3), 0.4),
    "base": Size((128, 256, 512, 1024), (3, 3, 27, 3), 0.5),
    "large": Size((192, 384, 768, 1536), (3, 3, 27, 3), 0.5),
}


def build_convnext(num_classes: int, size: str, patch: int = 4) -> nn.Module:
    """Build torchvision's ConvNeXt; its stem reads patches of `patch` × `patch` pixels."""
    wanted = SIZES[size]
    following = (*wanted.channels[1:], None)
    stages = [
        CNBlockConfig(channels, next_channels, blocks)
        for channels, next_channels, blocks in zip(
            wanted.channels, following, wanted.blocks, strict=True
        )
    ]
    network: nn.Module = ConvNeXt(
        stages, stochastic_depth_prob=wanted.drop, num_classes=num_classes
    )
    if patch != 4:
        stem = nn.Conv2d(3, wanted.channels[0], patch, stride=patch)
        nn.init.trunc_normal_(stem.weight, std=0.02)
        if stem.bias is not None:
            nn.init.zeros_(stem.bias)
        network.get_submodule("features.0").add_module("0", stem)  # replaces the 4 × 4 one
    return network


_PATCH = Knob("patch", 2, "Side of the stem's patches in pixels.", (1, 2))


_ATTO = Change(
    "Blocks 2, 2, 6, 2 and 40 to 320 channels: the size Atto, smaller than the paper's T",
    "it trains on a CPU; the size comes from ConvNeXt V2 (Woo et al. 2023)",
)


def _imagenet_variant(size: str) -> Variant:
    return Variant(
        name=f"convnext_{size}",
        architecture="convnext",
        title=f"ConvNeXt-{size.title()}",
        edition="paper",
        input_size=(3, 224, 224),
        num_classes=1000,
        builder=functools.partial(build_convnext, size=size),
        summary=f"{sum(SIZES[size].blocks)} blocks, {SIZES[size].channels[0]} to "
        f"{SIZES[size].channels[-1]} channels; torchvision's class.",
        weights=f"ConvNeXt_{size.title()}_Weights.IMAGENET1K_V1",
    )


def _small_variant(size: str) -> Variant:
    return Variant(
        name=f"convnext_{size}_cifar",
        architecture="convnext",
        title=f"ConvNeXt-{size.title()} for CIFAR-10",
        edition="cifar",
        input_size=(3, 32, 32),
        num_classes=10,
        builder=functools.partial(build_convnext, size=size),
        knobs=(_PATCH,),
        changes=(
            *(
                Change(
                    f"A stem of {patch} × {patch} patches (the knob patch offers {other}), "
                    "not 4 × 4",
                    "four stages on 8 × 8 positions would end in a single one",
                    {"patch": patch},
                )
                for patch, other in ((2, 1), (1, 2))
            ),
            *((_ATTO,) if size == "atto" else ()),
        ),
        summary=f"{sum(SIZES[size].blocks)} blocks, {SIZES[size].channels[0]} to "
        f"{SIZES[size].channels[-1]} channels, on small patches.",
    )


register(_imagenet_variant(size) for size in ("tiny", "small", "base", "large"))
register(_small_variant(size) for size in ("atto", "tiny"))
