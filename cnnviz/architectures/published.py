"""Weights that torchvision publishes, for the variants that are torchvision's own classes.

`Variant.weights` names them; they were trained on ImageNet's 1000 classes. torch.hub downloads a
file once, with a progress bar on stderr, into the cache that torchvision uses, and checks its hash.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models import WeightsEnum, get_weight
from torchvision.models.googlenet import GoogLeNet

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue, Variant


@dataclass(frozen=True)
class Published:
    """What torchvision says of its weights for a variant; nothing of it is measured here.

    Attributes:
        weights: torchvision's name of them.
        top1: accuracy on ImageNet's validation images, a fraction.
        top5: how often the class is among the five most probable, a fraction.
        megabytes: size of their file.

    """

    weights: str
    top1: float
    top5: float
    megabytes: float


def published(variant: Variant) -> Published | None:
    """Return what torchvision publishes for `variant`, None where that is nothing."""
    if not variant.weights:
        return None
    meta = get_weight(variant.weights).meta
    accuracy = meta["_metrics"]["ImageNet-1K"]  # in per cent
    return Published(
        variant.weights, accuracy["acc@1"] / 100, accuracy["acc@5"] / 100, meta["_file_size"]
    )


def build_published(
    variant: Variant, weights: KnobValue, num_classes: int | None, knobs: Mapping[str, KnobValue]
) -> nn.Module:
    """Build `variant` with its published weights; `weights` must be "imagenet".

    Raises `CnnvizError` where the variant has none, where classes or knobs do not fit them, and
    where they cannot be downloaded.
    """
    if weights != "imagenet":
        raise CnnvizError(f'weights must be "imagenet" or None, not {weights!r}.')
    check_fit(variant, num_classes, knobs)
    state = _download(variant, get_weight(variant.weights))
    with torch.device("meta"):  # drawing random numbers to overwrite them would take seconds
        network = variant.build(num_classes, **knobs)
    if isinstance(network, GoogLeNet):
        # Trained on inputs scaled to [-1, 1]; the two auxiliary heads in the file are not trained.
        network.transform_input = True
        state = {key: value for key, value in state.items() if not key.startswith("aux")}
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise CnnvizError(
            f"The file of {variant.weights} does not fit {variant.name}: delete it from "
            f"{torch.hub.get_dir()}/checkpoints, so that it is downloaded again."
        ) from error
    return network


def check_fit(variant: Variant, num_classes: int | None, knobs: Mapping[str, KnobValue]) -> None:
    """Raise `CnnvizError` unless `variant`, so built, is what its published weights belong to."""
    if not variant.weights:
        having = ", ".join(item.name for item in registry.list_variants() if item.weights)
        raise CnnvizError(f"{variant.name} has no published weights; these have: {having}.")
    if num_classes not in (None, variant.num_classes):
        raise CnnvizError(
            f"The published weights of {variant.name} are for {variant.num_classes} classes, "
            f"not {num_classes}: leave num_classes out."
        )
    checked = variant.check_knobs(dict(knobs))
    for knob in variant.knobs:
        if checked[knob.name] != knob.default:
            raise CnnvizError(
                f"The published weights of {variant.name} need {knob.name} to be {knob.default}, "
                f"not {checked[knob.name]}."
            )


def _download(variant: Variant, weights: WeightsEnum) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = torch.hub.load_state_dict_from_url(
            weights.url, map_location="cpu", progress=True, check_hash=True, weights_only=True
        )
    except (OSError, http.client.HTTPException) as error:  # no network, no server, a full disk
        reason = getattr(error, "reason", None) or error
        raise CnnvizError(
            f"The published weights of {variant.name} could not be downloaded ({reason}): check "
            f"the network, or put the file of {weights.url} into {torch.hub.get_dir()}/checkpoints."
        ) from error
    except RuntimeError as error:  # a hash that does not match
        raise CnnvizError(
            f"The published weights of {variant.name} arrived broken: try again."
        ) from error
    return state
