"""Networks from outside the registry: torchvision's by name, and your own as ``module:factory``.

Your own code is imported from the current directory by whoever types the command; nothing here
takes a file from a web page.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnnviz import registry
from cnnviz.anatomy import Trace, trace
from cnnviz.errors import CnnvizError
from cnnviz.networks import catalogue
from cnnviz.registry import KnobValue

INPUT_SIZE = (3, 224, 224)
"""(channels, height, width) that a network of unknown size is given."""


def inspect_network(
    name: str,
    input_size: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
    knobs: dict[str, KnobValue] | None = None,
) -> Trace:
    """Trace a variant, a torchvision model or, as ``package.module:factory``, your own network.

    `input_size` is (C, H, W); by default the variant's own, that of a torchvision model's weights,
    else `INPUT_SIZE`. Knobs are for
    variants, `num_classes` for variants and torchvision's models.

    Raises `CnnvizError`, with one sentence, for a name that is none of them, for code that cannot
    be imported or called, and for sizes, classes and knobs that do not fit.
    """
    known = {variant.name for variant in registry.list_variants()}
    own = ":" in name
    if not own and (name in known or name not in torchvision_names()):
        return catalogue.inspect_variant(name, input_size, num_classes, knobs)
    if knobs:
        raise CnnvizError(
            f"{name} has no knobs: leave --width and --set to the variants of `list`."
        )
    if own and num_classes is not None:
        raise CnnvizError(f"--classes cannot reach {name}: let its factory decide.")
    model = load_own(name) if own else build_torchvision(name, num_classes)
    try:
        return trace(model, input_size or (INPUT_SIZE if own else _size_of(name, model)), name)
    except CnnvizError as error:
        if input_size is not None or "does not fit" not in str(error):
            raise
        hint = "name the size that it reads with --input, as in --input 1x28x28."
        raise CnnvizError(f"{str(error).removesuffix('.')}; {hint}") from error


def torchvision_names() -> list[str]:
    """Return the names of torchvision's models."""
    import torchvision

    names: list[str] = torchvision.models.list_models()
    return names


def _size_of(name: str, model: nn.Module) -> tuple[int, int, int]:
    """Return the (C, H, W) that a torchvision model is built for, or its first published weights.

    `INPUT_SIZE` where neither names one, as for a detector, which takes any.
    """
    import torchvision

    side = getattr(model, "image_size", None)  # a vision transformer takes no other
    if isinstance(side, int):
        return (INPUT_SIZE[0], side, side)
    weights = next(iter(torchvision.models.get_model_weights(name)), None)
    sides = getattr(weights.transforms(), "crop_size", None) if weights else None
    return (INPUT_SIZE[0], *(sides * 2)[:2]) if sides else INPUT_SIZE


def build_torchvision(name: str, num_classes: int | None = None) -> nn.Module:
    """Build the torchvision model called `name`, on the meta device where that is enough for it.

    Nothing is downloaded: weights are random, or none at all.

    Raises `CnnvizError` for a number of classes that it does not take, or where the model cannot
    be built.
    """
    import torchvision

    builder = torchvision.models.get_model_builder(name)
    accepted = inspect.signature(builder).parameters
    arguments: dict[str, Any] = {"weights": None}
    if "weights_backbone" in accepted:
        arguments["weights_backbone"] = None  # the default is a download
    if num_classes is not None:
        if num_classes < 1:
            raise CnnvizError(
                f"num_classes must be a whole number of 1 or more, not {num_classes}."
            )
        arguments["num_classes"] = num_classes
    if ".quantization." in builder.__module__:
        arguments["quantize"] = False
    # A detector's path depends on the boxes that it finds.
    needs_values = ".detection." in builder.__module__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about weights that nobody asked for
        if not needs_values:
            with contextlib.suppress(Exception), torch.device("meta"):
                model: nn.Module = builder(**arguments)
                return model
        try:  # a RegNet computes its widths with tensors
            with torch.device("cpu"):
                model = builder(**arguments)
        except Exception as error:
            raise CnnvizError(
                f"torchvision cannot build {name} here: {_first_line(error)}."
            ) from error
    return model


def load_own(place: str) -> nn.Module:
    """Import ``package.module:factory`` from the current directory and call the factory.

    The factory, or class, is called without arguments and must return a `torch.nn.Module`. What
    the code prints goes to stderr. Raises `CnnvizError` where any of that fails.
    """
    module_name, _, attribute = place.partition(":")
    parts = [*module_name.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise CnnvizError(
            f"{place!r} names no network: write package.module:factory, such as mynets.small:build."
        )
    with _from_here(), contextlib.redirect_stdout(sys.stderr):
        module = _import(module_name)
        factory: Any = module
        for part in attribute.split("."):
            if not hasattr(factory, part):
                raise CnnvizError(
                    f"{module_name} has no {attribute!r}: check the name after the colon."
                )
            factory = getattr(factory, part)
        if isinstance(factory, nn.Module):
            return factory
        if not callable(factory):
            raise CnnvizError(
                f"{place} is a {type(factory).__name__}: name a class or a function that returns "
                "a torch.nn.Module."
            )
        try:
            model = factory()
        except (Exception, SystemExit) as error:
            raise CnnvizError(
                f"Calling {place} without arguments failed ({_first_line(error)})."
            ) from error
    if not isinstance(model, nn.Module):
        raise CnnvizError(f"{place} must return a torch.nn.Module, not a {type(model).__name__}.")
    return model


def _import(name: str) -> Any:  # noqa: ANN401 - whatever the module is
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise CnnvizError(
                f"There is no module {error.name!r} in {Path.cwd()} or among the installed "
                "packages: run the command in the folder that holds it."
            ) from error
        raise CnnvizError(f"Importing {name} failed ({_first_line(error)}).") from error
    except (Exception, SystemExit) as error:
        raise CnnvizError(f"Importing {name} failed ({_first_line(error)}).") from error


@contextlib.contextmanager
def _from_here() -> Iterator[None]:
    """Look for modules in the current directory first, for as long as the context lasts."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _first_line(error: BaseException) -> str:
    line = next(iter(str(error).splitlines()), "")[:200].rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
