"""Variants and what they cost, without allocating a weight: what `list` and `inspect` print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.anatomy import Trace, trace
from cnnviz.registry import KnobValue, Variant


def inspect_variant(
    name: str,
    input_size: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
    knobs: dict[str, KnobValue] | None = None,
) -> Trace:
    """Trace the variant called `name` on an input of `input_size` (C, H, W; its own if None).

    Raises `CnnvizError` for a name, size, class count or knob that cannot be.
    """
    variant = registry.get(name)
    with torch.device("meta"):
        model = variant.build(num_classes, **(knobs or {}))
    return trace(model, input_size or variant.input_for(**(knobs or {})), name)


def predecessor(variant: Variant) -> Variant | None:
    """Return the network that `variant` is compared with; None for LeNet.

    That is the step before its own on a paper's road, else the one of its edition that its family
    is set against, of the family that `Architecture.changed` names.
    """
    name = variant.step_from or variant.family.against.get(variant.edition)
    return None if name is None else registry.get(name)


def variant_rows(variants: Iterable[Variant]) -> list[dict[str, Any]]:
    """One row a variant: its name, family, year, edition, sizes, parameters and MACs."""
    rows = []
    for variant in variants:
        traced = inspect_variant(variant.name)
        rows.append(
            {
                "name": variant.name,
                "family": variant.family.title,
                "year": variant.family.year,
                "edition": variant.edition,
                "input_size": list(variant.input_size),
                "num_classes": variant.num_classes,
                "params": traced.params,
                "macs": traced.macs,
            }
        )
    return rows
