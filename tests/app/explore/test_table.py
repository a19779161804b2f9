"""What is taken away from the layer table: the rows, the totals, the settings."""

import csv
import io
import json

import pytest

from cnnviz import registry
from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.explore import table
from cnnviz.ui.pick.selection import Selection

NARROW = Selection(registry.get("vgg16_cifar"), {"width": 0.25}, None, 7)


@pytest.fixture
def frame():
    return networks.layer_frame(*NARROW.arguments)


def test_csv_has_whole_numbers_where_they_are_whole(frame):
    rows = list(csv.DictReader(io.StringIO(table.as_csv(frame))))
    trace = networks.traced(*NARROW.arguments)
    assert [row["path"] for row in rows] == [layer.path for layer in trace.layers]
    assert {row["jump"] for row in rows} >= {"1", "2", "4"}
    assert not any("." in row["jump"] + row["macs"] + row["params"] for row in rows)
    assert sum(int(row["params"]) for row in rows) == trace.params
    assert sum(float(row["macs_share"]) for row in rows) == pytest.approx(1, abs=1e-4)


def test_json_has_the_settings_and_the_totals(frame):
    document = json.loads(table.as_json(NARROW, frame))
    trace = networks.traced(*NARROW.arguments)
    assert document["name"] == "vgg16_cifar"
    assert document["title"] == "VGG-16 for CIFAR-10, width 0.25, 7 classes"
    assert (document["knobs"], document["num_classes"]) == ({"width": 0.25}, 7)
    assert (document["params"], document["macs"]) == (trace.params, trace.macs)
    assert document["part"] is None
    assert len(document["layers"]) == len(trace.layers)


def test_a_part_says_that_it_is_one(frame):
    some = frame[frame["kind"] == "conv"]
    document = json.loads(table.as_json(NARROW, some, "conv"))
    assert document["part"] == {"find": "conv", "operators": len(frame)}
    assert {layer["op"] for layer in document["layers"]} == {"conv2d"}
    lines = table.as_markdown(NARROW, some).splitlines()
    assert lines[2].endswith(f" 13 of its {len(frame)} operators:")
    whole = table.as_markdown(NARROW, frame).splitlines()
    assert whole[2].endswith("for one image of 3×32×32.")


def test_files_are_called_after_the_network_and_its_settings():
    assert NARROW.file_name == "vgg16_cifar-width-0.25-classes-7"
    assert Selection(registry.get("resnet18")).file_name == "resnet18"


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("", 197),
        ("convolution", 57),
        ("pooling", 14),
        ("branches meet", 9),
        ("branch2 CONV2D", 18),
        ("kernel_size=3×3 conv2d", 19),
        ("3x3 branch3 conv2d", 9),
        ("conv2d nothing", 0),
    ],
)
def test_every_word_of_a_search_counts(wanted, count):
    frame = networks.layer_frame(*Selection(registry.get("googlenet")).arguments)
    assert table._found(frame, wanted).sum() == count
