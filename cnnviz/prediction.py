"""What trained networks say about a photo: image bytes in, ranked classes out."""

from __future__ import annotations

import difflib
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cnnviz import registry
from cnnviz.digit_photos import as_digit
from cnnviz.errors import CnnvizError
from cnnviz.images import Photo, Pixels, decode, square
from cnnviz.settings import checkpoints_dir, runs_dir
from cnnviz.training.augment import fit, normalise
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import (
    Checkpoint,
    read_checkpoint,
    scan_cards,
    scan_checkpoints,
)
from cnnviz.training.saved.files import inside

#: Forward passes whose median is the latency, after one that warms up.
TIMED_PASSES = 5

# The side of the data sets' images. A network with a larger input was trained on these, enlarged,
# and is shown photos in the same way.
_IMAGE_SIDE = {"cifar10": 32, "digits": 32}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one model says about one photo.

    `title` is the network in words. `classes` and `probabilities` run from the most probable down;
    the probabilities sum to 1 where none was cut off. `accuracy` is the model's on its test set, a
    fraction, None if not measured. `latency_ms` is the median time of a forward pass of this one
    image. `seen` is what the network was given, uint8 (H, W, 3) or (H, W, 1). `notes` is what a
    user should know.
    """

    model: str
    variant: str
    title: str
    dataset: str
    accuracy: float | None
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    latency_ms: float
    seen: Pixels
    notes: tuple[str, ...]


#: More names than this are not listed in a message.
_MOST_LISTED = 12


class Survey(NamedTuple):
    """The trained models by name, and for each broken one a sentence that says why.

    `cards` are those of networks whose weights are not here: they count, and cannot be asked.
    """

    models: dict[str, Checkpoint]
    problems: dict[str, str]
    cards: dict[str, Card]


def survey_models() -> Survey:
    """Look for trained models among the published checkpoints and the runs.

    A published model has its checkpoint's name, a run's model has the run's.
    """
    models: dict[str, Checkpoint] = {}
    problems: dict[str, str] = {}
    runs = runs_dir()
    folders = sorted(runs.iterdir()) if runs.is_dir() else []
    for folder in folders:
        if not folder.is_dir() or not any(folder.glob("[!.]*.safetensors")):
            continue
        try:
            models[folder.name] = _model_of_run(inside(runs, folder.name))
        except CnnvizError as error:
            problems[folder.name] = str(error)
    published = scan_checkpoints(checkpoints_dir())
    # A run that was published would answer twice, with the very same weights.
    known = {checkpoint.card.sha256 for checkpoint in published.checkpoints}
    models = {name: item for name, item in models.items() if item.card.sha256 not in known}
    models |= {checkpoint.name: checkpoint for checkpoint in published.checkpoints}
    alone = scan_cards(checkpoints_dir())
    problems |= published.problems | alone.problems
    here = {checkpoint.card.sha256 for checkpoint in models.values()}
    cards = {
        name: card
        for name, card in alone.cards.items()
        if card.sha256 not in here and name not in models
    }
    for name, checkpoint in list(models.items()):
        if problem := _unknown(checkpoint.card, checkpoint.path.name):
            problems[name] = problem
            del models[name]
    for name, card in list(cards.items()):
        if problem := _unknown(card, f"{name}.json"):
            problems[name] = problem
            del cards[name]
    return Survey(models, problems, cards)


def _unknown(card: Card, file: str) -> str:
    """A sentence where this version does not know the network of `card`, else ""."""
    try:
        registry.get(card.variant)
    except CnnvizError as error:
        return f"{file} cannot be used: {error}"
    return ""


def _model_of_run(folder: Path) -> Checkpoint:
    found = list(folder.glob("[!.]*.safetensors"))
    if len(found) > 1:
        names = ", ".join(sorted(path.name for path in found))
        raise CnnvizError(f"The run {folder.name} has several models ({names}): keep one.")
    return read_checkpoint(found[0])


def find_models() -> dict[str, Checkpoint]:
    """Return every trained model by name; see `survey_models` for the broken ones too."""
    return survey_models().models


def predict(
    image: bytes, models: list[str] | None = None, top: int | None = None
) -> list[Prediction]:
    """Ask trained models about a picture (the bytes of a PNG, JPEG, WebP, GIF, BMP or AVIF file).

    `models` names them, None asks all; `top` cuts each list of classes. One `Prediction` a model,
    in the order asked. Raises `CnnvizError` for a picture that cannot be read, an unknown or
    damaged model, and where no model has been trained.
    """
    if top is not None and top < 1:
        raise CnnvizError(f"top must be 1 or more, not {top}.")
    photo = decode(image)
    return [
        predict_with(checkpoint.load_model(), checkpoint.card, photo, name=name, top=top)
        for name, checkpoint in choose_models(models).items()
    ]


def choose_models(names: list[str] | None) -> dict[str, Checkpoint]:
    """Return the trained models called `names`, all of them for None.

    Raises `CnnvizError` for an unknown or broken one, and where no model has been trained.
    """
    models, problems, cards = survey_models()
    for name in names or ():
        if name in problems:
            raise CnnvizError(problems[name])
        if name in cards:
            raise CnnvizError(
                f"{name} is known by its card alone: its weights are not here, so it cannot be "
                "asked."
            )
        if models and name not in models:
            close = difflib.get_close_matches(name, models, n=1)
            listed = ", ".join(list(models)[-_MOST_LISTED:])  # the published ones come last
            more = "" if len(models) <= _MOST_LISTED else " and others"
            hint = f"did you mean {close[0]!r}?" if close else f"known: {listed}{more}."
            raise CnnvizError(f"There is no trained model called {name!r}; {hint}")
    if not models:
        raise CnnvizError(
            "No model has been trained yet: run `python -m cnnviz train lenet5 --dataset digits`."
        )
    return models if names is None else {name: models[name] for name in names}


def predict_with(
    model: nn.Module,
    card: Card,
    photo: Photo,
    *,
    name: str | None = None,
    top: int | None = None,
) -> Prediction:
    """Ask one loaded model about a photo; the model is not changed, so threads may share it.

    `card` is the model's; `name` is what to call it if not by its card. Raises `ValueError` for a
    model in training mode and `CnnvizError` for one that does not answer with finite numbers.
    """
    if model.training:
        raise ValueError("predict_with needs a model in evaluation mode")
    prepared = prepare(photo, card)
    device = next(model.parameters()).device
    with torch.inference_mode():
        logits, latency = _timed(model, prepared.inputs.to(device))
        probabilities = logits.double().softmax(0)
    if not torch.isfinite(probabilities).all():
        raise CnnvizError(
            f"{name or card.name} gives no finite answer: train it again with a lower rate."
        )
    order = probabilities.argsort(descending=True, stable=True)[:top].tolist()
    return Prediction(
        model=name or card.name,
        variant=card.variant,
        title=card.title,
        dataset=card.dataset,
        accuracy=card.accuracy,
        classes=tuple(card.classes[i] for i in order),
        probabilities=tuple(float(probabilities[i]) for i in order),
        latency_ms=latency,
        seen=prepared.seen,
        notes=(*photo.notes, *prepared.notes),
    )


class InputForm(Protocol):
    """What decides how a network takes a photo; a `Card` says all of it."""

    @property
    def dataset(self) -> str:
        """What it was trained on."""

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    @property
    def resize(self) -> int:
        """The side an image has before the middle is cut out of it; 0: nothing is cut."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of images scaled to 0..1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, of images scaled to 0..1."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A photo as a network takes it.

    `inputs` is normalised, float (1, C, H, W) on the CPU; `seen` is how that looks, uint8
    (H, W, C); `notes` says what was done to it that a user should know.
    """

    inputs: Tensor
    seen: Pixels
    notes: tuple[str, ...]


def prepare(photo: Photo, form: InputForm) -> Prepared:
    """Bring a photo to the form in which a network saw the images of its data set."""
    pixels, notes = _as_dataset(photo, form)
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
    size = (form.input_size[1], form.input_size[2])
    seen = fit(planes.float(), size, form.resize).round().clamp(0, 255).to(torch.uint8)
    return Prepared(
        inputs=fit(normalise(planes, form.mean, form.std), size, form.resize),
        seen=seen[0].permute(1, 2, 0).numpy(),
        notes=notes,
    )


def _timed(model: nn.Module, inputs: Tensor) -> tuple[Tensor, float]:
    """Return the logits (classes,) on the CPU, and the median milliseconds of a forward pass."""
    logits = model(inputs)[0].float().cpu()  # the pass that warms up; .cpu() waits for the device
    seconds = []
    for _ in range(TIMED_PASSES):
        start = time.perf_counter()
        model(inputs)
        if inputs.is_cuda:
            torch.cuda.synchronize(inputs.device)
        seconds.append(time.perf_counter() - start)
    return logits, statistics.median(seconds) * 1000


def _as_dataset(photo: Photo, form: InputForm) -> tuple[Pixels, tuple[str, ...]]:
    """Return the photo as an image (H, W, C) of the form's data set, and notes."""
    channels, height, width = form.input_size
    side = _IMAGE_SIDE.get(form.dataset)
    target = (side, side) if side else (width, height)
    notes: tuple[str, ...] = ()
    if form.dataset == "digits":
        image, notes = as_digit(photo.pixels, target[0])
    else:
        image = Image.fromarray(square(photo.pixels))
        if image.size != target:  # Pillow's filters widen when shrinking: no aliasing
            image = image.resize(target, Image.Resampling.BILINEAR)
    if channels == 1:
        image = image.convert("L")  # ITU-R 601 luma, as the data set was made grey
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1), notes
