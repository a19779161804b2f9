"""Number formats of a training step, operator by operator."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnviz.training.devices.mixed import mixed_precision

CPU = torch.device("cpu")


@pytest.fixture
def images():
    return torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))


def test_dense_convolutions_compute_in_bf16(images):
    dense, grouped = nn.Conv2d(8, 4, 3), nn.Conv2d(8, 8, 3, groups=2)
    for layer in (dense, grouped):
        with torch.autocast("cpu", torch.bfloat16):
            expected = layer(images)
        with mixed_precision(CPU, "bf16"):
            ours = layer(images)
        assert ours.dtype == torch.bfloat16
        assert torch.equal(ours, expected)


def test_depthwise_convolutions_compute_in_fp32_and_hand_on_what_they_were_given(images):
    layer = nn.Conv2d(8, 16, 3, padding=1, groups=8)
    short = images.bfloat16()
    with mixed_precision(CPU, "bf16"):
        from_long, from_short = layer(images), layer(short)
    assert torch.equal(from_long, layer(images))
    assert torch.equal(from_short, layer(short.float()).bfloat16())


def test_gradients_of_depthwise_weights_are_those_of_fp32(images):
    layer = nn.Conv2d(8, 8, 3, groups=8)
    with mixed_precision(CPU, "bf16"):
        F.relu(layer(images)).sum().backward()
    ours, layer.weight.grad = layer.weight.grad, None
    F.relu(layer(images)).sum().backward()
    assert torch.equal(ours, layer.weight.grad)


def test_arguments_may_be_named(images):
    weight = torch.randn(8, 1, 3, 3)
    with mixed_precision(CPU, "bf16"):
        assert F.conv2d(images, weight, groups=8).dtype == torch.float32
        assert F.conv2d(images, weight.repeat(1, 8, 1, 1), padding=1).dtype == torch.bfloat16


def test_a_compiled_network_and_fp32_are_left_alone(images):
    layer = nn.Conv2d(8, 8, 3, groups=8)
    with mixed_precision(CPU, "bf16", compiled=True):
        assert layer(images).dtype == torch.bfloat16
    with mixed_precision(CPU, "fp32"):
        assert nn.Conv2d(8, 4, 3)(images).dtype == torch.float32


def test_nothing_lasts_longer_than_the_block(images):
    layer = nn.Conv2d(8, 8, 3, groups=8)
    with pytest.raises(ZeroDivisionError), mixed_precision(CPU, "bf16"):
        _ = 1 / 0
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(images).dtype == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")
