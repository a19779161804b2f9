import json

from streamlit.testing.v1 import AppTest

from cnnviz.settings import ROOT
from cnnviz.ui.cache.anatomy.source_places import classes, find
from cnnviz.ui.explore.drawing.captions import describe, operator_words
from tests.anatomy.test_graph import graph_of

PAGE = str(ROOT / "pages" / "explore.py")


def opened(variant, **query):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["view"] = "drawing"
    app.query_params["variant"] = variant
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def picture(app):
    return json.loads(app.get("bidi_component")[0].proto.json)


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def test_the_drawing_opens_folded_with_an_example_unfolded():
    app = opened("googlenet")
    svg = picture(app)["svg"]
    assert 'data-node="inception4c"' in svg
    assert 'data-node="inception3a.branch3"' in svg
    assert 'data-node="inception4c.branch3"' not in svg
    assert "Press an operator" in app.info[0].value


def test_a_layer_in_the_url_is_shown_and_described():
    app = opened("resnet20_cifar", layer="layer3.2.conv2")
    assert 'data-node="layer3.2.conv2"' in picture(app)["svg"]
    page = html_of(app)
    assert "36,864 (13.7 % of all)" in page  # 64 · 64 · 9 of 269,722
    assert "2,359,296 (" in page  # those at 8 × 8 places
    assert "3 × 3" in page
    assert any("self.conv2" in block.value for block in app.code)
    assert app.query_params["layer"] == "layer3.2.conv2"


def test_a_chosen_operator_leads_to_its_row_of_the_table():
    app = opened("vgg16_cifar", layer="features.5", width="0.5")
    assert "row 5 of the layer table" in html_of(app)
    next(button for button in app.button if "row" in button.label).click().run()
    assert not app.exception
    assert app.segmented_control(key="explore_view").value == "layers"
    assert app.dataframe[0].value["index"].tolist() == [5]
    assert app.query_params["find"] == "features.5"
    assert app.query_params["width"] == "0.5"
    assert "view" not in app.query_params


def test_a_layer_that_is_not_there_is_left_out():
    app = opened("lenet5", layer="<script>")
    assert "layer" not in app.query_params
    assert app.selectbox(key="drawing_chosen").value is None


def test_auxiliary_classifiers_are_said_to_be_missing():
    said = "Auxiliary classifiers, which only training runs, are not drawn."
    for aux, expected in (("true", True), ("false", False)):
        captions = " ".join(item.value for item in opened("googlenet_2014", aux=aux).caption)
        assert (said in captions) == expected


def test_finding_a_layer_unfolds_what_holds_it():
    app = opened("resnet50")
    assert 'data-node="layer3.4.conv2"' not in picture(app)["svg"]
    app.selectbox(key="drawing_chosen").set_value("layer3.4.conv2").run()
    assert 'data-node="layer3.4.conv2"' in picture(app)["svg"]
    assert app.query_params["layer"] == "layer3.4.conv2"


def test_another_find_at_a_level_folds_what_the_one_before_unfolded():
    """The URL has the level and one layer: a return to the view shows the same."""
    app = opened(variant="resnet20_cifar", view="drawing", level="stages")
    for layer in ("layer1.1.conv2", "layer3.2.conv1"):
        app.selectbox(key="drawing_chosen").set_value(layer).run()
    assert app.query_params["level"] == "stages"
    opened_now = app.session_state["drawing_opened"]
    assert "layer3.2" in opened_now
    assert not any(name.startswith("layer1") for name in opened_now)


def test_levels_fold_and_unfold():
    app = opened("resnet20_cifar")
    level = app.segmented_control(key="drawing_level")
    level.set_value("operators").run()
    assert picture(app)["svg"].count('class="node') == 73
    app.segmented_control(key="drawing_level").set_value("stages").run()
    assert 'data-node="layer2.0.conv1"' not in picture(app)["svg"]


def test_colours_by_share_say_the_share():
    app = opened("lenet_modern")
    app.segmented_control(key="drawing_colour").set_value("share").run()
    data = picture(app)
    assert "≤ 20 %" in data["legend"]
    assert "%" in data["svg"]


def test_another_network_starts_afresh():
    app = opened("resnet20_cifar", layer="layer1.0.conv1")
    app.selectbox(key="explore_family").set_value("googlenet").run()
    assert not app.exception
    assert "layer" not in app.query_params
    assert "inception" in picture(app)["svg"]


def test_words_of_operators():
    layers = {layer.path: layer for layer in graph_of("mobilenet_v1").trace.layers}
    words = [operator_words(layer) for layer in layers.values() if layer.kind == "conv"]
    assert words[:3] == ["conv 3×3 / 2", "depthwise 3×3", "conv 1×1"]
    pools = [x for x in graph_of("alexnet_2012").trace.layers if x.kind == "pool"]
    assert operator_words(pools[0]) == "max pool 3×3 / 2"


def test_a_caption_has_shape_and_cost():
    graph = graph_of("resnet50")
    words = describe(graph.nodes["conv1"], graph.trace, {})
    assert (words.name, words.detail, words.shape) == ("conv1", "conv 7×7 / 2", "64×112×112")
    assert words.cost == "118 MMACs"  # 64 · 112² · 147
    run = next(node for node in graph.nodes.values() if node.repeats == 5)
    assert describe(run, graph.trace, {}).detail == "× 5"
    assert describe(run, graph.trace, {}).name == "layer3.1 – 5"


def test_the_place_in_the_code_is_where_the_module_is_built_and_called():
    resnet = classes("resnet50", ())
    place = find(resnet, "layer1.0.conv2", "conv2d")
    assert place.cls == "nn.Conv2d"
    assert (place.owner, place.place) == ("Bottleneck", "torchvision/models/resnet.py")
    assert [text for _, text in place.mentions][-1] == "out = self.conv2(out)"
    assert find(resnet, "layer9", "conv2d") is None
    cat = find(classes("googlenet", ()), "inception3a", "cat")
    assert any("torch.cat(" in text for _, text in cat.mentions)


def test_level_and_colour_are_in_the_url():
    app = opened("resnet20_cifar", level="operators", colour="share")
    assert 'data-node="layer3.2.conv2"' in picture(app)["svg"]
    assert app.segmented_control(key="drawing_colour").value == "share"
    app.segmented_control(key="drawing_level").set_value("stages").run()
    assert app.query_params["level"] == "stages"
    assert "open" not in app.query_params


def test_what_stands_open_is_in_the_url():
    app = opened("googlenet", open="inception4c~nothing")
    svg = picture(app)["svg"]
    assert 'data-node="inception4c.branch3"' in svg
    assert 'data-node="inception3a.branch3"' not in svg
    assert app.query_params["open"] == "inception4c"
    assert "level" not in app.query_params


def test_a_chosen_node_leads_to_its_filters_and_its_units():
    app = opened("googlenet", layer="inception3a.branch3")
    found = {link.proto.page: link.proto.query_string for link in app.get("page_link")}
    last = "inception3a.branch3.1.relu"  # what the group hands on
    assert found["filters"] == found["deconvnet"] == f"model=googlenet%40imagenet&layer={last}"
    app = opened("googlenet", layer="fc")
    assert not [link for link in app.get("page_link") if "layer=" in link.proto.query_string]


def test_a_block_that_its_parts_have_the_name_of_is_told_by_its_number():
    app = opened("mobilenet_v1_full", level="stages")
    svg = picture(app)["svg"]
    assert ">blocks.3.full<" in svg
    assert ">blocks.6 – 10<" in svg
    assert ">full<" not in svg


def test_what_is_said_of_a_node_is_all_of_it():
    facts = html_of(opened("googlenet", layer="inception3a.cat"))
    assert "<dd>64×28×28 + 128×28×28 + 32×28×28 + 32×28×28</dd>" in facts
    facts = html_of(opened("convnext_tiny", layer="features.1.0.block.3"))
    assert "<dd>linear, at every position: a 1 × 1 convolution</dd>" in facts
    assert "<dt>Kernel size</dt>" in html_of(opened("lenet5", layer="c1"))


def test_a_changed_network_has_no_weights_to_look_at():
    """Shortcut C projects in every block: the published network has no such layer."""
    for query, links in (({"shortcut": "C"}, 0), ({"classes": "7"}, 0), ({"input": "3x96x96"}, 2)):
        app = opened("resnet50", layer="layer1.1.conv1", **query)
        found = [link for link in app.get("page_link") if "layer=" in link.proto.query_string]
        assert len(found) == links
        pages = [link.proto.label for link in app.get("page_link")]
        assert ("Filters learnt on ImageNet →" in pages) is bool(links)


def test_equal_blocks_show_the_code_of_their_class():
    app = opened("resnet50", layer="layer1.1 – layer1.2")
    assert any("Code of Bottleneck" in item.label for item in app.expander)
