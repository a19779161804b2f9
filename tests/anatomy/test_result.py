"""What a trace gives to tables and to JSON."""

import json

import pytest
from torch import nn

from cnnviz.anatomy import trace
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


def test_lookup_by_path():
    found = trace(nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 8, 8))
    assert found.layer("0").op == "conv2d"
    with pytest.raises(KeyError):
        found.layer("1")
