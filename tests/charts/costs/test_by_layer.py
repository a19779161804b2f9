import itertools
import re

import pandas as pd
import pytest

from cnnviz.charts.costs import by_layer, cost_map
from cnnviz.ui.cache.anatomy.networks import layer_frame


@pytest.fixture
def frame():
    rows = [
        ("conv1", "conv2d", "conv", 100, 9000),
        ("relu", "relu", "activation", 0, 0),
        ("block.conv2", "conv2d", "conv", 300, 900),
        ("fc", "linear", "linear", 600, 100),
    ]
    frame = pd.DataFrame(rows, columns=["path", "op", "kind", "params", "macs"])
    frame["macs"] = frame["macs"].astype("Int64")
    frame["output_shape"] = "8×4×4"
    frame["role"], frame["part_of"] = frame["kind"], ""
    frame["params_share"] = frame["params"] / 1000
    frame["macs_share"] = frame["macs"].astype("Float64") / 10_000
    return frame


def drawn(html):
    """What each bar says: its words, by the share of the axis that it reaches."""
    found = re.findall(r'<i class="(\w+)" style="--h:([\d.]+)%" data-words="([^"]*)"', html)
    return {words.split(":")[0]: (kind, float(height)) for kind, height, words in found}


def test_bars_hold_the_shares_of_costly_layers(frame):
    html = by_layer.cost_bars(frame, "params")
    assert drawn(html) == {  # the axis ends at 60 %
        "conv1": ("conv", pytest.approx(100 * 10 / 60, abs=0.01)),
        "block.conv2": ("conv", 50),
        "fc": ("linear", 100),
    }
    assert "fc: 600 parameters (60.00 %), linear → 8×4×4" in html
    assert "<b>60 %</b>" in html
    assert "Share of parameters" in html


def test_what_is_drawn_is_said(frame):
    html = by_layer.cost_bars(frame, "macs")
    assert 'role="img"' in html
    assert "conv1 alone holds 90 % of the multiplications" in html.split('aria-label="')[1]


def test_names_are_escaped(frame):
    frame["path"] = ["<b>", "relu", '"', "&"]
    html = by_layer.cost_bars(frame, "params")
    assert "<b>:" not in html
    assert "&lt;b&gt;" in html
    assert "&quot;" in html


def test_the_sentence_names_the_layers_that_make_half(frame):
    assert by_layer.cost_sentence(frame, "params") == "fc alone holds 60 % of the parameters"
    assert by_layer.cost_sentence(frame, "macs") == "conv1 alone holds 90 % of the multiplications"
    frame["path"] = ["conv1", "scale", "conv2", "fc"]
    frame["params_share"] = [0.27, 0.22, 0.26, 0.25]
    assert (
        by_layer.cost_sentence(frame, "params")
        == "2 of 4 layers with weights hold 53 % of the parameters"
    )


def test_the_sentence_names_the_stage_that_holds_most(frame):
    frame["path"] = ["stem.conv", "stem.relu", "block.conv", "block.fc"]
    frame["params_share"] = [0.3, 0, 0.3, 0.4]
    assert by_layer.cost_sentence(frame, "params") == "block holds 70 % of the parameters"


def test_stages_with_about_as_much_are_named_together(frame):
    frame["path"] = ["stem.conv", "layer1.conv", "layer2.conv", "layer3.fc"]
    frame["params_share"] = [0.01, 0.33, 0.34, 0.32]
    assert by_layer.cost_sentence(frame, "params") == (
        "layer1, layer2 and layer3 hold 32 to 34 % of the parameters each"
    )
    frame["params_share"] = [0.02, 0.49, 0.49, 0.0]
    assert by_layer.cost_sentence(frame, "params") == (
        "layer1 and layer2 hold 49 % of the parameters each"
    )


def test_the_stage_that_the_sentence_names_is_marked_with_its_share():
    frame = layer_frame("resnet18")
    assert by_layer.cost_sentence(frame, "params") == "layer4 holds 72 % of the parameters"
    html = by_layer.cost_bars(frame, "params")
    marks = re.findall(r'<span style="left:[\d.]+%;width:[\d.]+%"><b class="\w*">([^<]+)<', html)
    assert marks == ["layer4: 72 %"]
    heights = [float(share) for share in re.findall(r"layer4[^:]*: [\d,]+ \w+ \(([\d.]+) %", html)]
    assert sum(heights) == pytest.approx(71.8, abs=0.1)


def test_a_layer_in_parts_is_one_bar():
    """C3 of LeNet-5 is written as three convolutions: it is one layer, and the largest."""
    frame = layer_frame("lenet5")
    assert by_layer.cost_sentence(frame, "macs") == "c3 holds 46 % of the multiplications"
    assert cost_map.layer_sentence(frame, "macs") == "c3 is the largest layer, with 46 %"
    html = by_layer.cost_bars(frame, "macs")
    assert "c3: 150,000 multiplications (46.06 %), conv2d → 16×10×10" in html
    assert "reads_three" not in html
    rows = by_layer.whole_layers(frame)
    for cost in ("params", "macs", "output_bytes"):
        assert rows[cost].sum() == frame[cost].sum()


def test_a_linear_layer_at_every_position_has_the_colour_of_a_convolution():
    html = by_layer.cost_bars(layer_frame("convnext_tiny"), "macs")
    classes = re.findall(r'<i class="(\w+)" style="--h', html)
    assert (classes.count("conv"), classes.count("linear")) == (22 + 36, 1)


def test_one_bar_needs_no_mark(frame):
    frame["path"] = ["a", "relu", "b", "fc"]
    frame["params_share"] = [0.45, 0, 0.3, 0.25]
    assert by_layer.cost_sentence(frame, "params") == "a holds 45 % of the parameters"
    assert '<div class="marks"></div>' in by_layer.cost_bars(frame, "params")


@pytest.mark.parametrize("name", ["alexnet_2012", "zfnet"])
def test_layers_without_modules_around_them_are_blocks_too(name):
    frame = layer_frame(name)
    stages = by_layer.stage_names(frame)
    assert list(dict.fromkeys(stages)) == ["block 1", "block 2", "block 3", "classifier"]
    by_path = dict(zip(frame["path"], stages, strict=True))
    assert by_path["conv2"] == by_path["pool2"] == "block 2"
    assert by_path["conv3"] == by_path["pool5"] == by_path["flatten"] == "block 3"
    # LeNet-5's few layers have names of their own.
    assert list(dict.fromkeys(by_layer.stage_names(layer_frame("lenet5"))))[:3] == [
        "c1",
        "s2",
        "c3",
    ]


def test_words_of_a_mark_stay_inside_the_chart():
    html = by_layer.cost_bars(layer_frame("resnet50"), "params")
    assert '<b class="far">layer4: 59 %</b>' in html
    html = by_layer.cost_bars(layer_frame("vgg11_cifar"), "output_bytes")
    assert '<b class="near">block 1: 44 %</b>' in html


def test_unknown_macs_and_empty_networks(frame):
    frame["macs"] = frame["macs"].mask(frame["path"] == "fc")
    frame["macs_share"] = frame["macs"].astype("Float64") / 9900
    assert set(drawn(by_layer.cost_bars(frame, "macs"))) == {"conv1", "block.conv2"}
    assert "Fully connected" not in by_layer.cost_bars(frame, "macs")
    frame[["params", "params_share"]] = 0
    assert by_layer.cost_sentence(frame, "params") == "No layer has parameters"
    assert drawn(by_layer.cost_bars(frame, "params")) == {}


def test_labels_keep_clear_of_one_another(frame):
    many = pd.concat([frame] * 12, ignore_index=True)
    many["path"] = [f"inception{i // 4}.conv{i}" for i in range(len(many))]
    names = re.findall(r'<span style="left:([\d.]+)%">(\w+)<', by_layer.cost_bars(many, "macs"))
    assert 1 < len(names) < 12
    assert names[0][1] == "inception0"
    places = [float(place) for place, _ in names]
    assert min(b - a for a, b in itertools.pairwise(places)) >= 25  # of a phone's width
