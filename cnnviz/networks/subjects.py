"""What can be looked into: a network, its weights, and how a photo becomes its input.

A subject's name says which weights: ``resnet20_cifar`` is a trained model (a published checkpoint
or a run), ``alexnet@imagenet`` has the weights that torchvision publishes, and
``vgg16_cifar@random`` has learnt nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from cnnviz import registry
from cnnviz.architectures import build
from cnnviz.errors import CnnvizError
from cnnviz.images import Photo, Pixels
from cnnviz.prediction import choose_models, prepare
from cnnviz.registry import KnobValue, Variant
from cnnviz.training.saved.checkpoints import Checkpoint

Weights = Literal["trained", "imagenet", "random"]

#: The seed of random weights: the same ones for everybody.
SEED = 0
# The statistics to which torchvision's published weights were trained (its `ImageClassification`).
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Subject:
    """A network with the weights it is looked at with.

    Attributes:
        name: what a link, a picker and the command line call it.
        variant: what to build.
        weights: "trained", "imagenet" (published by torchvision) or "random".
        input_size: (channels, height, width).
        mean: per channel, of images scaled to 0..1.
        std: likewise.
        classes: names of the outputs, empty where they have none.
        dataset: what the weights were trained on: "cifar10", "digits", "imagenet" or "".
        resize: the side an image has before the middle is cut out of it; 0: nothing is cut.
        knobs: those that differ from the variant's own, as sorted pairs.
        checkpoint: the trained model's.

    """

    name: str
    variant: Variant
    weights: Weights
    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] = ()
    dataset: str = ""
    resize: int = 0
    knobs: tuple[tuple[str, KnobValue], ...] = ()
    checkpoint: Checkpoint | None = None

    @property
    def title(self) -> str:
        """The network and its weights in words."""
        return f"{self.variant.titled(dict(self.knobs))} · {self.weights_title}"

    @property
    def weights_title(self) -> str:
        """The weights in words."""
        if self.weights == "random":
            return "random weights"
        if self.weights == "imagenet":
            return "ImageNet"
        data = {"cifar10": "CIFAR-10"}.get(self.dataset, self.dataset)
        known = self.name == self.variant.name
        return f"trained on {data}" if known else f"trained on {data}: {self.name}"

    @property
    def key(self) -> str:
        """What decides the weights, for caches: equal keys have equal weights."""
        if self.checkpoint is not None:
            return self.checkpoint.card.sha256
        return self.variant.weights if self.weights == "imagenet" else f"{self.variant.name}-{SEED}"

    @property
    def num_classes(self) -> int:
        """The number of outputs."""
        return len(self.classes) or self.variant.num_classes

    @property
    def megabytes(self) -> float:
        """The size of the file of published weights in MB; 0 for others."""
        if self.weights != "imagenet":
            return 0.0
        from torchvision.models import get_weight

        return float(get_weight(self.variant.weights).meta["_file_size"])

    @property
    def is_here(self) -> bool:
        """Whether the weights lie on this machine; published ones may have to be downloaded."""
        if self.weights != "imagenet":
            return True
        from torchvision.models import get_weight

        file = Path(get_weight(self.variant.weights).url).name
        return (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file()

    def load(self) -> nn.Module:
        """Return the network on the CPU in evaluation mode; published weights are downloaded.

        Raises `CnnvizError` where the weights are damaged or cannot be downloaded.
        """
        if self.checkpoint is not None:
            return self.checkpoint.load_model()
        if self.weights == "imagenet":
            return build(self.variant.name, weights="imagenet").eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return self.variant.build(self.num_classes, **dict(self.knobs)).eval()

    def look_at(self, photo: Photo) -> tuple[Tensor, Pixels]:
        """Return a photo as the network's input (1, C, H, W), and as it looks, uint8 (H, W, C)."""
        prepared = prepare(photo, self)
        return prepared.inputs, prepared.seen


def trained_subject(name: str, checkpoint: Checkpoint) -> Subject:
    """Return the subject of a trained model, one of `cnnviz.prediction.find_models()`."""
    card = checkpoint.card
    return Subject(
        name=name,
        variant=registry.get(card.variant),
        weights="trained",
        input_size=card.input_size,
        mean=card.mean,
        std=card.std,
        classes=card.classes,
        dataset=card.dataset,
        resize=card.resize,
        knobs=tuple(sorted(card.knobs.items())),
        checkpoint=checkpoint,
    )


def published_subject(variant: Variant) -> Subject:
    """Return `variant` with the weights that torchvision publishes for it.

    Raises `CnnvizError` where there are none.
    """
    if not variant.weights:
        having = ", ".join(v.name for v in registry.list_variants() if v.weights)
        raise CnnvizError(f"{variant.name} has no published weights; these have: {having}.")
    from torchvision.models import get_weight

    names: tuple[str, ...] = tuple(get_weight(variant.weights).meta["categories"])
    mean, std = _IMAGENET
    return Subject(
        f"{variant.name}@imagenet",
        variant,
        "imagenet",
        variant.input_size,
        mean,
        std,
        names,
        dataset="imagenet",
    )


def random_subject(variant: Variant, knobs: Mapping[str, KnobValue] | None = None) -> Subject:
    """Return `variant` before any training, its weights drawn with the seed `SEED`."""
    given = variant.check_knobs(dict(knobs or {}))
    size = variant.input_for(**given)
    mean, std = _IMAGENET if size[0] == 3 else ((0.5,) * size[0], (0.25,) * size[0])
    return Subject(
        f"{variant.name}@random",
        variant,
        "random",
        size,
        mean,
        std,
        knobs=tuple(sorted(given.items())),
    )


def find_subject(name: str) -> Subject:
    """Return the subject called `name`.

    Raises `CnnvizError` where there is no such model or variant, with the nearest one.
    """
    base, _, weights = name.partition("@")
    if not weights:
        return trained_subject(name, choose_models([name])[name])
    if weights == "imagenet":
        return published_subject(registry.get(base))
    if weights == "random":
        return random_subject(registry.get(base))
    raise CnnvizError(
        f"There are no weights called {weights!r}: write {base}@imagenet or {base}@random, or the "
        "name of a trained model."
    )
