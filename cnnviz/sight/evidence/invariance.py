"""Invariance: how far features move, and what becomes of the answer, as images are transformed.

Zeiler & Fergus 2013 (arXiv 1311.2901v3), section 4, "Feature Invariance", and figure 5: five images
are moved vertically, enlarged and turned; small changes move the first layer's features far and
the top layer's little, and only turning destroys the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.passes import check_images, find_sites, frozen_twin
from cnnviz.sight.evidence.answers import answers, check_targets, rows_of

Transformation = Literal["translation", "scale", "rotation"]
Border = Literal["edge", "mean"]

TRANSFORMATIONS: tuple[Transformation, ...] = get_args(Transformation)
BORDERS: tuple[Border, ...] = get_args(Border)

#: The paper's ranges: ± 60 of 224 pixels, up to 1.8 times, a full turn.
_REACH, _LARGEST, _TURN = 60 / 224, 1.8, 360.0


@dataclass(frozen=True, eq=False)
class Invariance:
    """How the features and the answers of N images change along one transformation.

    Attributes:
        kind: the transformation.
        amounts: its amounts A: pixels downwards, factors, or degrees counter-clockwise.
        distances: of each layer, (N, A), the Euclidean distance between the features of the image
            and of the transformed image.
        relative: the same, divided by the length of the untouched image's feature vector: 1 is as
            far as no features at all; not a number where that length is 0.
        probabilities: (N, A), of the class asked about, 0 to 1.
        best: (N, A), int64, the most probable class.
        targets: the N classes asked about.

    """

    kind: Transformation
    amounts: tuple[float, ...]
    distances: dict[str, Tensor]
    relative: dict[str, Tensor]
    probabilities: Tensor
    best: Tensor
    targets: tuple[int, ...]


def paper_amounts(kind: Transformation, height: int, count: int = 25) -> tuple[float, ...]:
    """Return about `count` amounts over the paper's range, for images `height` pixels high.

    Pixels are whole, so that nothing is resampled, and the untouched image is always among them.
    """
    _check(kind, TRANSFORMATIONS, "transformation")
    if kind == "translation":
        reach = round(_REACH * height)
        shifts = torch.linspace(-reach, reach, count | 1).round().tolist()  # odd: 0 is in it
        return tuple(sorted({float(shift) for shift in shifts}))
    last = _LARGEST if kind == "scale" else _TURN
    first = 1.0 if kind == "scale" else 0.0
    return tuple(first + (last - first) * i / (count - 1) for i in range(count))


def transform(
    images: Tensor, kind: Transformation, amount: float, border: Border = "edge"
) -> Tensor:
    """Return transformed images, of the size they have.

    Args:
        images: (N, C, H, W), normalised.
        kind: "translation" by whole pixels downwards, "scale" by a factor and "rotation" by degrees
            counter-clockwise, both about the centre and bilinear.
        amount: how much of it. The images themselves are returned for no change.
        border: what fills in from outside: "edge" repeats the outermost pixels, "mean" is the
            data set's mean, 0 in normalised units.

    Raises:
        CnnvizError: for an unknown transformation or border, or an amount that means nothing.

    """
    _check(kind, TRANSFORMATIONS, "transformation")
    _check(border, BORDERS, "border")
    if not math.isfinite(amount) or (kind == "scale" and amount <= 0):
        raise CnnvizError(f"A {kind} by {amount} is not possible: choose a finite amount above 0.")
    if kind == "translation":
        return _shifted(images, round(amount), border)
    angle = math.radians(amount % _TURN) if kind == "rotation" else 0.0
    zoom = amount if kind == "scale" else 1.0
    if angle == 0 and zoom == 1:
        return images
    height, width = images.shape[2:]
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    # From places in the result to places in the image, both counted −1 to 1 along each side.
    back = [[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]
    theta = images.new_tensor(back).expand(len(images), 2, 3)
    places = F.affine_grid(theta, list(images.shape), align_corners=False)
    padding = "border" if border == "edge" else "zeros"
    return F.grid_sample(images, places, "bilinear", padding, align_corners=False)


def invariance(
    model: torch.nn.Module,
    images: Tensor,
    layers: Sequence[str],
    kind: Transformation,
    amounts: Sequence[float] | None = None,
    targets: int | Sequence[int] | None = None,
    border: Border = "edge",
    progress: Callable[[int, int], None] | None = None,
) -> Invariance:
    """Transform `images` step by step and record layers and answers.

    Args:
        model: a classifier in evaluation mode that returns logits.
        images: (N, C, H, W), normalised.
        layers: modules' or trace rows' paths, as for `project`; the paper has its first and its
            last one before the classes.
        kind: the transformation, see `transform`.
        amounts: its amounts; None takes `paper_amounts`.
        targets: a class for all images or one for each, such as their true labels; None for the one
            that each untouched image gets.
        border: see `transform`.
        progress: called with the number of passes done and of all.

    Raises:
        CnnvizError: as `project` and `transform` do, and if there is no such class.

    """
    twin = frozen_twin(model)
    batch = check_images(images, twin)
    steps = tuple(paper_amounts(kind, batch.shape[2]) if amounts is None else map(float, amounts))
    if not steps or not layers:
        raise CnnvizError("Name at least one layer and one amount.")
    with torch.no_grad():
        whole = _Untouched(twin, layers, batch, targets)
        together = max(1, rows_of(batch) // len(batch))  # amounts of one pass
        found = []
        for start in range(0, len(steps), together):
            part = steps[start : start + together]
            moved = torch.cat([transform(batch, kind, amount, border) for amount in part])
            found.append(whole.against(moved))
            if progress is not None:
                progress(start + len(part), len(steps))
    apart, probability, best = zip(*found, strict=True)
    distances = {layer: torch.cat([each[layer] for each in apart]).T.cpu() for layer in layers}
    return Invariance(
        kind=kind,
        amounts=steps,
        distances=distances,
        relative={layer: distances[layer] / whole.length(layer) for layer in layers},
        probabilities=torch.cat(probability).T.cpu(),
        best=torch.cat(best).T.cpu(),
        targets=tuple(whole.targets.tolist()),
    )


class _Untouched:
    """Images as they are, against which transformed ones are held."""

    def __init__(
        self,
        twin: torch.nn.Module,
        layers: Sequence[str],
        images: Tensor,
        targets: int | Sequence[int] | None,
    ) -> None:
        self._twin, self._layers = twin, layers
        self._sites = find_sites(twin, list(layers), images[:1])
        self._maps, logits = answers(twin, self._sites, images)
        self.targets = check_targets(targets, logits)

    def against(self, moved: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return what became of images (amounts · N, C, H, W), each as (amounts, N).

        Distances by layer, the targets' probabilities, and the most probable classes.
        """
        maps, logits = answers(self._twin, self._sites, moved)
        count = len(self.targets)
        apart = {layer: _distance(maps[layer], self._maps[layer]) for layer in self._layers}
        chosen = self.targets.repeat(len(moved) // count)[:, None]
        probability = logits.softmax(1).gather(1, chosen).reshape(-1, count)
        return apart, probability, logits.argmax(1).reshape(-1, count)

    def length(self, layer: str) -> Tensor:
        """Return the lengths of a layer's features, (N, 1), on the CPU."""
        return _length(self._maps[layer]).cpu()


def _shifted(images: Tensor, down: int, border: Border) -> Tensor:
    if down == 0:
        return images
    height = images.shape[2]
    rows = torch.arange(height, device=images.device) - down
    moved = images[:, :, rows.clamp(0, height - 1)]
    if border == "mean":
        moved = moved.masked_fill(((rows < 0) | (rows >= height))[:, None], 0)
    return moved


def _distance(moved: Tensor, untouched: Tensor) -> Tensor:
    """Features of (amounts · N, units, …) and (N, units, …) -> distances (amounts, N)."""
    change = moved.reshape(-1, *untouched.shape) - untouched
    distance: Tensor = change.float().flatten(2).norm(dim=2)
    return distance


def _length(features: Tensor) -> Tensor:
    """Return lengths (N, 1), not a number instead of 0."""
    length: Tensor = features.float().flatten(1).norm(dim=1, keepdim=True)
    return length.masked_fill(length == 0, math.nan)


def _check(word: str, known: Sequence[str], what: str) -> None:
    if word not in known:
        raise CnnvizError(f"There is no {what} {word!r}: choose {' or '.join(known)}.")
