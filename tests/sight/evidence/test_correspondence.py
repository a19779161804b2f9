"""Whether hiding the same part changes features alike, against networks computed by hand."""

import pytest
import torch
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.evidence.correspondence import Box, correspondence, score
from tests.sight.nets import family


class Pixels(nn.Module):
    """Features that are the pixels, and logits that are their sums by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.same(x * 1.0).sum((2, 3))


def test_signs_of_pixels_can_be_counted_by_hand():
    images = torch.ones(3, 1, 8, 8)
    images[2] = -1  # hiding raises this one and lowers the others
    boxes = [(0, 0, 2, 4), (0, 2, 2, 4), (0, 0, 2, 4)]
    found = correspondence(Pixels().eval(), images, boxes, ["same"], draws=2)
    # Of 64 features, boxes of 8 share 4 columns × 2 − … : 4 + 4 differ between the first two.
    between = found.part["same"] * 64
    wanted = torch.tensor([[0.0, 8, 8], [8, 0, 12], [8, 12, 0]])
    torch.testing.assert_close(between, wanted)
    assert score(found.part["same"]).item() == pytest.approx(2 * (8 + 8 + 12) / 6 / 64)
    assert found.boxes == tuple(Box(*box) for box in boxes)


def test_the_same_part_at_the_same_place_of_like_images_changes_them_alike():
    images = torch.rand(4, 2, 10, 10) + 0.5
    found = correspondence(Pixels().eval(), images, [(3, 3, 4, 4)] * 4, ["same"], draws=8)
    assert score(found.part["same"]).item() == 0
    assert (score(found.same_place["same"]) == 0).all()
    anywhere = score(found.anywhere["same"])
    assert anywhere.shape == (8,)
    assert anywhere.mean() > 0.1
    for drawn in found.random_boxes:
        for box in drawn:
            assert box[2:] == (4, 4)
            assert 0 <= box.row <= 6
            assert 0 <= box.column <= 6


def test_the_formula_of_the_paper():
    model, images = family("resnet20_cifar")
    images = torch.cat([images, images.flip(3)])[:3]
    boxes = [(2, 3, 8, 6), (10, 12, 8, 6), (20, 20, 8, 6)]
    found = correspondence(model, images, boxes, ["layer2.0.relu1"], draws=1)
    changes = []
    kept = {}
    handle = model.layer2[0].relu1.register_forward_hook(
        lambda _m, _i, out: kept.__setitem__("x", out.clone())
    )
    for image, (row, column, height, width) in zip(images, boxes, strict=True):
        hidden = image.clone()
        hidden[:, row : row + height, column : column + width] = 0
        with torch.no_grad():
            model(image[None])
            whole = kept["x"].flatten()
            model(hidden[None])
        change = whole - kept["x"].flatten()
        changes.append(torch.where(change.abs() > 1e-5 * whole.abs().max(), change.sign(), 0))
    handle.remove()
    total = sum(
        (changes[i] != changes[j]).float().mean().item()
        for i in range(3)
        for j in range(3)
        if i != j
    )
    assert score(found.part["layer2.0.relu1"]).item() == pytest.approx(total / 6, abs=2e-4)


def test_draws_depend_on_the_seed_alone_and_are_reported():
    model, images = family("lenet5_cifar")
    boxes, reports = [(4, 4, 8, 8)] * 2, []
    first = correspondence(
        model, images, boxes, ["c1"], draws=3, progress=lambda n, of: reports.append((n, of))
    )
    again = correspondence(model, images, boxes, ["c1"], draws=3)
    other = correspondence(model, images, boxes, ["c1"], draws=3, seed=1)
    assert first.random_boxes == again.random_boxes != other.random_boxes
    assert torch.equal(first.anywhere["c1"], again.anywhere["c1"])
    assert reports == [(n, 7) for n in range(1, 8)]


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": [(0, 0, 4, 4)]},
        {"boxes": [(0, 0, 4, 4), (30, 0, 4, 4)]},
        {"boxes": [(0, 0, 4, 4), (0, -1, 4, 4)]},
        {"boxes": [(0, 0, 4, 4), (0, 0, 0, 4)]},
        {"boxes": [(0, 0, 4, 4), (0, 0, 4)]},
        {"draws": 0},
        {"layers": []},
        {"layers": ["nothing"]},
        {"images": torch.zeros(1, 3, 32, 32), "boxes": [(0, 0, 4, 4)]},
    ],
)
def test_correspondence_refuses(change):
    model, images = family("lenet5_cifar")
    arguments = {"images": images, "boxes": [(0, 0, 4, 4)] * 2, "layers": ["c1"], **change}
    with pytest.raises(CnnvizError):
        correspondence(model, **arguments)
