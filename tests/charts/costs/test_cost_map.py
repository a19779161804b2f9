import re

import pytest

from cnnviz import registry
from cnnviz.charts.costs import by_layer, cost_map
from cnnviz.charts.costs.by_layer import stage_names
from cnnviz.ui.cache.anatomy.networks import layer_frame

CHOSEN = ["vgg16", "convnext_tiny", "googlenet", "resnet18", "lenet5"]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("vgg16", [*(f"block {n}" for n in range(1, 6)), "avgpool", "classifier"]),
        ("convnext_tiny", [*(f"features.{n}" for n in range(8)), "avgpool", "classifier"]),
        ("resnet20_cifar", ["stem", "layer1", "layer2", "layer3", "avgpool", "fc"]),
        ("alexnet", ["block 1", "block 2", "block 3", "avgpool", "classifier"]),
        ("lenet5", ["c1", "s2", "c3", "s4", "c5", "f6", "output"]),
    ],
)
def test_stages_are_those_of_the_paper(name, stages):
    assert list(stage_names(layer_frame(name)).unique()) == stages


def test_a_pool_ends_its_block():
    frame = layer_frame("vgg16")
    stage = dict(zip(frame["path"], stage_names(frame), strict=True))
    assert stage["features.0"] == stage["features.4"] == "block 1"
    assert stage["features.5"] == "block 2"
    assert stage["features.30"] == "block 5"


@pytest.mark.parametrize("variant", registry.list_variants()[::7], ids=lambda v: v.name)
def test_stages_add_up_to_the_whole(variant):
    frame = layer_frame(variant.name)
    stages = cost_map.by_stage(frame)
    assert 2 <= len(stages) <= 24
    for cost in cost_map.MAP_COSTS:
        assert stages[cost].sum() == frame[cost].fillna(0).sum()
        assert stages[f"{cost}_share"].sum() == pytest.approx(1)


CELL = re.compile(
    r'<(i|div) class="(\w+)" style="left:([\d.]+)%;top:([\d.]+)%;width:([\d.]+)%;'
    r'height:([\d.]+)%" title="([^"]*)"'
)


def areas_of(html):
    """(stage, its area, [(layer, kind, its part of the stage, where)]) in the order written."""
    found = []
    for _, kind, *sides, words in CELL.findall(html):
        left, top, width, height = (float(side) / 100 for side in sides)
        box = (left, top, left + width, top + height)
        name = words.split(": ")[0]
        if kind == "stage":
            found.append((name, width * height, box, []))
        else:
            found[-1][3].append((name, width * height, box, kind))
    return found


@pytest.mark.parametrize("cost", cost_map.MAP_COSTS)
@pytest.mark.parametrize("name", CHOSEN)
def test_areas_are_the_layers_shares_of_their_stages(name, cost):
    frame = layer_frame(name)
    rows = by_layer.whole_layers(frame)
    values = dict(zip(rows["path"], rows[cost].fillna(0).astype(int), strict=True))
    stages = areas_of(cost_map.cost_areas(frame, cost))
    assert sum(len(layers) for *_, layers in stages) == sum(value > 0 for value in values.values())
    for _, area, _, layers in stages:
        inside = sum(values[path] for path, *_ in layers)
        assert area == pytest.approx(inside / sum(values.values()), abs=1e-4)
        for path, part, *_ in layers:
            assert part == pytest.approx(values[path] / inside, abs=1e-4)


@pytest.mark.parametrize("name", CHOSEN)
def test_areas_neither_overlap_nor_leave_their_frame(name):
    stages = areas_of(cost_map.cost_areas(layer_frame(name), "macs"))
    for boxes in [[box for _, _, box, _ in stages], *([b for _, _, b, _ in s[3]] for s in stages)]:
        for i, (left, top, right, bottom) in enumerate(boxes):
            assert max(right, bottom) <= 1 + 1e-4
            for other in boxes[:i]:
                across = min(right, other[2]) - max(left, other[0])
                down = min(bottom, other[3]) - max(top, other[1])
                assert min(across, down) <= 1e-4


def test_kinds_are_told_by_colour_and_legend():
    html = cost_map.cost_areas(layer_frame("vgg16"), "params")
    kinds = {layer: kind for *_, layers in areas_of(html) for layer, _, _, kind in layers}
    assert kinds["classifier.0"] == "linear"
    assert kinds["features.0"] == "conv"
    assert "Fully connected" in html
    assert "Everything else" not in html


def test_sentences_name_stages_and_layers():
    frame = layer_frame("convnext_tiny")
    assert by_layer.cost_sentence(frame, "params") == "features.7 holds 50 % of the parameters"
    assert cost_map.stage_sentence(frame, "params") == (
        "features.5 and features.7 together have 88 % of the parameters"
    )
    assert cost_map.layer_sentence(layer_frame("vgg16"), "params") == (
        "classifier.0 is the largest layer, with 74 %"
    )
    assert by_layer.cost_sentence(frame, "output_bytes").endswith("of the bytes of activations")


def test_a_network_without_such_a_cost_says_so():
    frame = layer_frame("lenet5").assign(params=0, params_share=0.0)
    assert cost_map.stage_sentence(frame, "params") == "No stage has parameters"
    assert cost_map.layer_sentence(frame, "params") == "No layer has parameters"


def test_layers_with_memory_alone_get_a_bar_too():
    html = by_layer.cost_bars(layer_frame("resnet18"), "output_bytes")
    shares = [float(share) for share in re.findall(r"activations \(([\d.]+) %\)", html)]
    assert sum(shares) == pytest.approx(100, abs=0.005 * len(shares))
    assert 'data-words="maxpool: ' in html


def test_the_largest_layer_or_the_number_of_equal_ones():
    assert cost_map.layer_sentence(layer_frame("googlenet"), "params") == (
        "fc is the largest layer, with 15 %"
    )
    frame = layer_frame("convnext_large")
    assert cost_map.layer_sentence(frame, "macs") == "72 layers are the largest, with 1.3 % each"


def test_parts_that_prediction_skips_are_said_apart():
    frame = layer_frame("googlenet", (("aux", True),))  # 6,379,984 of 13,004,888 in both heads
    assert by_layer.cost_sentence(frame, "params") == (
        "7 of 115 layers with weights hold 28 % of the parameters; "
        "49 % are in parts that prediction skips"
    )
    assert (
        by_layer.cost_sentence(frame, "macs") == "5 of 58 layers hold 54 % of the multiplications"
    )


def test_all_is_said_of_all_alone():
    sentence = cost_map.stage_sentence(layer_frame("lenet_modern"), "params")
    assert sentence == "block 2 and classifier together have more than 99 % of the parameters"
    assert by_layer.whole_percent(1.0) == "100 %"
    assert by_layer.whole_percent(0.0) == "0 %"
    assert by_layer.whole_percent(0.004) == "less than 1 %"


def test_the_stages_of_the_map_have_their_shares():
    html = cost_map.cost_areas(layer_frame("lenet5"), "macs")
    assert "<b>c3 46.1 %</b>" in html  # 150,000 of 325,680
