"""The networks of the chapter, one paper per file; importing this package fills the registry."""

from __future__ import annotations

from torch import nn

from cnnviz import registry
from cnnviz.registry import KnobValue, Variant, list_variants

# In the order of the road: it decides between two families of one year.
# isort: off
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


def build(name: str, num_classes: int | None = None, **knobs: KnobValue) -> nn.Module:
    """Build the variant called `name` with random weights.

    `num_classes` defaults to the variant's own number; `knobs` are the variant's (see
    `Variant.knobs`). Raises `CnnvizError` for a name, class count or knob that does not exist.
    """
    return registry.get(name).build(num_classes, **knobs)
