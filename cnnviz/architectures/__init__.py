"""The networks of the chapter, one paper per file; importing this package fills the registry."""

from __future__ import annotations

from torch import nn

from cnnviz import registry
from cnnviz.architectures.published import build_published
from cnnviz.registry import KnobValue, Variant, list_variants

# A family's variants are registered once its family is, and listed in the order of these lines.
# isort: off
import cnnviz.families  # noqa: F401 - registers the families
from cnnviz.architectures import lenet
from cnnviz.architectures import alexnet
from cnnviz.architectures import zfnet
from cnnviz.architectures import vgg
from cnnviz.architectures import googlenet
from cnnviz.architectures import resnet
from cnnviz.architectures import mobilenet
from cnnviz.architectures import convnext
from cnnviz.architectures import convnext_road
# isort: on

__all__ = [
    "Variant",
    "alexnet",
    "build",
    "convnext",
    "convnext_road",
    "googlenet",
    "lenet",
    "list_variants",
    "mobilenet",
    "resnet",
    "vgg",
    "zfnet",
]


def build(
    name: str,
    num_classes: int | None = None,
    weights: str | None = None,
    **knobs: KnobValue,
) -> nn.Module:
    """Build the variant called `name`, with random weights or with published ones.

    `num_classes` defaults to the variant's own number; `knobs` are the variant's (see
    `Variant.knobs`). ``weights="imagenet"`` loads what torchvision publishes for the variant,
    downloaded once into torchvision's cache. Raises `CnnvizError` for a name, class count, knob
    or weights that do not exist, and where the download fails.
    """
    variant = registry.get(name)
    if weights is None:
        return variant.build(num_classes, **knobs)
    return build_published(variant, weights, num_classes, knobs)
