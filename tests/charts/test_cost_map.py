import pytest

from cnnviz import registry
from cnnviz.charts import cost_map, costs
from cnnviz.charts.costs import stage_names
from cnnviz.ui.caches import layer_frame

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


@pytest.mark.parametrize("cost", cost_map.MAP_COSTS)
@pytest.mark.parametrize("name", CHOSEN)
def test_areas_are_the_layers_own_and_their_stages_sums(name, cost):
    frame = layer_frame(name)
    (areas,) = cost_map.cost_treemap(frame, cost).data
    values = dict(zip(areas.ids, areas.values, strict=True))
    parents = dict(zip(areas.ids, areas.parents, strict=True))
    assert len(values) == len(areas.ids)
    for path, value in zip(frame["path"], frame[cost].fillna(0), strict=True):
        assert values.get(path, 0) == value
    for stage in set(areas.parents) - {""}:
        inside = [values[id_] for id_, parent in parents.items() if parent == stage]
        assert values[stage] == sum(inside)


def test_colours_follow_the_background():
    frame = layer_frame("lenet5")
    light, dark = (cost_map.cost_treemap(frame, "params", dark).data[0] for dark in (False, True))
    assert set(light.marker.colors).isdisjoint(dark.marker.colors)


def test_bars_stand_in_order_and_name_their_unit():
    figure = cost_map.stage_bars(layer_frame("vgg16"), "params")
    (bars,) = figure.data
    assert bars.y[0] == "block 1"
    assert bars.x[-1] == pytest.approx(100 * 123_642_856 / 138_357_544)  # the classifier's
    assert figure.layout.xaxis.ticksuffix == " %"
    assert figure.layout.xaxis.title.text == "Share of parameters"


def test_sentences_name_stages_and_layers():
    frame = layer_frame("convnext_tiny")
    assert costs.cost_sentence(frame, "params") == "features.7 holds 50 % of the parameters"
    assert cost_map.stage_sentence(frame, "params") == (
        "features.5 and features.7 together have 88 % of the parameters"
    )
    assert cost_map.layer_sentence(layer_frame("vgg16"), "params") == (
        "classifier.0 is the largest layer, with 74 %"
    )
    assert costs.cost_sentence(frame, "output_bytes").endswith("of the bytes of activations")


def test_a_network_without_such_a_cost_says_so():
    frame = layer_frame("lenet5").assign(params=0, params_share=0.0)
    assert cost_map.stage_sentence(frame, "params") == "No stage has parameters"
    assert cost_map.layer_sentence(frame, "params") == "No layer has parameters"


def test_layers_with_memory_alone_get_a_bar_too():
    frame = layer_frame("resnet18")
    bars = costs.cost_bars(frame, "output_bytes").data
    assert sum(sum(trace.y) for trace in bars) == pytest.approx(100)
    assert any("maxpool" in row[0] for trace in bars for row in trace.customdata)
