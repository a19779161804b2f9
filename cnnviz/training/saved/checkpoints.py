"""Checkpoints: a network's weights (NAME.safetensors) and what is known of them (NAME.json).

Only safetensors is read, never a pickle, and only into a freshly built network: a load that fails
leaves nothing half overwritten.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from torch import Tensor, nn

import cnnviz
import cnnviz.architectures
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue
from cnnviz.training.calibration import Calibration
from cnnviz.training.saved.files import atomic_write, inside, safe_name
from cnnviz.training.saved.weights import from_bytes, stored_state, to_bytes

#: The newest form of card that this version reads, and the one it writes.
CARD_FORMAT = 1
#: Largest card accepted, in bytes: a history of 10,000 epochs takes two million.
CARD_LIMIT = 16_000_000

_WEIGHTS, _CARD = ".safetensors", ".json"


def _none_if_not_finite(value: Any) -> Any:  # noqa: ANN401 - checked by pydantic afterwards
    """JSON has no NaN or infinity; a loss that overflowed is kept as unknown."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Measured = Annotated[int | float | None, BeforeValidator(_none_if_not_finite)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def current_versions() -> dict[str, str]:
    """Return the versions that produce results here: cnnviz, python, torch, torchvision."""
    return {
        "cnnviz": cnnviz.__version__,
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
    seconds: float = Field(0.0, ge=0, description="training time")
    images_per_second: float = Field(0.0, ge=0, description="training speed")
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


@dataclass(frozen=True)
class Checkpoint:
    """A card and the path of the weights beside it. Read with `read_checkpoint`."""

    path: Path
    card: Card

    @property
    def name(self) -> str:
        """The name of the two files without their suffixes."""
        return self.card.name

    @property
    def card_path(self) -> Path:
        """The path of the card."""
        return self.path.with_name(self.name + _CARD)

    def verify(self) -> None:
        """Raise `CnnvizError` if the weights are not those that the card describes."""
        self._weights()

    def load_model(self) -> nn.Module:
        """Return a new network with these weights, on the CPU, fp32, in evaluation mode.

        Raises `CnnvizError` if the weights are damaged or belong to another network.
        """
        state, metadata = from_bytes(self._weights(), self.path.name)
        self._refuse_other_network(metadata)
        card = self.card
        variant = registry.get(card.variant)
        if card.input_size[0] != variant.input_size[0]:
            raise CnnvizError(
                f"The card of {self.name} says channels: {card.input_size[0]}, and {card.variant} "
                f"reads {variant.input_size[0]}: get the card that belongs to the weights."
            )
        model = variant.build(len(card.classes), **card.knobs)
        self._refuse_other_shapes(state, model.state_dict())
        model.load_state_dict(state, strict=True)
        return model.float().eval()

    def _weights(self) -> bytes:
        """Return the bytes of the weights file, or of the one before it: what the card describes.

        A save that was killed between its two files leaves new weights beside the old card; the
        weights of that card are still there as the previous file.
        """
        for path in (self.path, _previous(self.path)):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise CnnvizError(
                    f"{path} cannot be read ({error.strerror}): check its permissions."
                ) from error
            if hashlib.sha256(data).hexdigest() == self.card.sha256:
                return data
        if not self.path.exists():
            raise CnnvizError(f"{self.path} is missing: put it beside its card {self.name}{_CARD}.")
        raise CnnvizError(
            f"{self.path.name} is damaged or was changed (its SHA-256 is not the one on its card): "
            "get both files again."
        )

    def _refuse_other_network(self, metadata: dict[str, str]) -> None:
        ours = (self.card.variant, str(len(self.card.classes)))
        theirs = (metadata.get("variant", ours[0]), metadata.get("num_classes", ours[1]))
        if ours != theirs:
            raise CnnvizError(
                f"The card of {self.name} says {ours[0]} with {ours[1]} classes and its weights "
                f"are of {theirs[0]} with {theirs[1]} classes: get the card that belongs to them."
            )

    def _refuse_other_shapes(self, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
        for key in [*wanted, *sorted(state.keys() - wanted.keys())]:
            ours, theirs = _shape(wanted.get(key)), _shape(state.get(key))
            if ours != theirs:
                card = self.card
                raise CnnvizError(
                    f"The weights of {self.name} are of another network: {card.variant} with "
                    f"{len(card.classes)} classes has {key} {ours}, in the file it is {theirs}; "
                    "get the card that belongs to them."
                )


def _shape(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return f"of size {' × '.join(str(side) for side in tensor.shape) or '1'}"


def _previous(weights: Path) -> Path:
    return weights.with_name(f".{weights.name}.previous")


def save_checkpoint(model: nn.Module, card: Card, folder: Path) -> Checkpoint:
    """Write the weights of `model` and its card to `folder`, under the card's name.

    The card's `sha256` and `params` are filled in. Killed at any moment, the old checkpoint or
    the new one loads. Raises `CnnvizError` if the disk is full or a weight is not finite; what
    was there before is then still there.
    """
    path = inside(folder, card.name, _WEIGHTS)
    inside(folder, card.name, _CARD)
    data = to_bytes(
        stored_state(model),
        {
            "cnnviz": cnnviz.__version__,
            "variant": card.variant,
            "num_classes": str(len(card.classes)),
        },
    )
    filled = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "params": sum(parameter.numel() for parameter in model.parameters()),
    }
    checkpoint = Checkpoint(path, card.model_copy(update=filled))
    _keep_previous(path)
    atomic_write(path, data)
    atomic_write(checkpoint.card_path, checkpoint.card.model_dump_json(indent=1).encode() + b"\n")
    _previous(path).unlink(missing_ok=True)
    return checkpoint


def _keep_previous(weights: Path) -> None:
    """Give the weights that the card on disk describes a second name, until the new card is there.

    Without a checkpoint that loads there is nothing to keep.
    """
    previous = _previous(weights)
    try:
        described = read_checkpoint(weights).card.sha256
    except CnnvizError:
        previous.unlink(missing_ok=True)
        return
    if _sha256(weights) != described:
        return  # a save was killed before its card: the previous file is the good one
    previous.unlink(missing_ok=True)
    try:
        os.link(weights, previous)
    except OSError:  # a disk without hard links
        atomic_write(previous, weights.read_bytes())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the checkpoint at `path`: its card, its weights file, or both without a suffix.

    The card is checked, the weights are only found (`verify` and `load_model` check them). Raises
    `CnnvizError` if either is missing or the card is damaged, newer, or another checkpoint's.
    """
    given = Path(path)
    if given.suffix in (".pt", ".pth", ".pkl", ".bin", ".ckpt"):
        raise CnnvizError(
            f"{given.name} can hold code and is never loaded: give a .safetensors file with its "
            "card beside it."
        )
    name = given.name.removesuffix(_CARD if given.name.endswith(_CARD) else _WEIGHTS)
    weights, card_path = inside(given.parent, name, _WEIGHTS), inside(given.parent, name, _CARD)
    card = _read_card(card_path)
    if card.name != name:
        raise CnnvizError(
            f"{card_path.name} is the card of {card.name!r}: rename both files to that name, or "
            "the name on the card."
        )
    if not card.sha256:
        raise CnnvizError(f"{card_path.name} gives no SHA-256 of its weights: get the card again.")
    if not weights.is_file():
        raise CnnvizError(f"{weights} is missing: put it beside its card {card_path.name}.")
    return Checkpoint(weights, card)


def _read_card(path: Path) -> Card:
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


class Listing(NamedTuple):
    """The checkpoints of a folder, sorted by name, and why each broken one is, by its name."""

    checkpoints: list[Checkpoint]
    problems: dict[str, str]


def scan_checkpoints(folder: Path) -> Listing:
    """Read every checkpoint of `folder`; a missing folder is an empty one.

    A checkpoint is here whatever has weights; a weights file without a card is a problem.
    """
    listing = Listing([], {})
    for path in sorted(folder.glob(f"[!.]*{_WEIGHTS}")):
        try:
            listing.checkpoints.append(read_checkpoint(path))
        except CnnvizError as error:
            listing.problems[path.name.removesuffix(_WEIGHTS)] = str(error)
    return listing


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of `folder` that can be read, by name; see `scan_checkpoints`."""
    return scan_checkpoints(folder).checkpoints
