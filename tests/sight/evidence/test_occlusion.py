"""Occlusion, Grad-CAM and the sanity check."""

import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.sight import feature_maps, grad_cam, occlude, project, sanity_check
from tests.sight.nets import ODD, family


class Corners(nn.Module):
    """Two maps that sum the left and the right half; the logits are these sums."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d((8, 4), divisor_override=1)
        self.spread = nn.Conv2d(1, 2, (1, 2), bias=False)
        self.spread.weight.data = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 1.0]]]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.spread(self.pool(x)).flatten(1)


def test_occlusion_of_a_network_that_can_be_computed_by_hand():
    image = torch.zeros(1, 1, 8, 8)
    image[..., :4], image[..., 4:] = 0.1, 0.05
    found = occlude(Corners().eval(), image, "spread", size=4, stride=3)
    assert (found.unit, found.target) == (0, 0)
    assert found.rows == found.columns == (0, 3, 4)
    covered = torch.tensor([16.0, 4.0, 0.0]) * 0.1
    assert torch.allclose(found.activity, (3.2 - covered).expand(3, 3))
    right = 1.6 - 0.05 * torch.tensor([0.0, 12.0, 16.0])
    wanted = torch.sigmoid(3.2 - covered - right)
    assert torch.allclose(found.probability, wanted.expand(3, 3))
    assert found.best.tolist() == [[0, 0, 0]] * 3
    other = occlude(Corners().eval(), image, "spread", target=1, size=8, fill=-1.0)
    assert other.probability.item() == pytest.approx(0.5)


def test_occlusion_looks_at_every_place_as_a_plain_loop_does():
    model, images = family("resnet20_cifar")
    reports = []
    found = occlude(
        model,
        images[:1],
        "layer2.0.relu1",
        size=10,
        stride=5,
        progress=lambda done, of: reports.append((done, of)),
    )
    assert reports == [(36, 36)]
    assert found.rows == (0, 5, 10, 15, 20, 22)
    for i, j in ((0, 0), (2, 5), (5, 3)):
        hidden = images[:1].clone()
        row, column = found.rows[i], found.columns[j]
        hidden[..., row : row + 10, column : column + 10] = 0
        logits = model(hidden)[0]
        assert found.best[i, j] == logits.argmax()
        torch.testing.assert_close(found.probability[i, j], logits.softmax(0)[found.target])


@pytest.mark.parametrize(
    "change", [{"size": 0}, {"size": 33}, {"stride": 0}, {"target": 10}, {"layer": "nothing"}]
)
def test_occlusion_refuses(change):
    model, images = family("lenet5_cifar")
    with pytest.raises(CnnvizError):
        occlude(model, images[:1], **{"layer": "relu1", **change})


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet20_cifar", "layer3.2"), ("vgg11_bn_cifar", "features.8"), ("lenet5_cifar", "c3")],
)
def test_grad_cam_is_captums(name, layer):
    model, images = family(name)
    mine = grad_cam(model, images, layer, [3, 7])
    theirs = LayerGradCam(model, model.get_submodule(layer))
    raw = theirs.attribute(images, target=torch.tensor([3, 7]), relu_attributions=True)
    wanted = LayerGradCam.interpolate(raw, (32, 32), "bilinear")[:, 0].detach()
    assert wanted.max() > 0
    torch.testing.assert_close(mine, wanted)
    torch.testing.assert_close(grad_cam(model, images[:1], layer, 3)[0], mine[0])


def test_grad_cam_takes_the_maps_before_an_operator_in_place():
    model, images = family("alexnet_cifar")
    heat = grad_cam(model, images, "features.0")
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    assert torch.equal(heat, grad_cam(model, images, "features.0"))


def test_grad_cam_where_channels_are_last():
    torch.manual_seed(0)
    model = nn.Sequential(ODD["Smooth"](), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = torch.randn(1, 3, 16, 16)
    heat = grad_cam(model, images, "0.wide", 2)
    assert heat.shape == (1, 16, 16)
    assert heat.max() > 0


def test_grad_cam_refuses():
    model, images = family("lenet5_cifar")
    with pytest.raises(CnnvizError, match="no positions"):
        grad_cam(model, images, "f6")
    with pytest.raises(CnnvizError, match="0 to 9"):
        grad_cam(model, images, "c3", 10)
    with pytest.raises(CnnvizError, match="each of the 2"):
        grad_cam(model, images, "c3", [1])


def test_the_sanity_check_randomises_from_the_unit_down():
    model, images = family("vgg11_cifar")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    steps = list(sanity_check(model, images[:1], "features.6", 2))
    assert [step.randomised for step in steps] == [None, "features.6", "features.3", "features.0"]
    assert steps[0].similarity == 1
    assert torch.equal(
        steps[0].projection.pixels, project(model, images[:1], "features.6", 2).pixels
    )
    assert all(-1 <= step.similarity < 0.999 for step in steps[1:])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    again = list(sanity_check(model, images[:1], "features.6", 2))
    assert [step.similarity for step in again] == [step.similarity for step in steps]


def test_the_sanity_check_draws_until_the_unit_is_active_and_compares_what_it_sees():
    model, images = family("resnet20_cifar")
    maps = feature_maps(model, images[:1], ["layer1.1.relu1"])["layer1.1.relu1"][0]
    unit = int(maps.flatten(1).amax(1).argmax())
    steps = list(sanity_check(model, images[:1], "layer1.1.relu1", unit, "gradient"))
    active = [step for step in steps if step.projection.activations.item() > 0]
    assert len(active) > 0.8 * len(steps)
    # Whole images are alike in the zeros around the field of 15 × 15 pixels, whatever it shows.
    assert min(step.similarity for step in active) < 0.5


def test_the_sanity_check_ends_at_the_layer_and_takes_one_image():
    model, images = family("resnet20_cifar")
    steps = list(sanity_check(model, images[:1], "layer1.0.relu1", 0))
    names = [step.randomised for step in steps]
    assert names[1].startswith("layer1.0.")
    assert names[-1].startswith("stem")
    with pytest.raises(CnnvizError, match="one image"):
        next(sanity_check(model, images, "layer1.0.relu1", 0))
