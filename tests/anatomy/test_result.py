"""What a trace gives to tables and to JSON."""

import json
from collections import Counter

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.anatomy import trace
from cnnviz.errors import CnnvizError
from tests.anatomy.nets import Branches


def test_document():
    found = trace(Branches(), (3, 16, 16))
    document = json.loads(json.dumps(found.to_dict()))
    assert document["params"] == found.params
    assert document["macs"] == found.macs
    assert document["receptive_field"] == {"size": 13, "jump": 2}
    assert document["layers"][0] == {
        "index": 0,
        "path": "stem",
        "module": "stem",
        "op": "conv2d",
        "kind": "conv",
        "input_shape": [1, 3, 16, 16],
        "input_shapes": [[1, 3, 16, 16]],
        "output_shape": [1, 8, 8, 8],
        "params": 608,
        "macs": 8 * 64 * 75,
        "flops": 2 * 8 * 64 * 75,
        "bias_adds": 512,
        "other_ops": 0,
        "output_bytes": 2048,
        "receptive_field": 5,
        "jump": 2,
        "note": "",
        "attributes": {
            "kernel_size": [5, 5],
            "stride": [2, 2],
            "padding": [2, 2],
            "dilation": [1, 1],
            "groups": 1,
        },
        "inputs": [-1],
        "part_of": "",
    }


def test_frame():
    found = trace(Branches(), (3, 16, 16))
    frame = found.to_frame()
    assert len(frame) == len(found.layers)
    assert frame["macs"].sum() == found.macs
    assert frame.loc[0, "output_shape"] == "8×8×8"
    assert frame["receptive_field"].isna().sum() == 2  # the global mean and the layer after it
    assert "kernel_size=5×5" in frame.loc[0, "attributes"]
    records = json.loads(frame.to_json(orient="records"))
    assert [row["path"] for row in records] == [layer.path for layer in found.layers]


def test_what_meets_in_an_operator_has_a_shape_each():
    found = trace(cnnviz.build("googlenet"), (3, 224, 224))
    cat = next(layer for layer in found.layers if layer.op == "cat")
    assert [shape[1] for shape in cat.input_shapes] == [64, 128, 32, 32]
    assert sum(shape[1] for shape in cat.input_shapes) == cat.output_shape[1]
    assert cat.input_shape == cat.input_shapes[0]
    row = found.to_frame().iloc[cat.index]
    assert row["input_shape"] == "64×28×28 + 128×28×28 + 32×28×28 + 32×28×28"


def test_a_linear_layer_at_every_position_is_a_convolution_to_a_reader():
    found = trace(cnnviz.build("convnext_atto_cifar"), (3, 32, 32))
    linear = [layer for layer in found.layers if layer.kind == "linear"]
    assert [layer.pointwise for layer in linear] == [True] * 24 + [False]  # two a block, the head
    assert [layer.role for layer in linear] == ["conv"] * 24 + ["linear"]
    assert Counter(found.to_frame()["role"])["conv"] == 24 + 12 + 4


def test_parts_of_a_layer_count_once():
    """C3 of LeNet-5 is written as three convolutions, after its table of links."""
    found = trace(cnnviz.build("lenet5"), (1, 32, 32))
    assert [layer.path for layer in found.weighted] == ["c1", "c3.reads_three", "c5", "f6"]
    parts = [layer.path for layer in found.layers if layer.part_of]
    assert parts == ["c3.reads_three", "c3.reads_four", "c3.reads_all", "c3.cat"]
    with pytest.raises(CnnvizError, match=r"its third convolution \(c5\) would be empty"):
        trace(cnnviz.build("lenet5"), (1, 28, 28))


class _Sides(nn.Module):
    """Two convolutions side by side, alike or not, with or without an activation of their own."""

    def __init__(self, kernel, active):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 5, kernel, padding=1)
        self.active = active

    def forward(self, x):
        left, right = self.left(x), self.right(x)
        right = right[:, :, :8, :8] if right.shape[2] > 8 else right
        return torch.cat([left.relu(), right] if self.active else [left, right], 1)


@pytest.mark.parametrize(
    ("network", "layers"),
    [(_Sides(3, False), 1), (_Sides(3, True), 2), (_Sides(1, False), 2)],
)
def test_branches_are_layers_of_their_own(network, layers):
    assert len(trace(network, (3, 8, 8)).weighted) == layers


def test_lookup_by_path():
    found = trace(nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 8, 8))
    assert found.layer("0").op == "conv2d"
    with pytest.raises(KeyError):
        found.layer("1")
