"""MACs against torch's own FLOP counter and fvcore's."""

import pytest
import torch
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnviz.anatomy import trace
from tests.anatomy.nets import Attention, Branches, LayerScale, Shared, Transposed

pytestmark = pytest.mark.slow

SMALL = [
    (Branches, (3, 17, 23)),
    (LayerScale, (3, 8, 8)),
    (Shared, (4, 9, 9)),
    (Attention, (3, 5, 4)),
    (Transposed, (3, 12, 10)),
    (lambda: nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 9)), (3, 5, 7)),
]
TORCHVISION = ["googlenet", "resnet50", "shufflenet_v2_x0_5", "mobilenet_v3_small", "densenet121"]
ATTENTIVE = ["convnext_tiny", "vit_b_32", "swin_t"]


def flop_counter_macs(model, size):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *size, device=next(model.parameters()).device))
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("build", "size"), SMALL)
def test_equals_flop_counter_on_small_networks(build, size):
    with torch.device("meta"):
        model = build()
    found = trace(model, size)
    assert found.macs == flop_counter_macs(model, size) > 0
    assert found.unknown == ()


@pytest.mark.parametrize("name", TORCHVISION + ATTENTIVE)
def test_equals_flop_counter_on_torchvision(name):
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
    assert trace(model, (3, 224, 224)).macs == flop_counter_macs(model, (3, 224, 224))


@pytest.mark.parametrize("name", [*TORCHVISION[1:], "convnext_tiny"])
def test_equals_fvcore_contractions(name):
    model = torchvision.models.get_model(name, weights=None).eval()
    analysis = FlopCountAnalysis(model, torch.zeros(1, 3, 64, 64))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counts = analysis.by_operator()
    contractions = sum(counts[op] for op in ("conv", "linear", "addmm", "matmul"))
    assert trace(model, (3, 64, 64)).macs == contractions


def test_an_operator_that_is_not_known_is_never_zero():
    class Spectral(nn.Module):
        def forward(self, x):
            return torch.fft.fft2(x).abs()

    found = trace(Spectral(), (1, 8, 8))
    assert [(layer.op, layer.macs) for layer in found.layers] == [("fft_fft2", None), ("abs", 0)]
    assert [layer.path for layer in found.unknown] == ["fft_fft2"]
    assert found.unknown[0].flops is None
    assert found.unknown[0].note == "unknown"
    assert found.receptive_field is None


def test_vector_products_that_torch_does_not_count():
    class Vector(nn.Module):
        def forward(self, x):
            matrix = x[0, 0]  # (4, 6)
            return torch.mv(matrix, matrix[0]) @ matrix[:, 1]

    products = [layer for layer in trace(Vector(), (1, 4, 6)).layers if layer.kind == "matmul"]
    assert [layer.macs for layer in products] == [24, 4]


def test_bilinear_layers_take_one_for_each_weight_and_position():
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Bilinear(6, 6, 5)

        def forward(self, x):
            return self.layer(x, x)

    assert trace(Pairs(), (2, 3, 6)).macs == 2 * 3 * 5 * 6 * 6


def test_other_arithmetic_is_kept_apart():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    conv, norm, relu, pool = trace(model, (3, 10, 10)).layers
    assert (conv.macs, conv.bias_adds, conv.other_ops) == (4 * 64 * 27, 4 * 64, 0)
    assert [layer.macs for layer in (norm, relu, pool)] == [0, 0, 0]
    assert [layer.other_ops for layer in (norm, relu, pool)] == [2 * 256, 256, 4 * 4 * 16]
