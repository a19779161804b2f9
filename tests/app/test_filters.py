import json

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.images import decode, sample_photos
from cnnviz.networks.subjects import find_subject
from cnnviz.settings import ROOT
from cnnviz.sight import feature_maps, filters
from cnnviz.ui.cache.subjects import trace_of
from cnnviz.ui.filters.grid import named, sentence
from cnnviz.ui.filters.one_filter import activation_after, describe

PAGE = str(ROOT / "pages" / "filters.py")


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def headings(app):
    return [item.value for item in app.subheader]


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def grids(app):
    """The data of each grid of tiles: the filters or maps first, then the nearest filters."""
    return [json.loads(block.proto.json) for block in app.get("bidi_component")]


def captions(app):
    return " ".join(item.value for item in app.caption)


def test_opens_on_the_first_filters_of_the_shipped_network():
    app = opened()
    assert app.selectbox(key="layer").value == "stem.0"
    assert headings(app)[0] == "stem.0: 16 filters, none dead, no two alike"
    tiles = grids(app)[0]["tiles"]
    assert [tile["unit"] for tile in tiles] == [str(unit) for unit in range(16)]
    assert all(tile["source"].startswith("data:image/png;base64,") for tile in tiles)
    assert "in the colours that it reads" in captions(app)
    assert "edges in all directions" in " ".join(block.value for block in app.markdown)
    assert not app.warning


def test_the_strongest_filter_is_chosen_at_first_with_its_numbers():
    app = opened(model="resnet20_cifar")
    found = filters(find_subject("resnet20_cifar").load(), "stem.0")
    unit = int(found.norms.argmax())
    assert f"Filter {unit}" in headings(app)
    assert f"{found.norms[unit]:.4g}" in html_of(app)
    assert "number 1 of 16" in html_of(app)
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert "red, row 0, column 0" in json.dumps(figure)
    assert grids(app)[0]["chosen"] == str(unit) == app.query_params["unit"]
    nearest = [str(pair.second) for pair in found.neighbours(unit) if pair.cosine > 0]
    assert [tile["unit"] for tile in grids(app)[1]["tiles"]] == nearest


def test_a_unit_in_the_link_and_one_that_is_not_there():
    assert "Filter 11" in headings(opened(unit="11"))
    app = opened(unit="99")
    assert "stem.0 has no unit “99”: its units are 0 to 15." in app.warning[0].value
    assert any(item.startswith("Filter ") for item in headings(app))
    assert app.query_params["unit"] != "99"


def test_another_layer_starts_at_its_own_strongest_filter():
    app = opened(model="resnet20_cifar", unit="11")
    app.selectbox(key="layer").set_value("layer2.0.conv1").run()
    assert not app.warning
    found = filters(find_subject("resnet20_cifar").load(), "layer2.0.conv1")
    assert f"Filter {int(found.norms.argmax())}" in headings(app)
    assert "16 slices, one an input channel" in captions(app)


def test_order_and_scale_stand_in_the_link():
    app = opened(model="resnet20_cifar", order="norm", scale="all")
    found = filters(find_subject("resnet20_cifar").load(), "stem.0")
    tiles = grids(app)[0]["tiles"]
    assert [int(tile["unit"]) for tile in tiles] == found.order("norm").tolist()
    assert "share one scale" in captions(app)
    own = {tile["unit"]: tile["source"] for tile in grids(opened(scale="each"))[0]["tiles"]}
    assert any(tile["source"] != own[tile["unit"]] for tile in tiles)


def test_a_variant_in_the_link_opens_its_best_weights(untrained):
    app = opened(variant="resnet20_cifar", layer="layer1.0.conv2")
    assert app.query_params["model"] == "resnet20_cifar"
    assert "variant" not in app.query_params
    assert headings(app)[0].startswith("layer1.0.conv2: 16 filters")
    app = opened(variant=untrained)
    assert app.query_params["model"] == f"{untrained}@random"
    assert "random" in app.info[0].value


def test_an_operator_without_kernels_in_the_link_opens_its_maps():
    app = opened(variant="resnet20_cifar", layer="layer2.0.relu1")
    assert app.query_params["view"] == "maps"
    assert headings(app)[0].startswith("layer2.0.relu1: 32 feature maps")
    app.segmented_control(key="view").set_value("filters").run()
    assert headings(app)[0].startswith("layer2.0.conv1: 32 filters")


@pytest.mark.parametrize(
    ("layer", "why", "instead"),
    [
        ("fc", "has no filters and no feature maps", "layer3.2.conv2"),  # the one before it
        ("<b>nothing</b>", "is no layer of it", "stem.0"),
    ],
)
def test_a_layer_that_cannot_be_shown_is_named(layer, why, instead):
    app = opened(model="resnet20_cifar", layer=layer)
    assert why in app.warning[0].value
    assert headings(app)[0].startswith(f"{instead}:")


def test_a_layer_without_maps_is_named_once():
    app = opened(model="resnet20_cifar", view="maps", layer="nothing")
    assert [item.value for item in app.warning] == [
        "“nothing” gives no feature maps in this network. Showing stem.2 instead."
    ]


def test_switching_views_keeps_the_convolution():
    app = opened(model="resnet20_cifar", layer="layer2.0.conv1", unit="9")
    app.segmented_control(key="view").set_value("maps").run()
    assert headings(app)[0].startswith("layer2.0.conv1: 32 feature maps")
    assert "Map 9" in headings(app)
    assert not app.warning


def test_depthwise_filters_are_one_tile_each():
    app = opened(model="mobilenet_v1_cifar@random", layer="blocks.0.depthwise.0")
    assert len(grids(app)[0]["tiles"]) == 32
    assert "one small kernel for each map" in " ".join(block.value for block in app.markdown)


def test_a_1x1_convolution_is_a_matrix():
    app = opened(model="mobilenet_v1_cifar@random", layer="blocks.0.pointwise.0", unit="5")
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert [trace["type"] for trace in specs[0]["data"]] == ["heatmap", "scatter"]
    assert specs[1]["data"][0]["type"] == "bar"
    assert "Filter 5" in headings(app)
    assert len(grids(app)) == 1  # the nearest filters only


def test_a_large_layer_is_shown_in_parts_and_the_part_follows_the_unit():
    app = opened(model="mobilenet_v1_cifar@random", layer="blocks.4.depthwise.0", unit="70")
    assert app.selectbox(key="part").value == "2"
    assert [tile["unit"] for tile in grids(app)[0]["tiles"]] == [str(n) for n in range(64, 128)]
    app.selectbox(key="part").set_value("4").run()
    assert grids(app)[0]["tiles"][0]["unit"] == "192"
    assert "Filter 70" in headings(app)
    app.selectbox(key="unit").set_value("3").run()
    assert app.selectbox(key="part").value == "1"


def test_slices_of_many_channels_are_shown_in_parts():
    app = opened(model="resnet18_cifar@random", layer="layer2.0.conv2", unit="0")
    assert "16 strongest of 128 slices" in captions(app)
    assert app.selectbox(key="slices").options == [
        "the 64 strongest",
        "channels 0–63",
        "channels 64–127",
    ]
    app.selectbox(key="slices").set_value("64").run()
    spec = app.get("plotly_chart")[0].proto.spec
    assert "channel 127, row 2, column 2" in json.dumps(json.loads(spec))


def test_feature_maps_come_strongest_first_and_one_is_large():
    app = opened(model="resnet20_cifar", view="maps", layer="layer1.0.relu1")
    shown = [float(tile["caption"].split("·")[1]) for tile in grids(app)[0]["tiles"]]
    assert len(shown) == 16
    assert shown == sorted(shown, reverse=True)
    chosen = grids(app)[0]["tiles"][0]["unit"]
    assert f"Map {chosen}" in headings(app)
    kinds = [json.loads(chart.proto.spec)["data"][0]["type"] for chart in app.get("plotly_chart")]
    assert kinds == ["heatmap", "heatmap"]
    assert "of all positions; the others are zero" in html_of(app)
    app.segmented_control(key="sort").set_value("number").run()
    assert [tile["unit"] for tile in grids(app)[0]["tiles"]] == [str(n) for n in range(16)]


def test_maps_in_another_layout_have_their_units():
    app = opened(model="convnext_atto_cifar@random", view="maps", layer="features.1.0.block.4")
    assert headings(app)[0].startswith("features.1.0.block.4: 160 feature maps")


def test_a_photo_of_ones_own_changes_the_maps():
    app = opened(model="resnet20_cifar", view="maps")
    before = grids(app)[0]["sheet"]
    photo = ("rocket.png", sample_photos()["rocket"], "image/png")
    app.file_uploader[0].set_value(photo).run()
    assert not app.exception
    assert grids(app)[0]["sheet"] != before


def test_the_automatic_map_follows_the_photo_until_one_was_chosen():
    app = opened(model="resnet20_cifar", view="maps", layer="layer2.0.relu1")
    subject = find_subject("resnet20_cifar")

    def strongest(name):
        inputs, _ = subject.look_at(decode(sample_photos()[name]))
        maps = feature_maps(subject.load(), inputs, ["layer2.0.relu1"])["layer2.0.relu1"][0]
        return str(int(maps.flatten(1).amax(1).argmax()))

    units = {name: strongest(name) for name in sample_photos()}
    assert app.selectbox(key="unit").value == units["cat"]
    other = next(name for name, unit in units.items() if unit != units["cat"])
    app.selectbox(key="sample").set_value(other).run()
    assert app.selectbox(key="unit").value == units[other]
    app.selectbox(key="unit").set_value("7").run()
    app.selectbox(key="sample").set_value("cat").run()
    assert app.selectbox(key="unit").value == "7"


def test_a_refused_file_shows_no_maps_of_another_photo_and_keeps_the_filters():
    app = opened(model="resnet20_cifar", view="maps")
    app.file_uploader[0].set_value(("film.mov", b"\0\0\0\x14ftypqt  ", "video/quicktime")).run()
    assert not app.exception
    assert app.error[0].value.startswith("film.mov is a film")
    assert not grids(app)
    app.segmented_control(key="view").set_value("filters").run()
    assert grids(app)


def test_the_table_is_filled_when_it_is_opened():
    app = opened(model="mobilenet_v1_cifar@random")
    assert not app.dataframe
    app.session_state["filters_layers"] = True
    app.run()
    frame = app.dataframe[0].value
    assert len(frame) == 27
    assert frame["path"].iloc[1] == "blocks.0.depthwise.0"
    assert frame["kernels"].iloc[1] == "32 × 1 × 3 × 3"


def test_published_weights_are_offered_for_download(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    app = opened(model="alexnet@imagenet")
    assert "not on this machine yet" in app.info[0].value
    assert app.button[0].label == "Download them"
    assert not grids(app)


def test_without_a_trained_network_random_weights_are_said_to_be_random(no_checkpoints):
    app = opened(model="lenet5")
    assert "These weights are random" in app.info[0].value
    assert headings(app)[0].startswith("c1: 6 filters")
    assert "read the grey photo itself" in " ".join(block.value for block in app.markdown)


def test_dead_filters_and_duplicates_are_named():
    found = filters(find_subject("lenet5_cifar@random").load(), "c1")
    found.weights[2] = 0
    found.weights[4] = 2 * found.weights[1]
    pairs = found.duplicates()
    assert sentence(found, pairs) == (
        "6 filters; 1 does next to nothing; 1 pair is a near duplicate"
    )
    assert named(found, pairs) == [
        "Next to nothing (dashed): 2.",
        "Near duplicates (dashed): 1 and 4 (1.00).",
    ]
    assert "next to nothing" in describe(found, pairs, 2)
    assert "Near duplicate of 1 (cosine 1.00)" in describe(found, pairs, 4)


@pytest.mark.parametrize(
    ("subject", "layer", "after"),
    [
        ("resnet20_cifar@random", "layer1.0.conv1", "layer1.0.relu1"),
        ("resnet20_cifar@random", "layer1.0.conv2", "layer1.0.relu2"),  # past the shortcut
        ("googlenet@random", "inception3a.branch1.conv", "inception3a.branch1.relu"),
        ("lenet5_cifar@random", "c1", "relu1"),
        ("convnext_atto_cifar@random", "features.1.0.block.0", None),
    ],
)
def test_the_activation_behind_a_convolution(subject, layer, after):
    found = activation_after(trace_of(find_subject(subject)), layer)
    assert (found.path if found else None) == after
