"""Cards (NAME.json): what is known of a trained network, with or without its weights beside it."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue
from cnnviz.training.calibration import Calibration
from cnnviz.training.saved.files import safe_name
from cnnviz.version import VERSION

#: The newest form of card that this version reads, and the one it writes.
CARD_FORMAT = 1
#: Largest card accepted, in bytes: a history of 10,000 epochs takes two million.
CARD_LIMIT = 16_000_000


def _none_if_not_finite(value: Any) -> Any:  # noqa: ANN401 - checked by pydantic afterwards
    """JSON has no NaN or infinity; a loss that overflowed is kept as unknown."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Measured = Annotated[int | float | None, BeforeValidator(_none_if_not_finite)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def current_versions() -> dict[str, str]:
    """Return the versions that produce results here: cnnviz, python, torch, torchvision."""
    return {
        "cnnviz": VERSION,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "torchvision": importlib.metadata.version("torchvision"),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Card(BaseModel):
    """What is known of a checkpoint: which network, how it was trained, what it reached.

    Figures are None where they were not measured, as `accuracy` is for an unfinished run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = Field(CARD_FORMAT, ge=1, le=CARD_FORMAT, description="version of this form")
    name: str = Field(description="the checkpoint's name, that of its two files")
    variant: str = Field(min_length=1, max_length=100, description="what to build")
    knobs: dict[str, KnobValue] = Field({}, description="the variant's knobs")
    dataset: str = Field(min_length=1, max_length=100, description="what it was trained on")
    classes: tuple[str, ...] = Field(min_length=1, description="class names, by output unit")
    input_size: tuple[int, int, int] = Field(description="channels, height, width")
    resize: int = Field(
        0,
        ge=0,
        le=4096,
        description="side to which an image is brought before the middle, of input_size, is cut "
        "out of it; 0: it is brought to input_size",
    )
    mean: tuple[float, ...] = Field(description="per channel, of images scaled to 0..1")
    std: tuple[float, ...] = Field(description="per channel, of images scaled to 0..1")
    accuracy: Fraction | None = Field(None, description="fraction right of all test images")
    loss: Measured = Field(None, description="mean cross-entropy on the test images, in nats")
    per_class: dict[str, Fraction] = Field({}, description="fraction right of each class")
    confusion: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...] = Field(
        (), description="test images of each class (rows) by the class they were given"
    )
    calibration: Calibration | None = Field(None, description="confidence against accuracy")
    test_images: int = Field(0, ge=0, description="images behind `accuracy`")
    train_images: int = Field(0, ge=0, description="images trained on")
    recipe: dict[str, Any] = Field({}, description="everything that decided the training")
    seed: int = 0
    epochs: int = Field(0, ge=0, description="epochs trained")
    device: str = Field("", description="the device's name, in words")
    precision: str = Field("fp32", description="number format of the training's forward pass")
    seconds: float = Field(0.0, ge=0, description="training time, evaluating and saving with it")
    images_per_second: float = Field(0.0, ge=0, description="of the training steps alone")
    versions: dict[str, str] = Field(default_factory=current_versions)
    params: int = Field(0, ge=0, description="trainable numbers, counted when saving")
    macs: int | None = Field(None, ge=0, description="multiply-accumulates for one image")
    sha256: str = Field("", pattern="^([0-9a-f]{64})?$", description="of the weights file")
    created: str = Field(default_factory=_now, description="ISO 8601, UTC")
    history: list[dict[str, Measured]] = Field(
        [],
        description="an entry an epoch: epoch, train_loss, train_accuracy, val_loss, "
        "val_accuracy, lr, seconds",
    )

    @property
    def title(self) -> str:
        """The network in words, with the knobs that are not as its variant has them."""
        return registry.get(self.variant).titled(self.knobs)

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        try:
            return safe_name(name)
        except CnnvizError as error:
            raise ValueError(str(error).rstrip(".")) from None

    @field_validator("created")
    @classmethod
    def _has_a_zone(cls, created: str) -> str:
        if datetime.fromisoformat(created).utcoffset() is None:
            raise ValueError("a time needs its zone, as in 2026-01-31T12:00:00+00:00")
        return created

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Card:
        channels = self.input_size[0]
        if any(not 1 <= side <= 4096 for side in self.input_size):
            raise ValueError(f"input_size {list(self.input_size)} is not between 1 and 4096")
        if 0 < self.resize < max(self.input_size[1:]):
            raise ValueError(f"resize {self.resize} is less than the {self.input_size[1]} cut out")
        if len(self.mean) != channels or len(self.std) != channels:
            raise ValueError(
                f"mean has {len(self.mean)} and std {len(self.std)} numbers for {channels} channels"
            )
        if min(self.std) <= 0:
            raise ValueError("std must be above zero")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class name is given twice")
        unknown = set(self.per_class) - set(self.classes)
        if unknown:
            raise ValueError(f"per_class names {sorted(unknown)[0]!r}, which is no class")
        self._refuse_other_test()
        return self

    def _refuse_other_test(self) -> None:
        """The confusion and the calibration, where given, are of these classes and test images."""
        sides = [len(self.confusion), *map(len, self.confusion)]
        if self.confusion and set(sides) != {len(self.classes)}:
            raise ValueError(f"confusion is not {len(self.classes)} rows of as many numbers")
        counts = {"confusion": sum(map(sum, self.confusion)) if self.confusion else None}
        if self.calibration is not None:
            counts["calibration"] = sum(part.count for part in self.calibration.bins)
        for name, count in counts.items():
            if count not in (None, self.test_images):
                raise ValueError(f"{name} counts {count} of {self.test_images} test images")


def read_card(path: Path) -> Card:
    """Return the card at `path`.

    Raises `CnnvizError` if it is missing, damaged, or of a newer format.
    """
    try:
        if path.stat().st_size > CARD_LIMIT:
            raise CnnvizError(f"{path.name} is too large to be a card: get the file again.")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CnnvizError(f"There is no checkpoint card {path}: check the name.") from None
    except OSError as error:
        raise CnnvizError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise CnnvizError(f"{path.name} is not JSON: get the card again.") from error
    version = content.get("format", CARD_FORMAT) if isinstance(content, dict) else CARD_FORMAT
    if type(version) is int and version > CARD_FORMAT:
        raise CnnvizError(
            f"{path.name} is a card of format {version} and this cnnviz reads up to format "
            f"{CARD_FORMAT}: update cnnviz."
        )
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the card"
        message = first["msg"].removeprefix("Value error, ")
        raise CnnvizError(
            f"{path.name} is not a valid card ({field}: {message}): get the card again."
        ) from error
