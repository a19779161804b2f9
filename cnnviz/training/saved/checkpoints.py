"""Checkpoints: a network's weights (NAME.safetensors) and what is known of them (NAME.json).

Only safetensors is read, never a pickle, and only into a freshly built network: a load that fails
leaves nothing half overwritten.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.training.saved.card import Card, read_card
from cnnviz.training.saved.files import atomic_write, inside
from cnnviz.training.saved.weights import from_bytes, stored_state, to_bytes
from cnnviz.version import VERSION

_WEIGHTS, _CARD = ".safetensors", ".json"


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
    data = _contents(model, card, VERSION)
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


def _contents(model: nn.Module, card: Card, version: str) -> bytes:
    """Return the bytes of the weights file."""
    classes = str(len(card.classes))
    metadata = {"cnnviz": version, "variant": card.variant, "num_classes": classes}
    return to_bytes(stored_state(model), metadata)


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
    card = _named_card(card_path, name)
    if not weights.is_file():
        raise CnnvizError(f"{weights} is missing: put it beside its card {card_path.name}.")
    return Checkpoint(weights, card)


def _named_card(path: Path, name: str) -> Card:
    """Return the card of the weights called `name`; raise `CnnvizError` if it is no such card."""
    card = read_card(path)
    if card.name != name:
        raise CnnvizError(
            f"{path.name} is the card of {card.name!r}: rename both files to that name, or "
            "the name on the card."
        )
    if not card.sha256:
        raise CnnvizError(f"{path.name} gives no SHA-256 of its weights: get the card again.")
    return card


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


class CardListing(NamedTuple):
    """The cards of a folder that have no weights beside them, and why each broken one is."""

    cards: dict[str, Card]
    problems: dict[str, str]


def scan_cards(folder: Path) -> CardListing:
    """Read the cards of `folder` whose weights are elsewhere: what a network reached is known.

    Of a recipe that was trained with several seeds, the weights of one are enough to look into.
    """
    listing = CardListing({}, {})
    for path in sorted(folder.glob(f"[!.]*{_CARD}")):
        name = path.name.removesuffix(_CARD)
        if path.with_name(name + _WEIGHTS).exists():
            continue
        try:
            listing.cards[name] = _named_card(inside(folder, name, _CARD), name)
        except CnnvizError as error:
            listing.problems[name] = str(error)
    return listing


def save_card(card: Card, folder: Path) -> Path:
    """Write a card without its weights to `folder`, under its name.

    Raises `CnnvizError` where weights of that name are there, which it might not describe.
    """
    if inside(folder, card.name, _WEIGHTS).exists():
        raise CnnvizError(
            f"{card.name} has weights in {folder}: choose another name, or delete them first."
        )
    path = inside(folder, card.name, _CARD)
    atomic_write(path, card.model_dump_json(indent=1).encode() + b"\n")
    return path


def stored_bytes(model: nn.Module, card: Card) -> int:
    """Return the size of the file in which `save_checkpoint` would keep `model`."""
    return len(_contents(model, card, card.versions.get("cnnviz", VERSION)))


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of `folder` that can be read, by name; see `scan_checkpoints`."""
    return scan_checkpoints(folder).checkpoints
