import pytest
import torch
from torch import nn

from cnnviz.architectures import build
from cnnviz.architectures.layers import LocalResponseNorm, scale_channels


@pytest.mark.parametrize("size", [3, 4, 5])
def test_response_normalisation_equals_torchs(size):
    """torch divides alpha by the window's size, the paper does not."""
    x = torch.randn(2, 7, 3, 3, requires_grad=True)
    ours = LocalResponseNorm(size, alpha=0.1)(x)
    theirs = nn.LocalResponseNorm(size, alpha=0.1 * size, k=2.0)(x)
    torch.testing.assert_close(ours, theirs)
    gradient = torch.autograd.grad(ours.sin().sum(), x, retain_graph=True)
    torch.testing.assert_close(gradient, torch.autograd.grad(theirs.sin().sum(), x))


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(64, 1, 64), (10, 1, 10), (64, 0.5, 32), (32, 0.125, 8)]
)
def test_scaled_channels_are_multiples_of_eight(channels, width, expected):
    assert scale_channels(channels, width) == expected


@pytest.mark.parametrize("name", ["alexnet_2012", "zfnet", "googlenet_2014", "alexnet_cifar"])
def test_the_lrn_knob_adds_two_normalisations(name):
    with torch.device("meta"):
        networks = {lrn: build(name, lrn=lrn) for lrn in (True, False)}
    found = {
        lrn: sum(isinstance(m, LocalResponseNorm) for m in network.modules())
        for lrn, network in networks.items()
    }
    assert found == {True: 2, False: 0}


def test_overlapping_pools_give_the_same_sizes():
    with torch.device("meta"):
        for overlap in (True, False):
            network = build("alexnet_2012", overlap=overlap)
            assert network.pool1.kernel_size == (3 if overlap else 2)
            assert network(torch.empty(1, 3, 227, 227)).shape == (1, 1000)
