"""cnnviz: look inside the networks on the road from LeNet to ConvNeXt.

The names below are loaded when they are first used, so that ``import cnnviz`` alone stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnviz.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from cnnviz.anatomy import Layer as Layer
    from cnnviz.anatomy import Trace as Trace
    from cnnviz.anatomy import trace as trace
    from cnnviz.architectures import build as build
    from cnnviz.architectures import list_variants as list_variants
    from cnnviz.prediction import Prediction as Prediction
    from cnnviz.prediction import predict as predict
    from cnnviz.sight import Projection as Projection
    from cnnviz.sight import backward_rule as backward_rule
    from cnnviz.sight import project as project
    from cnnviz.sight import top_activations as top_activations

_HOME = {
    "list_variants": "cnnviz.architectures",
    "build": "cnnviz.architectures",
    "trace": "cnnviz.anatomy",
    "Trace": "cnnviz.anatomy",
    "Layer": "cnnviz.anatomy",
    "predict": "cnnviz.prediction",
    "Prediction": "cnnviz.prediction",
    "project": "cnnviz.sight",
    "Projection": "cnnviz.sight",
    "top_activations": "cnnviz.sight",
    "backward_rule": "cnnviz.sight",
}

__all__ = [
    "Layer",
    "Prediction",
    "Projection",
    "Trace",
    "backward_rule",
    "build",
    "list_variants",
    "predict",
    "project",
    "top_activations",
    "trace",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module offers
    if name not in _HOME:
        raise AttributeError(f"module 'cnnviz' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
