"""The part of an image that a position sees, against the support of gradients."""

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.errors import CnnvizError
from cnnviz.sight import feature_maps, patch_boxes, row_of
from tests.sight.nets import family, odd


def traced(model, images):
    return cnnviz.trace(model, tuple(images.shape[1:]))


def boxes_of(model, images, layer, positions):
    trace = traced(model, images)
    return patch_boxes(row_of(trace, layer), trace, torch.tensor(positions)).tolist()


def changed(model, images, layer, pixel, places):
    """Which of the positions change when one pixel of the image does."""
    other = images[:1].clone()
    other[0, :, pixel[0], pixel[1]] += 3
    before, after = (feature_maps(model, x, [layer])[layer][0] for x in (images[:1], other))
    moved = (before != after).any(0)
    return [bool(moved[row, column]) for row, column in places]


@pytest.mark.parametrize(
    ("layers", "position", "box"),
    [
        ([nn.Conv2d(3, 2, 3, padding=1)], (5, 0), [4, 0, 3, 2]),
        ([nn.Conv2d(3, 2, 5, stride=2, padding=2)], (3, 7), [4, 12, 5, 4]),
        ([nn.Conv2d(3, 2, 3), nn.MaxPool2d(3, 2)], (2, 1), [4, 2, 5, 5]),
        ([nn.Conv2d(3, 2, 3, dilation=2, padding=2)], (8, 8), [6, 6, 5, 5]),
        ([nn.Conv2d(3, 2, (1, 5), padding=(0, 2))], (3, 8), [3, 6, 1, 5]),
        ([nn.AvgPool2d(2), nn.Conv2d(3, 2, 3, padding=1)], (7, 3), [12, 4, 4, 6]),
    ],
)
def test_boxes_of_small_nets_are_those_of_arithmetic(layers, position, box):
    model, images = nn.Sequential(*layers).eval(), torch.randn(1, 3, 16, 16)
    assert boxes_of(model, images, str(len(layers) - 1), position) == box


def nets():
    for name in ("Functional", "PreActivation", "Dense", "Smooth", "Pools"):
        yield name, odd
    for name in ("resnet20_cifar", "googlenet_slim_cifar", "alexnet_cifar", "vgg11_bn_cifar"):
        yield name, family


@pytest.mark.parametrize(("name", "make"), nets())
def test_no_pixel_outside_a_box_changes_the_position(name, make):
    model, images = make(name)
    images = images[:1]
    trace = traced(model, images)
    rows = [row for row in trace.layers if row.windows and len(row.output_shape) == 4]
    assert len(rows) > 3
    for row in rows[:: max(1, len(rows) // 6)]:
        height, width = feature_maps(model, images, [row.path])[row.path].shape[2:]
        places = [(0, 0), (height // 2, width // 2), (height - 1, width // 3)]
        boxes = patch_boxes(row, trace, torch.tensor(places)).tolist()
        leaf = images.clone().requires_grad_()
        side = images.shape[2]
        assert all(0 <= t < t + h <= side and 0 <= x < x + w <= side for t, x, h, w in boxes)
        for pixel in [(0, 0), (side // 2, side // 2), (side - 1, side // 3), (3, side - 2)]:
            moved = changed(model, leaf.detach(), row.path, pixel, places)
            for (top, left, tall, wide), moves in zip(boxes, moved, strict=True):
                inside = top <= pixel[0] < top + tall and left <= pixel[1] < left + wide
                assert inside or not moves, (row.path, pixel, (top, left, tall, wide))


def test_every_border_pixel_of_a_box_matters_and_none_beside_it():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, 2, 1), nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1))
    ).eval()
    images = torch.randn(1, 3, 40, 40)
    ((top, left, height, width),) = boxes_of(model, images, "2", [[4, 5]])
    inside = [(top, left), (top + height - 1, left + width - 1), (top, left + width - 1)]
    outside = [(top - 1, left), (top + height, left), (top, left - 1), (top, left + width)]
    assert all(changed(model, images, "2", pixel, [(4, 5)])[0] for pixel in inside)
    assert not any(changed(model, images, "2", pixel, [(4, 5)])[0] for pixel in outside)


@pytest.mark.parametrize("layer", ["avgpool", "fc"])
def test_what_sees_everything_has_the_whole_image(layer):
    model, images = family("resnet20_cifar")
    assert boxes_of(model, images, layer, [[0, 0]]) == [[0, 0, 32, 32]]


def test_the_row_of_a_module_is_that_of_its_output():
    model, images = family("resnet20_cifar")
    trace = traced(model, images)
    assert row_of(trace, "layer1.0").path == "layer1.0.relu2"
    assert row_of(trace, "layer1").path == "layer1.2.relu2"
    with pytest.raises(CnnvizError, match="no layer 'layer9'"):
        row_of(trace, "layer9")


class Twice(nn.Module):
    """The same block two times in a row."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())

    def forward(self, x):
        return self.block(self.block(x))


def test_of_a_module_used_twice_the_first_call_counts():
    row = row_of(cnnviz.trace(Twice(), (3, 8, 8)), "block")
    assert (row.path, row.receptive_field) == ("block.1", 3)


def test_positions_keep_their_shape_and_must_be_whole():
    model, images = family("resnet20_cifar")
    trace = traced(model, images)
    row = row_of(trace, "layer1")
    assert patch_boxes(row, trace, torch.zeros(2, 5, 2, dtype=torch.int16)).shape == (2, 5, 4)
    for wrong in (torch.zeros(2), torch.zeros(2, 3, dtype=torch.long)):
        with pytest.raises(CnnvizError, match="whole numbers"):
            patch_boxes(row, trace, wrong)
