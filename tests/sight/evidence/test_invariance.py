"""Features and answers under translation, scale and rotation, against closed forms."""

import math

import pytest
import torch
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.evidence.invariance import invariance, paper_amounts, transform
from tests.sight.nets import family


class Blind(nn.Module):
    """Convolution, global mean, two classes: nothing but what leaves the image can change it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.relu(self.conv(x))).flatten(1))


def blind():
    torch.manual_seed(0)
    return Blind().eval()


def spots(count: int = 2) -> torch.Tensor:
    """Images 40 × 40 of mean grey with something in the middle 4 × 4."""
    images = torch.zeros(count, 1, 40, 40)
    images[:, :, 18:22, 18:22] = torch.rand(
        count, 1, 4, 4, generator=torch.Generator().manual_seed(1)
    )
    return images


def test_the_papers_amounts():
    shifts = paper_amounts("translation", 224)
    assert (shifts[0], shifts[-1]) == (-60, 60)
    assert 0 in shifts
    assert paper_amounts("translation", 32) == tuple(range(-9, 10))  # 60 / 224 of 32 is 8.6
    scales, turns = paper_amounts("scale", 32, 5), paper_amounts("rotation", 32, 5)
    assert scales == pytest.approx((1, 1.2, 1.4, 1.6, 1.8))
    assert turns == (0, 90, 180, 270, 360)


def test_transformations_are_what_they_say():
    image = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    down = transform(image, "translation", 2, "mean")
    assert torch.equal(down[:, :, 2:], image[:, :, :-2])
    assert (down[:, :, :2] == 0).all()
    up = transform(image, "translation", -3, "edge")
    assert torch.equal(up[:, :, :-3], image[:, :, 3:])
    assert torch.equal(up[:, :, -3:], image[:, :, -1:].expand(-1, -1, 3, -1))
    for turns in (1, 2, 3):
        turned = transform(image, "rotation", 90 * turns)
        torch.testing.assert_close(turned, image.rot90(turns, (2, 3)), atol=1e-5, rtol=0)
    # Three times as large, each pixel of the middle third covers 3 × 3 and keeps its centre.
    larger = transform(image, "scale", 3)
    torch.testing.assert_close(larger[:, :, 1::3, 1::3], image[:, :, 3:6, 3:6])


def test_a_picture_that_is_not_square_is_turned_without_being_bent():
    image = torch.zeros(1, 1, 20, 40)
    image[..., 9:11, 14:26] = 1  # a bar along x
    turned = transform(image, "rotation", 90, "mean")
    rows, columns = (turned[0, 0] > 0.5).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 15, 19, 20)


@pytest.mark.parametrize("kind", ["translation", "scale", "rotation"])
def test_no_change_is_no_distance(kind):
    amounts = {"translation": (0,), "scale": (1,), "rotation": (0, 360)}[kind]
    model, images = family("resnet20_cifar")
    found = invariance(model, images, ["stem.2", "layer3.2"], kind, amounts)
    logits = model(images)
    for layer in ("stem.2", "layer3.2"):
        assert found.distances[layer].shape == (2, len(amounts))
        torch.testing.assert_close(
            found.relative[layer], torch.zeros(2, len(amounts)), atol=1e-6, rtol=0
        )
    assert found.targets == tuple(logits.argmax(1).tolist())
    wanted = logits.softmax(1).amax(1, keepdim=True).expand(-1, len(amounts))
    torch.testing.assert_close(found.probabilities, wanted)


def test_a_global_mean_does_not_see_a_shift_and_the_first_layer_does():
    model, images = blind(), spots()
    amounts = (-10, -6, 0, 6, 10)
    found = invariance(model, images, ["relu", "pool"], "translation", amounts, border="mean")
    assert found.distances["pool"].max() < 1e-6
    # Shifted further than it is wide, a pattern and its copy do not overlap: Pythagoras.
    length = model.relu(model.conv(images)).flatten(1).norm(dim=1)
    wanted = math.sqrt(2) * length[:, None] * torch.tensor([1.0, 1, 0, 1, 1])
    torch.testing.assert_close(found.distances["relu"], wanted)
    torch.testing.assert_close(found.relative["relu"], wanted / length[:, None])


def test_a_flat_image_with_repeated_edges_stays_what_it_is():
    model, images = blind(), torch.full((1, 1, 12, 12), 0.7)
    for kind in ("translation", "scale", "rotation"):
        assert invariance(model, images, ["pool"], kind).distances["pool"].max() < 1e-5
    moved = invariance(model, images, ["pool"], "translation", (3,), border="mean")
    assert moved.distances["pool"].min() > 1e-3


def test_every_amount_and_image_is_as_in_a_plain_loop():
    model, images = family("lenet5_cifar")
    reports = []
    found = invariance(
        model,
        images,
        ["c1"],
        "rotation",
        (0, 45, 170),
        targets=[3, 4],
        progress=lambda done, of: reports.append((done, of)),
    )
    assert reports[-1] == (3, 3)
    for number, target in enumerate([3, 4]):
        for place, amount in enumerate((0, 45, 170)):
            moved = transform(images[number : number + 1], "rotation", amount)
            logits = model(moved)[0]
            assert found.best[number, place] == logits.argmax()
            torch.testing.assert_close(
                found.probabilities[number, place], logits.softmax(0)[target].detach()
            )


def test_a_layer_that_is_silent_has_no_relative_distance():
    model, images = blind(), spots(1)
    nn.init.zeros_(model.conv.weight)
    found = invariance(model, images, ["relu"], "scale", (1.5,))
    assert found.distances["relu"].item() == 0
    assert math.isnan(found.relative["relu"].item())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "shear"},
        {"border": "mirror"},
        {"amounts": (0.0,), "kind": "scale"},
        {"amounts": (math.nan,)},
        {"amounts": ()},
        {"layers": []},
        {"layers": ["nothing"]},
        {"targets": 2},
        {"targets": [0]},
    ],
)
def test_invariance_refuses(change):
    arguments = {"layers": ["relu"], "kind": "rotation", "amounts": (10.0,), **change}
    with pytest.raises(CnnvizError):
        invariance(blind(), spots(), **arguments)
