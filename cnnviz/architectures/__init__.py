"""The networks of the chapter, one paper per file; importing this package fills the registry."""

from __future__ import annotations

from torch import nn

from cnnviz import registry
from cnnviz.architectures import (
    alexnet,
    convnext,
    googlenet,
    lenet,
    mobilenet,
    resnet,
    vgg,
    zfnet,
)
from cnnviz.registry import KnobValue, Variant, list_variants

__all__ = [
    "Variant",
    "alexnet",
    "build",
    "convnext",
    "googlenet",
    "lenet",
    "list_variants",
    "mobilenet",
    "resnet",
    "vgg",
    "zfnet",
]


def build(name: str, num_classes: int | None = None, **knobs: KnobValue) -> nn.Module:
    """Build the variant called `name` with random weights.

    `num_classes` defaults to the variant's own number; `knobs` are the variant's (see
    `Variant.knobs`). Raises `CnnvizError` for a name, class count or knob that does not exist.
    """
    return registry.get(name).build(num_classes, **knobs)
