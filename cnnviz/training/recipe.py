"""Everything that decides a training run, as data: a `Recipe` is read, shown, edited and kept.

`default_recipe` gives each family a recipe that its literature would recognise; sources are named
where the numbers stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from torch import nn

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue, Variant
from cnnviz.training.data import DATASETS

Precision = Literal["auto", "fp32", "bf16"]


class Recipe(BaseModel):
    """Everything that decides a training run, beside the device it runs on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    knobs: dict[str, KnobValue] = {}
    dataset: str = "cifar10"
    epochs: int = Field(30, ge=1, le=10_000, description="passes over the training images")
    batch_size: int = Field(128, ge=1, le=65_536, description="images behind each step")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="SGD with momentum, or AdamW")
    lr: float = Field(0.1, gt=0, le=100, description="peak learning rate, before the cosine")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD, in Nesterov's form")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="not applied to norms and biases")
    warmup_epochs: float = Field(1.0, ge=0, le=1000, description="linear rise to the peak rate")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes"
    )
    grad_clip: float = Field(0.0, ge=0, le=1e6, description="largest gradient norm; 0: no limit")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    crop_padding: int = Field(4, ge=0, le=64, description="pixels by which crops are shifted")
    flip: bool = Field(True, description="mirror images at random")
    cutout: int = Field(0, ge=0, le=512, description="side of the erased square; 0: none")
    holdout: int = Field(0, ge=0, le=1_000_000, description="training images kept for validation")
    precision: Precision = Field("auto", description="auto: bf16 where it pays")
    seed: int = Field(0, ge=0, lt=2**31, description="the same seed and device repeat a run")

    @model_validator(mode="after")
    def _known_names(self) -> Recipe:
        if self.dataset not in DATASETS:
            raise ValueError(f"there is no data set {self.dataset!r}; known: {', '.join(DATASETS)}")
        return self

    def changed(self, **changes: Any) -> Recipe:  # noqa: ANN401 - fields of several types
        """Return the recipe with some fields replaced, checked again."""
        return parse_recipe({**self.model_dump(), **changes})


@dataclass(frozen=True)
class Setting:
    """A field of the recipe as a form or a command line offers it.

    `kind` is int, float, bool or str; a str has `choices`, a number `low` and `high`.
    """

    name: str
    help: str
    kind: type
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0


def settings() -> list[Setting]:
    """Return every field that a user may set beside the network and the data set."""
    return [
        _setting(name, field)
        for name, field in Recipe.model_fields.items()
        if name not in ("variant", "knobs", "dataset")
    ]


def _setting(name: str, field: FieldInfo) -> Setting:
    text = field.description or ""
    choices = get_args(field.annotation)
    if choices:
        return Setting(name, text, str, choices)
    kind: Any = field.annotation
    if kind is bool:
        return Setting(name, text, bool)
    bounds = {type(item): item for item in field.metadata}
    step = 1.0 if kind is int else 1e-6  # how far inside an open bound a number still is
    low = getattr(bounds.get(Ge), "ge", None)
    high = getattr(bounds.get(Le), "le", None)
    return Setting(
        name,
        text,
        kind,
        low=float(bounds[Gt].gt + step if low is None else low),
        high=float(bounds[Lt].lt - step if high is None else high),
    )


def parse_recipe(data: dict[str, Any]) -> Recipe:
    """Return the checked recipe, or raise `CnnvizError` naming the first field that is wrong."""
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the recipe"
        raise CnnvizError(f"{field}: {first['msg'].removeprefix('Value error, ')}.") from error
    variant = registry.get(recipe.variant)
    return recipe.model_copy(update={"knobs": variant.check_knobs(recipe.knobs)})


def default_recipe(variant: str, dataset: str = "cifar10", **changes: Any) -> Recipe:  # noqa: ANN401
    """Return the recipe that fits a variant and data set, with `changes` applied."""
    chosen = registry.get(variant)
    fields = {"variant": variant, "dataset": dataset, **_family_defaults(chosen)}
    if dataset == "digits":
        fields |= _DIGITS
    elif "holdout" not in changes:
        fields["holdout"] = 5_000  # He et al. 2015, section 4.2: a 45k / 5k split
    given = {name: value for name, value in changes.items() if value is not None}
    return parse_recipe({**fields, **given})


# The digits are few and centred: small batches, a small shift, and no mirroring (a mirrored 2 is
# no digit).
_DIGITS: dict[str, Any] = {
    "epochs": 20,
    "batch_size": 32,
    "crop_padding": 2,
    "flip": False,
    "cutout": 0,
    "holdout": 240,
}


def _family_defaults(variant: Variant) -> dict[str, Any]:
    """Recipe fields by family."""
    if variant.name == "lenet5":
        # Squared distances to the RBF targets are near 100 at the start: small steps, clipped.
        # Their sum over 84 components loses too much in bf16.
        return {"lr": 0.01, "weight_decay": 0.0, "grad_clip": 1.0, "precision": "fp32"}
    by_family: dict[str, dict[str, Any]] = {
        "lenet": {"lr": 0.05, "epochs": 40, "grad_clip": 2.0},
        # He et al. 2015, section 4.2: rate 0.1, batch 128, momentum 0.9; decay 5e-4 as every
        # later CIFAR recipe has it (theirs: 1e-4 over 164 epochs of steps instead of a cosine).
        "resnet": {"lr": 0.1, "epochs": 40},
        # Without batch normalisation a rate of 0.1 diverges.
        "alexnet": {"lr": 0.02, "grad_clip": 2.0},
        "zfnet": {"lr": 0.02, "grad_clip": 2.0},
        "vgg": {"lr": 0.05 if "_bn" in variant.name else 0.02, "grad_clip": 2.0},
        "googlenet": {"lr": 0.05},
        "mobilenet": {"lr": 0.1},
        # Liu et al. 2022, appendix A: AdamW, decay 0.05, smoothing 0.1, EMA.
        "convnext": {
            "optimizer": "adamw",
            "lr": 2e-3,
            "weight_decay": 0.05,
            "label_smoothing": 0.1,
            "warmup_epochs": 2.0,
            "ema": 0.999,
            "grad_clip": 1.0,
        },
    }
    return by_family.get(variant.architecture, {})


def choose_precision(wanted: Precision, model: nn.Module, device: torch.device) -> str:
    """Return "bf16" or "fp32": what `wanted` means for this network on this device.

    "auto" takes bf16 autocast where it pays: on CUDA devices that have it, and on CPUs with
    bf16 instructions unless the network has depthwise convolutions, which oneDNN runs 1.5 to 2
    times slower in bf16 than in fp32.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type == "cpu" and _cpu_has_bf16() and not _has_depthwise(model):
        return "bf16"
    return "fp32"


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _has_depthwise(model: nn.Module) -> bool:
    return any(
        isinstance(m, nn.Conv2d) and m.groups > 1 and m.groups == m.in_channels
        for m in model.modules()
    )
