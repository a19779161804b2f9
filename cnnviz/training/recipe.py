"""Everything that decides a training run, as data: a `Recipe` is read, shown, edited and kept.

`default_recipe` gives each family a recipe that its literature would recognise; sources are named
where the numbers stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.architectures.published import check_fit
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue, Variant
from cnnviz.training.data import DATASETS, IMAGES

Precision = Literal["auto", "fp32", "bf16", "fp16"]

#: Fields that may differ when a run is resumed: they decide nothing that is learnt.
RESULT_FREE = frozenset({"compile", "snapshots", "tensorboard"})


class Recipe(BaseModel):
    """Everything that decides a training run, beside the device it runs on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
    # Zhang et al. 2018, section 3.3, take 0.2 to 0.4 for ImageNet and 1 for CIFAR-10.
    mixup: float = Field(
        0.0, ge=0, le=10, description="blend images in pairs; alpha of the shares; 0: off"
    )
    resize: int = Field(
        0, ge=0, le=1024, description="side to which images are brought; 0: the network's own"
    )
    crop: int = Field(
        0, ge=0, le=1024, description="side cut out at random, the middle when testing; 0: all"
    )
    weights: str = Field(
        "random",
        pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$",
        description="begin with: random, imagenet (published), or a trained model's name",
    )
    freeze: bool = Field(False, description="train the last layer only")
    holdout: int = Field(0, ge=0, le=1_000_000, description="training images kept for validation")
    precision: Precision = Field("auto", description="auto: bf16 where it pays")
    compile: bool = Field(
        False,
        description="torch.compile, without it where that fails; it need not pay: on one core of "
        "an AMD EPYC ResNet-20 trained at 850 images/s plain, and compiled at 740 after 25 s of "
        "compiling",
    )
    snapshots: bool = Field(
        True, description="keep the weights of a few epochs, to see units evolve"
    )
    tensorboard: bool = Field(False, description="write TensorBoard's event files as well")
    seed: int = Field(0, ge=0, lt=2**31, description="the same seed and device repeat a run")

    @model_validator(mode="after")
    def _known_names(self) -> Recipe:
        if self.dataset not in DATASETS:
            raise ValueError(f"there is no data set {self.dataset!r}; known: {', '.join(DATASETS)}")
        if self.freeze and self.weights == "random":
            raise ValueError("freeze needs trained weights to keep: set weights as well")
        return self

    @property
    def title(self) -> str:
        """The network in words, with the knobs that are not as its variant has them."""
        return registry.get(self.variant).titled(self.knobs)

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width to which images are brought before anything is cut out of them."""
        own = registry.get(self.variant).input_for(**self.knobs)
        return (self.resize, self.resize) if self.resize else (own[1], own[2])

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return (self.crop, self.crop) if self.crop else self.resized

    def changed(self, **changes: Any) -> Recipe:  # noqa: ANN401 - fields of several types
        """Return the recipe with some fields replaced, checked again."""
        return parse_recipe({**self.model_dump(), **changes})


@dataclass(frozen=True)
class Setting:
    """A field of the recipe as a form or a command line offers it.

    `kind` is int, float, bool or str. A number has `low` and `high`, a str has `choices` or, being
    free text, none.
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
    if kind in (bool, str):
        return Setting(name, text, kind)
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
    checked = recipe.model_copy(update={"knobs": variant.check_knobs(recipe.knobs)})
    if checked.crop > min(checked.resized):
        raise CnnvizError(
            f"crop: {checked.crop} is more than the side {min(checked.resized)} it is cut out of: "
            "make crop smaller or resize larger."
        )
    train = IMAGES[checked.dataset][0]
    if checked.holdout > train - 2:  # batch norm refuses a batch of one
        raise CnnvizError(
            f"holdout: {checked.holdout:,} of the {train:,} training images of {checked.dataset} "
            f"cannot be held out: choose {train - 2:,} or fewer, or 0 for none."
        )
    if checked.weights == "imagenet":
        check_fit(variant, None, checked.knobs)
    return checked


def refuse_other(begun: dict[str, Any], wanted: Recipe) -> None:
    """Raise `CnnvizError` where a run `begun` with a recipe cannot go on with the `wanted` one."""
    # A field that is younger than the run has its default there: it was trained so.
    saved, asked = parse_recipe(begun).model_dump(), wanted.model_dump()
    different = [
        f"{name} {saved[name]!r} → {asked[name]!r}"
        for name in sorted(asked.keys() - RESULT_FREE)
        if saved[name] != asked[name]
    ]
    if different:
        raise CnnvizError(
            "The run was begun with another recipe and cannot go on with this one "
            f"({'; '.join(different)}): start a new run."
        )


#: The named recipes, in words.
RECIPE_TITLES = {
    "default": "from scratch",
    "chapter": "fine-tune ImageNet weights, as the chapter does",
}


def named_recipes(variant: str, dataset: str = "cifar10") -> dict[str, Recipe]:
    """Return the recipes that there are for a variant and data set, by their names.

    "default" always; "chapter" for CIFAR-10 and the networks that have published weights.
    """
    recipes = {"default": default_recipe(variant, dataset)}
    if registry.get(variant).weights and dataset == "cifar10":
        recipes["chapter"] = default_recipe(variant, dataset, recipe="chapter")
    return recipes


def default_recipe(
    variant: str,
    dataset: str = "cifar10",
    recipe: str = "default",
    **changes: Any,  # noqa: ANN401 - fields of several types
) -> Recipe:
    """Return a named recipe for a variant and data set, with `changes` applied.

    Raises `CnnvizError` for a recipe that the variant does not have on that data set.
    """
    chosen = registry.get(variant)
    fields = {"variant": variant, "dataset": dataset, **_family_defaults(chosen)}
    if recipe != "default":
        _refuse_unknown(recipe, chosen, dataset)
        fields |= {**_CHAPTER, **_CHAPTER_BY_FAMILY.get(chosen.architecture, {})}
    if dataset == "digits":
        fields |= _DIGITS
    elif changes.get("holdout") is None:
        fields["holdout"] = 5_000  # He et al. 2015, section 4.2: a 45k / 5k split
    given = {name: value for name, value in changes.items() if value is not None}
    return parse_recipe({**fields, **given})


def _refuse_unknown(recipe: str, variant: Variant, dataset: str) -> None:
    if recipe not in RECIPE_TITLES:
        raise CnnvizError(f"There is no recipe {recipe!r}; known: {', '.join(RECIPE_TITLES)}.")
    if not variant.weights or dataset != "cifar10":
        raise CnnvizError(
            f"The recipe {recipe!r} fine-tunes published weights on cifar10, and {variant.name} "
            f"on {dataset} cannot be trained so: leave --recipe out."
        )


# The chapter's AlexNet: images brought to 70 × 70 and cropped to 64 × 64, normalised with
# CIFAR-10's statistics (as every run on it is), weights of ImageNet, the last layer replaced. It
# names no optimiser; the small rate is the usual one for weights that are already good.
_CHAPTER: dict[str, Any] = {
    "weights": "imagenet",
    "resize": 70,
    "crop": 64,
    "crop_padding": 0,
    "flip": False,
    "epochs": 10,
    "lr": 0.005,
    "label_smoothing": 0.0,
    "ema": 0.0,
}
# Liu et al. 2022, table 5: fine-tuning with AdamW at 5e-5 and a decay of 1e-8.
_CHAPTER_BY_FAMILY = {"convnext": {"lr": 5e-5, "weight_decay": 1e-8}}

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
