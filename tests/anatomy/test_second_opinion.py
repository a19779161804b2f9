"""torchinfo and fvcore beside the trace, with the reasons of the differences."""

import torch
import torchvision
from torch import nn

from cnnviz.anatomy import second_opinion
from tests.anatomy.nets import Branches


def opinions(model, size):
    return {opinion.tool: opinion for opinion in second_opinion(model, size)}


def test_agreement_on_a_plain_network():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False))
    found = opinions(model, (3, 12, 12))
    assert len({opinion.macs for opinion in found.values()}) == 1
    assert {opinion.params for opinion in found.values()} == {3 * 4 * 9 + 4 * 4 * 9}
    assert found["torchinfo"].note == "Agrees."


def test_resnet50_as_each_tool_counts_it():
    with torch.device("meta"):
        model = torchvision.models.resnet50()
    found = opinions(model, (3, 224, 224))
    assert next(model.parameters()).is_meta
    assert found["cnnviz"].macs == 4_089_184_256
    assert round(found["fvcore"].macs / 1e6) == 4112
    assert "batch_norm 22,227,968" in found["fvcore"].note
    assert {opinion.params for opinion in found.values()} == {25_557_032}


def test_torchinfo_takes_a_linear_layer_for_one_position():
    found = opinions(torchvision.models.convnext_tiny(), (3, 224, 224))
    assert round(found["torchinfo"].macs / 1e6) == 322
    assert "one position" in found["torchinfo"].note


def test_the_network_is_not_touched():
    model = Branches().train()
    second_opinion(model, (3, 16, 16))
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_tool_that_fails_says_so():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            if torch.jit.is_tracing():
                raise ValueError("no tracing, please")
            return self.conv(x)

    found = opinions(Listed(), (3, 4, 4))
    assert found["fvcore"].macs is None
    assert "no tracing, please" in found["fvcore"].note
    assert found["torchinfo"].macs is not None
