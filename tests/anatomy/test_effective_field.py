"""The effective field lies within the theoretical one, and is what can be worked out by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnviz
from cnnviz.anatomy import trace
from cnnviz.anatomy.effective_field import Box, EffectiveField, LeaveWeights, effective_field
from cnnviz.errors import CnnvizError
from tests.anatomy.nets import Branches


class Last(nn.Module):
    """Works on (N, H, W, C)."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.permute(0, 2, 3, 1))


def within(field, box=None):
    """Share of the gradient inside a box."""
    part = (box or field.box).clip(*field.density.shape)
    rows = slice(part.top, part.top + part.height)
    return field.density[rows, part.left : part.left + part.width].sum()


def support(field):
    """The smallest box around every pixel with a gradient."""
    rows, columns = np.nonzero(field.density)
    height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    return Box(rows.min(), columns.min(), height, width)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("resnet20_cifar", ["stem.0", "layer1.2.add", "layer2.0.conv1"]),
        ("googlenet_slim_cifar", None),
        ("convnext_atto_cifar", None),
        ("mobilenet_v1_cifar", None),
        ("alexnet_cifar", None),
        ("lenet5", None),
    ],
)
def test_the_gradient_stays_in_the_box(name, paths):
    model = cnnviz.build(name)
    traced = trace(model, cnnviz.registry.get(name).input_size)
    spatial = [layer for layer in traced.layers if layer.receptive_field]
    chosen = [traced.layer(path) for path in paths] if paths else spatial[:: len(spatial) // 5]
    for layer in chosen:
        found = effective_field(model, traced.input_size, layer, draws=2, redraw=True)
        assert max(found.box.height, found.box.width) == layer.receptive_field
        assert found.density.shape == traced.input_size[1:]
        assert found.density.sum() == pytest.approx(1)
        assert within(found) == pytest.approx(1)
        core = found.core()
        assert within(found, core) >= 0.5 - 1e-9
        smaller = Box(core.top + 1, core.left + 1, core.height - 2, core.width - 2)
        assert core.height <= 2 or within(found, smaller) < 0.5


def test_one_convolution_is_its_own_field():
    model = nn.Conv2d(3, 1, 3, padding=1)
    found = effective_field(model, (3, 9, 11), "conv2d", draws=1)
    assert found.position == (4, 5)
    assert found.box == support(found) == Box(3, 4, 3, 3)
    weights = model.weight[0].abs().sum(0)  # (3, 3)
    expected = (weights / weights.sum()).detach().numpy()
    assert np.allclose(found.density[3:6, 4:7], expected)


def test_two_equal_convolutions_make_a_triangle():
    model = nn.Sequential(*(nn.Conv2d(1, 1, (1, 3), padding=(0, 1), bias=False) for _ in range(2)))
    for convolution in model:
        nn.init.ones_(convolution.weight)
    found = effective_field(model, (1, 1, 9), "1")
    assert np.allclose(found.density[0, 2:7], np.array([1, 2, 3, 2, 1]) / 9)
    assert (found.core().left, found.core().width) == (3, 3)


def test_stride_and_dilation_place_the_box():
    model = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(4, 4, 3, dilation=2, padding=2))
    found = effective_field(model, (3, 32, 32), "1", redraw=True)
    # Position 4 of 8 reads the patches 2, 4 and 6, which begin at pixels 8, 16 and 24.
    assert found.box == support(found) == Box(8, 8, 20, 20)
    assert found.density[12:16].sum() == 0  # patch 3 is passed over


def test_a_functional_layer_in_a_branch():
    model = Branches()
    found = effective_field(model, (3, 32, 32), "cat", draws=4, redraw=True)
    assert found.layer == "cat"
    assert within(found) == pytest.approx(1)
    assert found.box == Box(10, 10, 13, 13)  # 5 + 2 · 4 · 1, around pixel 16
    assert effective_field(model, (3, 32, 32), "relu").box == Box(14, 14, 5, 5)


def test_channels_last_layers_have_their_positions_elsewhere():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Last(nn.Linear(8, 5)))
    found = effective_field(model, (3, 10, 12), "1.inner", redraw=True)
    assert found.position == (5, 6)
    assert support(found) == Box(4, 5, 3, 3)


def test_a_box_over_the_border_keeps_its_size():
    found = effective_field(cnnviz.build("resnet20_cifar"), (3, 32, 32), "layer3.2.add")
    assert (found.box.height, found.box.width) == (81, 81)
    assert found.box.clip(32, 32) == Box(0, 0, 32, 32)


def test_the_pass_stops_at_the_layer_and_leaves_nothing_behind():
    reached = []

    class Tail(nn.Module):
        def forward(self, x):
            reached.append(x)
            return x

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Conv2d(4, 4, 3), Tail()).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer = trace(model, (3, 8, 8)).layer("2")
    reached.clear()
    effective_field(model, (3, 8, 8), layer, redraw=True)
    effective_field(model, (3, 8, 8), layer)
    assert not reached
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_draws_follow_the_seed_and_need_no_weights():
    with LeaveWeights():
        bare = cnnviz.build("resnet20_cifar")
    with torch.device("meta"):
        meta = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    for model, path in ((bare, "layer1.0.conv1"), (meta, "2")):
        first, again, other = (
            effective_field(model, (3, 16, 16), path, redraw=True, draws=2, seed=seed).density
            for seed in (1, 1, 2)
        )
        assert np.array_equal(first, again)
        assert not np.allclose(first, other)


def test_a_network_left_without_weights_keeps_its_buffers():
    with LeaveWeights():
        bare = cnnviz.build("lenet5")
    whole = dict(cnnviz.build("lenet5").named_buffers())
    assert whole
    assert all(torch.equal(value, whole[name]) for name, value in bare.named_buffers())


def test_behind_a_layer_normalisation():
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), Last(nn.LayerNorm(16)))
    found = effective_field(model, (3, 9, 9), "1.inner", draws=2)
    assert support(found) == Box(3, 3, 3, 3)
    assert found.density.max() < 0.6  # not what rounding leaves of a gradient of zero


def test_given_images_are_used():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    nn.init.ones_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    images = torch.ones(2, 1, 3, 3)
    assert effective_field(model, (1, 3, 3), "1", images=images).draws == 2
    assert effective_field(model, (1, 3, 3), "1", images=images).density[1, 1] == 1
    assert effective_field(model, (1, 3, 3), "1", images=-images).density.sum() == 0
    with pytest.raises(CnnvizError, match="must have the shape"):
        effective_field(model, (1, 3, 3), "1", images=images[:, :, :2])


def test_inference_mode_around_it_does_not_matter():
    with torch.inference_mode():
        found = effective_field(nn.Conv2d(3, 4, 3), (3, 9, 9), "conv2d", redraw=True)
    assert found.density.sum() == pytest.approx(1)


def test_where_no_gradient_arrives():
    class Dead(nn.Module):
        def forward(self, x):
            return F.relu(-1 - x.abs())

    found = effective_field(Dead(), (3, 5, 5), "relu")
    assert found.density.sum() == 0
    assert found.core() is None


def test_the_core_of_an_even_box_is_even():
    density = np.zeros((6, 6))
    density[2:4, 2:4] = 0.25
    found = EffectiveField("x", (0, 0), Box(0, 0, 6, 6), density, 1, False)
    assert found.core() == Box(2, 2, 2, 2)


def test_errors():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(CnnvizError, match="has no layer 'nope'"):
        effective_field(model, (3, 8, 8), "nope")
    with pytest.raises(CnnvizError, match="no window on the picture"):
        effective_field(model, (3, 8, 8), "2")
    with pytest.raises(CnnvizError, match="at least 1"):
        effective_field(model, (3, 8, 8), "0", draws=0)
    with torch.device("meta"):
        bare = nn.Conv2d(3, 4, 3)
    with pytest.raises(CnnvizError, match="redraw=True"):
        effective_field(bare, (3, 8, 8), "conv2d")
