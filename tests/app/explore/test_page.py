import json

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.settings import ROOT

PAGE = str(ROOT / "pages" / "explore.py")


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def html_of(app: AppTest) -> str:
    """The page's own HTML; where a line may break is left out of account."""
    parts = " ".join(element.proto.body for element in app.get("html"))
    return parts.replace("\N{NO-BREAK SPACE}", " ")


def markdown_of(app: AppTest) -> str:
    return " ".join(item.value for item in app.markdown)


def captions_of(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def links_of(app: AppTest) -> dict[str, str]:
    """The pages that are linked to, with the state that they open in."""
    return {link.proto.page: link.proto.query_string for link in app.get("page_link")}


def test_opens_on_the_first_variant():
    app = opened()
    assert not app.exception
    assert app.selectbox(key="explore_variant").value == "lenet5"
    assert app.query_params["variant"] == "lenet5"


def test_what_is_below_the_portrait_keeps_its_place():
    """A browser builds anew what comes to another place: it took a third of an answer's time."""
    # with published weights and without them, with other links, with a warning
    shown = [opened(variant=name) for name in ("googlenet", "googlenet_2014", "lenet5", "none")]
    assert shown[-1].warning
    places = [[part.type for part in app.main.children.values()] for app in shown]
    assert places == places[:1] * 4


@pytest.mark.parametrize(
    ("setting", "impossible", "kept", "said"),
    [
        ("width", 99.0, 0.5, "Width must lie between"),
        ("classes", 0, 10, "Classes must lie between 1 and 100,000: 10 is shown."),
        ("input_height", 2000, 32, "Input height must lie between 1 and 1,024: 32 is shown."),
    ],
)
def test_a_number_out_of_its_limits_is_refused_with_the_reason(setting, impossible, kept, said):
    app = opened(variant="vgg11_cifar", width="0.5")
    before = dict(app.query_params)
    field = app.number_input(key=f"explore_vgg11_cifar_{setting}")
    assert field.value == kept
    field.set_value(impossible).run()
    assert not app.exception
    (error,) = app.error
    assert said in error.value
    assert dict(app.query_params) == before
    assert "holds a setting that cannot be; VGG-11" in captions_of(app)  # where Adjust is closed
    assert not app.number_input(key=f"explore_vgg11_cifar_{setting}").set_value(kept).run().error
    assert "cannot be" not in captions_of(app)


def test_a_deep_link_shows_published_numbers():
    app = opened(variant="resnet50")
    assert not app.exception
    assert not app.warning
    page = html_of(app)
    assert "25,557,032" in page  # torchvision's own count
    assert "4.09 GMACs" in page
    assert "8.18 GFLOPs" in page
    assert "102 MB" in page  # 4 bytes each
    assert app.dataframe[0].value["params"].sum() == 25_557_032
    assert not app.code  # folded, but named
    assert "torchvision/models/resnet.py, class ResNet" in app.expander[0].label


def test_settings_in_the_url_count():
    app = opened(variant="resnet18", classes="10", input="3x112x112")
    assert not app.exception
    assert "11,181,642" in html_of(app)  # 11,689,512 less 990 × 513
    assert app.query_params["classes"] == "10"
    app.number_input(key="explore_resnet18_classes").set_value(1000).run()
    assert "11,689,512" in html_of(app)
    assert "classes" not in app.query_params


def test_the_resolution_of_mobilenet_sets_the_input():
    app = opened(variant="mobilenet_v1", width="0.5", resolution="128")
    assert "49,160,192 MACs" in html_of(app)  # α 0.5 at 128, as the paper counts
    assert "3 × 128 × 128" in html_of(app)
    assert "input" not in app.query_params
    app.selectbox(key="explore_mobilenet_v1_resolution").set_value(160).run()
    assert app.number_input(key="explore_mobilenet_v1_input_width").value == 160
    assert app.query_params["resolution"] == "160"
    app.number_input(key="explore_mobilenet_v1_width").set_value(1.0).run()
    assert "290,675,200 MACs" in html_of(app)
    app.number_input(key="explore_mobilenet_v1_input_height").set_value(96).run()
    assert app.query_params["input"] == "3x96x160"
    app = opened(variant="mobilenet_v1", resolution="160", input="3x96x160")
    assert "3 × 96 × 160" in html_of(app)
    assert app.query_params["input"] == "3x96x160"


def test_a_network_with_other_settings_says_so():
    app = opened(variant="mobilenet_v1", width="0.5", resolution="128", classes="7")
    assert "<h2>MobileNetV1, width 0.5, resolution 128, 7 classes</h2>" in markdown_of(app)
    app = opened(variant="resnet50", input="3x64x96")
    assert "<h2>ResNet-50, input 3 × 64 × 96</h2>" in markdown_of(app)
    captions = " ".join(caption.value for caption in app.caption)
    assert "top-1" not in captions  # published for another input
    assert "<h2>ResNet-50</h2>" in markdown_of(opened(variant="resnet50"))


def test_a_setting_of_another_network_is_named():
    app = opened(variant="resnet20_cifar", shortcut="B", utm_source="mail")
    assert [item.value for item in app.warning] == [
        "ResNet-20 for CIFAR-10 has no setting called shortcut."
    ]
    app.selectbox(key="explore_variant").set_value("resnet18_cifar").run()
    assert not app.warning
    assert "shortcut" not in app.query_params


def test_parameters_that_prediction_does_not_use_are_counted_apart():
    app = opened(variant="googlenet_2014", aux="true", view="cost")
    assert "13,378,280 parameters" in html_of(app)
    assert "6.38 M of them in parts that prediction skips" in html_of(app)  # less 6,998,552
    said = " ".join(caption.value for caption in app.caption)
    assert "The other 6.38 M parameters (47.7 %) are in auxiliary classifiers" in said
    app.segmented_control(key="explore_cost").set_value("macs").run()
    assert "auxiliary" not in " ".join(caption.value for caption in app.caption)
    assert "prediction skips" not in html_of(opened(variant="googlenet_2014"))


def test_picking_a_family_opens_its_first_variant():
    app = opened(variant="lenet5")
    app.selectbox(key="explore_family").set_value("resnet").run()
    assert app.query_params["variant"] == "resnet18"
    app.selectbox(key="explore_variant").set_value("resnet20_cifar").run()
    assert app.query_params["variant"] == "resnet20_cifar"
    assert "269,722" in html_of(app)


@pytest.mark.parametrize(
    "variant", ["resnet_20", "<script>alert(1)</script>", "", "../x", "x" * 4000]
)
def test_an_unknown_variant_gets_one_sentence_and_the_default(variant):
    app = opened(variant=variant)
    assert not app.exception
    assert len(app.warning) == 1
    assert "Showing LeNet-5 (1998) instead." in app.warning[0].value
    assert len(app.warning[0].value) < 150
    assert app.query_params.get("variant", "") == variant  # Back would meet it again
    app.selectbox(key="explore_variant").set_value("lenet_modern").run()
    assert app.query_params["variant"] == "lenet_modern"
    assert not app.warning


def test_an_impossible_input_is_refused_with_the_reason():
    app = opened(variant="lenet5", input="1x4x4")
    assert not app.exception
    (said,) = app.warning
    assert said.value == (
        "A 4 × 4 input is too small for lenet5: its first convolution (c1) would be empty. "
        "Showing LeNet-5 (1998) instead."
    )
    assert "60,000" in html_of(app)
    assert app.number_input(key="explore_lenet5_input_height").value == 32


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"input": "1x28x28"}, "its third convolution (c5) would be empty. Showing LeNet-5 (1998)"),
        ({"classes": "50"}, "or take lenet5\\_cifar. Showing LeNet-5 (1998) instead."),
        ({"classes": "many"}, "from 1 to 100,000, not 'many'. Showing 10 instead."),
        ({"input": "3x32x32"}, "lenet5 reads 1 channel, not 3. Showing 1 × 32 × 32 instead."),
        ({"input": "large"}, "not 'large'. Showing 1 × 32 × 32 instead."),
        ({"view": "pie"}, "There is no view called “pie”; it can be layers, drawing, "),
        ({"view": "cost", "cost": "money"}, "it can be parameters, macs or activations. Showing "),
        ({"sort": "colour"}, "There is no sort called “colour”; it can be order, "),
        ({"view": "drawing", "colour": "red"}, "it can be kind or share. Showing kind."),
        ({"view": "drawing", "level": "9"}, "it can be blocks, stages or operators."),
        ({"view": "field", "photo": "me"}, "There is no photo called “me”; it can be "),
        ({"view": "drawing", "layer": "c9"}, "“c9” is no part of this network; the drawing"),
        ({"view": "drawing", "open": "c3~c9"}, "“c9” is no part of this network"),
    ],
)
def test_what_a_link_cannot_mean_is_said_and_the_page_is_shown(query, said):
    app = opened(variant="lenet5", **query)
    assert not app.exception
    assert not app.error
    assert [said in item.value for item in app.warning] == [True]
    assert "60,000" in html_of(app)


def test_a_choice_ends_what_is_said_of_a_link():
    app = opened(variant="vgg16", view="cost", cost="money")
    app.segmented_control(key="explore_cost").set_value("macs").run()
    assert not app.warning
    app = opened(variant="vgg16", view="drawing", layer="features.3")
    app.selectbox(key="explore_variant").set_value("vgg11").run()
    app.selectbox(key="explore_family").set_value("lenet").run()
    assert not app.warning  # "features.3" was of the network before


def test_a_family_is_found_in_capitals():
    assert "did you mean 'vgg'?" in opened(family="VGG").warning[0].value


def test_a_number_in_words_of_science_is_the_number():
    """Written 1e9; a control of whole numbers alone would read it as 1."""
    app = opened(variant="vgg16")
    app.number_input(key="explore_vgg16_classes").set_value(1e9).run()
    assert app.error[0].value == "Classes must lie between 1 and 100,000: 1,000 is shown."
    app.number_input(key="explore_vgg16_classes").set_value(2.5).run()
    assert app.error[0].value.startswith("Classes must be a whole number between 1 and 100,000")
    app.number_input(key="explore_vgg16_classes").set_value(1e3 + 1).run()
    assert app.query_params["classes"] == "1001"


def test_the_table_can_be_searched():
    app = opened(variant="resnet20_cifar")
    everything = len(app.dataframe[0].value)
    app.text_input(key="explore_find").set_value("conv2d").run()
    assert 0 < len(app.dataframe[0].value) < everything
    app.text_input(key="explore_find").set_value("no such (layer").run()
    assert "no such (layer" in app.info[0].value


def test_a_known_network_is_not_traced_again(monkeypatch):
    app = opened(variant="resnet152")
    app.selectbox(key="explore_variant").set_value("resnet18").run()
    asked = []
    monkeypatch.setattr(
        "cnnviz.ui.cache.anatomy.networks.inspect_variant", lambda *a: asked.append(a)
    )
    for variant in ("resnet152", "resnet18", "resnet152"):
        app.selectbox(key="explore_variant").set_value(variant).run()
    assert not app.exception
    assert not asked


def test_small_networks_can_be_trained_from_here():
    assert (
        links_of(opened(variant="resnet20_cifar"))["train"]
        == "variant=resnet20_cifar&dataset=cifar10"
    )
    thin = links_of(opened(variant="vgg11_cifar", width="0.5", classes="20"))
    assert thin["train"] == "variant=vgg11_cifar&dataset=cifar10&width=0.5"
    grey = links_of(opened(variant="lenet5"))
    assert grey["train"] == "variant=lenet5&dataset=digits"
    assert "train" not in links_of(opened(variant="vgg16"))


def test_what_is_looked_for_in_the_table_is_in_the_url():
    app = opened(variant="resnet20_cifar", find="batch_norm")
    assert set(app.dataframe[0].value["op"]) == {"batch_norm"}
    app.text_input(key="explore_find").set_value("").run()
    assert "find" not in app.query_params
    assert "conv2d" in set(app.dataframe[0].value["op"])


def test_the_table_is_sorted_by_the_url_and_the_picker():
    app = opened(variant="vgg16", sort="parameters", find="linear")
    shown = app.dataframe[0].value
    assert list(shown["path"]) == ["classifier.0", "classifier.3", "classifier.6"]
    assert "by parameters" in " ".join(caption.value for caption in app.caption)
    app.selectbox(key="explore_sort").set_value("macs").run()
    app.text_input(key="explore_find").set_value("").run()
    macs = app.dataframe[0].value["macs"].dropna()
    assert macs.is_monotonic_decreasing
    assert app.query_params["sort"] == "macs"
    app.selectbox(key="explore_sort").set_value("order").run()
    assert "sort" not in app.query_params
    assert app.dataframe[0].value["index"].is_monotonic_increasing


def test_an_order_that_is_none_is_the_executions():
    app = opened(variant="vgg16", sort="colour")
    assert app.selectbox(key="explore_sort").value == "order"
    app.selectbox(key="explore_sort").set_value("macs").run()
    assert app.query_params["sort"] == "macs"


def press_row(app: AppTest, row: int) -> None:
    """Press the circle of a row of the layer table, which AppTest has no method for."""
    states = app._tree.get_widget_states()
    pressed = app.dataframe[0].proto.button_click_widgets["chosen"]
    click = json.dumps({"row": row, "label": ""})
    states.widgets.add(id=pressed).string_trigger_value.data = click
    app._run(states)
    assert not app.exception


def chosen_rows(app: AppTest) -> list[str]:
    """The layers of the rows whose circle is filled."""
    rows = app.dataframe[0].value
    return rows["path"][rows["chosen"].str.contains("radio_button_checked")].tolist()


def layers_led_to(app: AppTest) -> list[str]:
    return [item.value for item in app.caption if item.value.startswith("**")]


def test_a_chosen_row_leads_to_its_filters_and_its_units():
    app = opened(variant="resnet18", find="layer2.0.conv1")
    assert "layer=layer2.0.conv1" not in str(links_of(app))
    assert chosen_rows(app) == []
    press_row(app, 0)
    found = links_of(app)
    assert (
        found["filters"] == found["deconvnet"] == "model=resnet18%40imagenet&layer=layer2.0.conv1"
    )
    assert app.query_params["layer"] == "layer2.0.conv1"
    assert chosen_rows(app) == ["layer2.0.conv1"]


def test_a_row_is_chosen_where_it_stands_in_the_order_shown():
    app = opened(variant="resnet18", sort="macs")
    rows = app.dataframe[0].value["path"].tolist()
    press_row(app, 3)
    assert app.query_params["layer"] == rows[3]
    press_row(app, 7)
    assert app.query_params["layer"] == rows[7]
    assert chosen_rows(app) == [rows[7]]


def test_a_row_pressed_in_a_table_that_is_about_to_go_is_that_tables():
    app = opened(variant="resnet18")
    tenth = app.dataframe[0].value["path"].iloc[10]
    before = app.dataframe[0].proto.button_click_widgets["chosen"]
    app.selectbox(key="explore_sort").set_value("macs")
    press_row(app, 10)
    assert app.query_params["layer"] == tenth
    assert chosen_rows(app) == [tenth]
    assert app.dataframe[0].proto.button_click_widgets["chosen"] != before


def test_the_chosen_layer_is_in_the_url_and_stays_chosen_wherever_it_stands():
    app = opened(variant="resnet18", layer="layer2.0.conv1")
    chosen = ["layer2.0.conv1"]
    assert chosen_rows(app) == chosen
    assert layers_led_to(app) == ["**layer2.0.conv1**"]
    assert not app.warning
    app.selectbox(key="explore_sort").set_value("macs").run()
    assert chosen_rows(app) == chosen
    app.text_input(key="explore_find").set_value("layer4").run()
    assert chosen_rows(app) == layers_led_to(app) == []
    assert app.query_params["layer"] == "layer2.0.conv1"
    app.text_input(key="explore_find").set_value("").run()
    assert chosen_rows(app) == chosen
    app.segmented_control(key="explore_view").set_value("drawing").run()
    assert app.selectbox(key="drawing_chosen").value == "layer2.0.conv1"
    app.segmented_control(key="explore_view").set_value("layers").run()
    assert chosen_rows(app) == chosen
    app.selectbox(key="explore_family").set_value("lenet").run()
    assert not app.warning
    assert chosen_rows(app) == layers_led_to(app) == []
    assert "layer" not in app.query_params


def test_a_choice_that_is_taken_back_leaves_the_url():
    app = opened(variant="resnet18", layer="layer2.0.conv1", find="layer2.0.conv1")
    press_row(app, 0)
    assert chosen_rows(app) == layers_led_to(app) == []
    assert "layer" not in app.query_params


def test_a_layer_in_a_link_that_is_not_there_is_named():
    app = opened(variant="resnet18", layer="features.0")
    assert app.warning[0].value == "“features.0” is no part of this network: no row is chosen."
    assert not opened(variant="resnet18", layer="layer1").warning  # a block of the drawing


def test_published_accuracy_is_marked_as_published():
    app = opened(variant="resnet50")
    said = " ".join(caption.value for caption in app.caption)
    assert "76.1 % top-1 and 92.9 % top-5" in said  # torchvision's table
    assert "not measured here" in said
    assert links_of(app)["filters"] == "model=resnet50%40imagenet"
    app = opened(variant="resnet20_cifar")
    assert "top-1" not in " ".join(caption.value for caption in app.caption)
    assert "filters" not in links_of(app)


def test_a_link_to_another_view_is_followed():
    app = opened(variant="resnet18", view="cost")
    app.query_params["view"] = "two"
    app.run()
    assert app.segmented_control(key="explore_view").value == "two"


def test_the_code_shown_is_what_makes_the_network():
    def shown(**query):
        return "\n".join(item.value for item in opened(code="yes", **query).code)

    plain = shown(variant="plain18")
    assert plain.index("def build_resnet") < plain.index("class ResNet(")
    assert "class PlainBlock" in plain
    assert "def _change_shortcut" in shown(variant="resnet18", shortcut="A")
    assert "def build_convnext" in shown(variant="convnext_atto_cifar")
    zfnet = opened(variant="zfnet", code="yes")
    assert zfnet.query_params["code"] == "yes"
    assert len(zfnet.code) == 1
    assert "class ZFNet(" in zfnet.code[0].value


def test_what_was_set_under_adjust_is_not_called_the_papers():
    app = opened(variant="googlenet_2014", lrn="false")
    assert "Here it is changed: without LRN." in markdown_of(app) + html_of(app)
    assert "Set under **Adjust**: without LRN." in markdown_of(app)
    assert "Nothing: this network" not in markdown_of(app)
    app = opened(variant="zfnet", lrn="false")
    assert "Set under **Adjust**: without LRN." in markdown_of(app)
    assert "Nothing: this network" in markdown_of(opened(variant="vgg16"))
    assert "Nothing else: this network" in markdown_of(opened(variant="googlenet_2014", aux="true"))
    assert "No local response" in html_of(opened(variant="alexnet_cifar"))
    assert "No local response" not in html_of(opened(variant="alexnet_cifar", lrn="true"))


def test_a_width_is_shown_as_it_is():
    app = opened(variant="mobilenet_v1", width="0.125")
    assert app.number_input(key="explore_mobilenet_v1_width").proto.format == "%g"


def test_a_network_that_cannot_be_is_refused_and_the_one_before_stays():
    app = opened(variant="vgg16")
    before = dict(app.query_params)
    app.number_input(key="explore_vgg16_input_height").set_value(10).run()
    assert not app.exception
    (error,) = app.error
    assert "too small for vgg16" in error.value
    assert error.value.endswith("VGG-16 is shown.")
    assert "138,357,544" in html_of(app)
    assert dict(app.query_params) == before
    app.number_input(key="explore_vgg16_input_height").set_value(256).run()
    assert not app.error
    assert app.query_params["input"] == "3x256x224"
