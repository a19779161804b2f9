import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz.architectures import build, resnet
from tests.architectures.counting import count


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_depth_counts_the_layers_with_weights(depth):
    for name in {f"resnet{depth}_cifar", "plain20_cifar" if depth == 20 else "plain56_cifar"}:
        network = build(name)
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert f"{len(layers)}_cifar" in name


@pytest.mark.parametrize("depth", [18, 34])
def test_plain_networks_are_resnets_with_option_a_and_no_addition(depth):
    assert count(f"plain{depth}") == count(f"resnet{depth}", shortcut="A")


def test_plain34_costs_what_the_paper_says():
    assert count("plain34")[1] / 1e9 == pytest.approx(3.6, abs=0.05)  # section 3.3


def test_option_c_projects_in_every_block():
    network = build("resnet18_cifar", shortcut="C")
    blocks = [m for m in network.modules() if isinstance(m, resnet.BasicBlock)]
    assert len(blocks) == 8
    assert all(isinstance(block.downsample, nn.Sequential) for block in blocks)


def test_option_a_has_no_parameters():
    layers = [
        m for m in build("resnet18_cifar", shortcut="A").modules() if isinstance(m, nn.Conv2d)
    ]
    assert len(layers) == 17
    assert not any(layer.kernel_size == (1, 1) for layer in layers)


def test_zero_pad_shortcut_keeps_every_second_pixel_and_adds_zeros():
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    out = resnet.ZeroPadShortcut(2, 5, stride=2)(x)
    assert out.shape == (1, 5, 2, 2)
    assert out[0, 0].tolist() == [[0.0, 2.0], [8.0, 10.0]]
    assert not out[0, 2:].any()


@pytest.mark.parametrize("name", ["resnet20_cifar", "resnet18_cifar"])
def test_a_block_whose_residual_is_zero_passes_its_input(name):
    block = build(name).eval().layer1[0]
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, block.conv1.in_channels, 8, 8)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("block", [resnet.CifarBlock(4, 4, 1, plain=True), resnet.PlainBlock(4, 4)])
def test_a_plain_block_passes_nothing_around(block):
    block.eval()
    nn.init.zeros_(block.bn2.weight)
    assert not block(torch.rand(1, 4, 8, 8)).any()


def test_the_cifar_block_is_the_papers_formula():
    block = resnet.CifarBlock(4, 8, 2, plain=False).eval()
    x = torch.randn(2, 4, 8, 8)
    inner = F.relu(block.bn1(F.conv2d(x, block.conv1.weight, stride=2, padding=1)))
    inner = block.bn2(F.conv2d(inner, block.conv2.weight, padding=1))
    around = torch.cat([x[..., ::2, ::2], torch.zeros(2, 4, 4, 4)], dim=1)
    torch.testing.assert_close(block(x), F.relu(inner + around))
