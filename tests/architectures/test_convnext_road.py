import math

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from cnnviz.anatomy.effective_field import LeaveWeights
from cnnviz.architectures import build, convnext_road
from cnnviz.networks.catalogue import inspect_variant
from tests.architectures.counting import count

# Billions of multiply-accumulates, the paper's Table 10 from ResNet-50 to "fewer norms".
TABLE_10 = [4.09, 4.53, 4.42, 2.35, 5.27, 4.64, 4.07, 4.10, 4.15, 4.21, 4.29, 4.15, 4.15, 4.15]


@pytest.mark.parametrize(("number", "billions"), enumerate(TABLE_10))
def test_cost_is_the_papers_to_two_decimals(number, billions):
    assert round(count(f"convnext_road_{number:02d}")[1] / 1e9, 2) == billions


def test_layer_normalisation_cannot_cost_what_table_10_adds():
    """Its row is 4.46 after 4.15; no count of a norm has a hundred operations for each number."""
    before, after = count("convnext_road_13")[1], count("convnext_road_14")[1]
    assert before == after == 4_145_612_928
    layers = inspect_variant("convnext_road_14").layers
    numbers = sum(math.prod(layer.output_shape) for layer in layers if layer.kind == "norm")
    assert (4.46e9 - 4.15e9) / numbers > 100
    assert round((count("convnext_road_15")[1] - after) / 1e9, 2) == 0.31


def test_the_released_network_costs_what_fvcore_counts():
    with LeaveWeights():
        network = build("convnext_road_15").eval()
    counted = FlopCountAnalysis(network, torch.zeros(1, 3, 224, 224))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = counted.by_operator()
    assert by_operator["conv"] + by_operator["linear"] == count("convnext_road_15")[1]
    assert round(counted.total() / 1e9, 2) == 4.47  # norms and pooling do not make 4.49 either


def test_the_road_starts_at_resnet50_and_ends_at_convnext_tiny():
    assert count("convnext_road_00") == count("resnet50")
    assert count("convnext_road_15") == count("convnext_tiny")


def modules(number, kind):
    with torch.device("meta"):
        network = build(f"convnext_road_{number:02d}")
    block = network.stages[0][1]
    return sum(isinstance(module, kind) for module in block.modules())


def test_activations_and_norms_go_from_each_block():
    norms = (nn.BatchNorm2d, nn.LayerNorm)
    assert [modules(number, nn.GELU) for number in (10, 11, 12)] == [0, 3, 1]
    assert [modules(number, norms) for number in (12, 13, 14)] == [3, 1, 1]
    assert [modules(number, nn.LayerNorm) for number in (13, 14)] == [0, 1]


def test_the_first_network_answers_as_torchvisions_resnet50():
    """The same weights, in order, give the same logits: the design's defaults are ResNet-50's."""
    torch.manual_seed(0)
    theirs, ours = build("resnet50").eval(), convnext_road.RoadNet().eval()
    published = [v for k, v in theirs.state_dict().items() if "downsample" not in k]
    projections = [v for k, v in theirs.state_dict().items() if "downsample" in k]
    state = {}
    for key in ours.state_dict():
        state[key] = (projections if "shortcut" in key else published).pop(0)
    ours.load_state_dict(state)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image))
