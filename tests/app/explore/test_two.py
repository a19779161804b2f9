"""The views "Two at once" and "Where it costs" of the Explore page, and the predecessor's ratio."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import registry
from cnnviz.networks.catalogue import predecessor
from cnnviz.settings import ROOT

PAGE = str(ROOT / "pages" / "explore.py")


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def html_of(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def test_zfnet_opens_beside_alexnet():
    app = opened(variant="zfnet", view="two")
    assert app.selectbox(key="explore_other").value == "alexnet_2012"
    assert "other" not in app.query_params
    page = html_of(app)
    assert "kernel 11 × 11 → 7 × 7<br>stride 4 → 2" in page
    assert "place before pool2 → after pool2" in page  # the response normalisation
    assert "only in" not in page


def test_the_other_network_is_in_the_url():
    app = opened(variant="zfnet", view="two", other="alexnet_2012")
    assert app.selectbox(key="explore_other").value == "alexnet_2012"
    page = html_of(app)
    assert 'title="60,965,224"' in page
    assert 'title="62,357,608"' in page
    assert "<td>1.02 ×</td>" in page
    assert app.subheader[0].value == "From AlexNet (2012) to ZFNet: 7 layers changed"
    app.selectbox(key="explore_other").set_value("vgg11").run()
    assert app.query_params["other"] == "vgg11"
    assert "From VGG-11" in app.subheader[0].value
    app.selectbox(key="explore_variant").set_value("zfnet_cifar").run()
    assert app.query_params["other"] == "vgg11"


def test_without_a_choice_the_other_follows_the_variant():
    app = opened(variant="zfnet", view="two")
    app.selectbox(key="explore_family").set_value("resnet").run()
    assert app.selectbox(key="explore_other").value == "googlenet_2014"
    app.selectbox(key="explore_variant").set_value("resnet20_cifar").run()
    assert app.selectbox(key="explore_other").value == "googlenet_cifar"
    assert "other" not in app.query_params


@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("convnext_road_07", "convnext_road_06"),
        ("convnext_road_11", "convnext_road_08"),  # 09 and 10 try kernels that are not kept
        ("convnext_road_00", "resnet50"),
    ],
)
def test_a_step_of_the_road_stands_beside_the_one_before(step, before):
    app = opened(variant=step, view="two")
    assert app.selectbox(key="explore_other").value == before
    assert predecessor(registry.get(step)).name == before
    title = registry.get(before).title.partition(" (")[0].replace("-", "\N{NON-BREAKING HYPHEN}")
    assert f"× {title}" in html_of(app).replace("\N{NO-BREAK SPACE}", " ").split("</dl>")[0]


def test_settings_tell_a_network_from_itself():
    app = opened(variant="mobilenet_v1", view="two", other="mobilenet_v1", width="0.5")
    assert app.subheader[0].value.startswith("From MobileNetV1 to MobileNetV1, width 0.5: ")


def test_both_networks_have_settings_of_their_own():
    app = opened(variant="mobilenet_v1", view="two", other="mobilenet_v1", width="0.5")
    app.number_input(key="explore_other_mobilenet_v1_width").set_value(0.25).run()
    assert app.query_params["other"] == "mobilenet_v1~width~0.25"
    assert app.query_params["width"] == "0.5"
    assert "From MobileNetV1, width 0.25 to MobileNetV1, width 0.5: " in app.subheader[0].value
    app.number_input(key="explore_mobilenet_v1_width").set_value(0.75).run()
    assert app.query_params["other"] == "mobilenet_v1~width~0.25"
    assert "From MobileNetV1, width 0.25 to MobileNetV1, width 0.75" in app.subheader[0].value
    app.selectbox(key="explore_other").set_value("vgg11").run()
    assert app.query_params["other"] == "vgg11"  # with its own settings


def test_settings_of_the_default_stand_in_the_url():
    app = opened(variant="mobilenet_v1", view="two")
    app.selectbox(key="explore_other_resnet18_shortcut").set_value("A").run()
    assert app.query_params["other"] == "resnet18~shortcut~A"
    app.selectbox(key="explore_other_resnet18_shortcut").set_value("B").run()
    assert "other" not in app.query_params


def test_a_link_names_the_settings_of_the_other_network():
    app = opened(variant="vgg16_cifar", view="two", other="vgg16_cifar~width~0.5~input~3x64x64")
    assert not app.warning
    title = "From VGG-16 for CIFAR-10, width 0.5, input 3 × 64 × 64 to VGG-16 for CIFAR-10: "
    assert app.subheader[0].value.startswith(title)
    assert app.number_input(key="explore_other_vgg16_cifar_input_height").value == 64


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("vgg16_cifar~width~wide", "width must be a number, not 'wide'. Showing 1 instead."),
        ("vgg16_cifar~depth~9", "VGG-16 for CIFAR-10 has no setting called 'depth'."),
        ("vgg16_cifar~", "VGG-16 for CIFAR-10 has no setting called ''."),
        ("vgg16_cifar~aux~true", "VGG-16 for CIFAR-10 has no setting called aux."),
        ("vgg16_cifar~width", "width must be a number, not ''. Showing 1 instead."),
        ("vgg16_cifar~input~3x8x8", "would be empty. Showing VGG-16 for CIFAR-10 instead."),
    ],
)
def test_a_setting_of_the_other_that_cannot_be_is_said(other, said):
    app = opened(variant="zfnet_cifar", view="two", other=other)
    assert [said in item.value.replace("\\", "") for item in app.warning] == [True]
    assert "From VGG-16 for CIFAR-10 to ZFNet" in app.subheader[0].value
    app.selectbox(key="explore_other").set_value("vgg11_cifar").run()
    assert not app.warning


def test_a_setting_of_the_other_that_cannot_be_leaves_the_one_before():
    app = opened(variant="zfnet_cifar", view="two", other="vgg16_cifar")
    app.number_input(key="explore_other_vgg16_cifar_input_height").set_value(4).run()
    assert "would be empty" in app.error[0].value
    assert "From VGG-16 for CIFAR-10 to ZFNet" in app.subheader[0].value
    assert any("**Adjust it** holds a setting" in caption.value for caption in app.caption)


def test_equal_layers_can_be_left_out():
    app = opened(variant="vgg16_bn", view="two", other="vgg16")
    assert html_of(app).count("the same") == 13 + 15 + 5 + 3  # convolutions, ReLUs, pools, linear
    app.toggle(key="explore_two_all").set_value(False).run()
    assert "the same" not in html_of(app)
    assert html_of(app).count("only in VGG-16 BN") == 13


def test_the_sentence_counts_what_there_is():
    title = opened(variant="convnext_road_12", view="two").subheader[0].value
    assert title == (
        "From ConvNeXt road 11 (GELU) to ConvNeXt road 12 (fewer activations): 37 layers gone"
    )
    title = opened(variant="convnext_road_02", view="two").subheader[0].value
    assert title.endswith("to ConvNeXt road 02 (patchify stem): 1 layer changed, 1 gone")


def test_a_network_beside_itself():
    app = opened(variant="zfnet", view="two", other="zfnet")
    assert app.subheader[0].value == "ZFNet and ZFNet have the same layers"


def test_settings_begin_as_the_variant_has_them_where_no_run_put_them_there():
    """A run that is ended in the picker's callback leaves the choice without its settings."""
    app = opened(variant="zfnet_cifar", view="two", other="vgg16_cifar")
    app.session_state["explore_other"] = "vgg11_cifar"
    app.run()
    assert not app.exception
    assert app.query_params["other"] == "vgg11_cifar"


def test_a_choice_beside_a_network_that_changes_is_kept():
    """Two presses, of which the second ended the run of the first before its end."""
    app = opened(variant="zfnet_cifar", view="two", other="vgg16_cifar")
    app.number_input(key="explore_other_vgg16_cifar_width").set_value(0.5)
    app.selectbox(key="explore_variant").set_value("zfnet").run()
    assert app.query_params["other"] == "vgg16_cifar~width~0.5"
    assert app.query_params["variant"] == "zfnet"


@pytest.mark.parametrize("other", ["<b>zf</b>", "<b>zf</b>~foo~1"])
def test_an_unknown_other_is_named(other):
    app = opened(variant="zfnet", view="two", other=other)
    assert len(app.warning) == 1
    assert "Showing AlexNet (2012) instead" in app.warning[0].value
    assert app.selectbox(key="explore_other").value == "alexnet_2012"


def test_the_first_family_is_compared_with_the_second_variant():
    assert opened(variant="lenet5", view="two").selectbox(key="explore_other").value == (
        "lenet_modern"
    )
    for other in ("lenet_modern", "lenet5_cifar"):
        assert opened(variant=other, view="two").selectbox(key="explore_other").value == "lenet5"
    assert predecessor(registry.get("lenet5")) is None


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("alexnet_2012", "lenet5"),
        ("vgg16_cifar", "zfnet_cifar"),
        ("googlenet", "vgg16"),
        ("convnext_tiny", "resnet50"),
    ],
)
def test_the_predecessor_is_of_the_same_edition(name, before):
    assert predecessor(registry.get(name)).name == before


def test_the_predecessor_is_of_the_family_that_the_text_names():
    for family in registry.list_architectures()[1:]:
        assert family.against.keys() == {"paper", "cifar"}
        for edition, name in family.against.items():
            earlier = registry.get(name)
            assert earlier.edition == edition
            assert earlier.family.title in family.changed
            assert earlier.family.year <= family.year


def test_the_headline_compares_with_the_predecessor():
    page = html_of(opened(variant="zfnet")).replace("\N{NO-BREAK SPACE}", " ")
    assert "8 layers" in page
    assert "3 fully connected; 8 in AlexNet (2012)" in page
    assert "in 32-bit floats; 1.02 × AlexNet (2012)" in page  # 62,357,608 / 60,965,224
    assert "counting each as two; 1.6 × AlexNet (2012)" in page  # 1,168,032,896 / 724,406,816
    page = html_of(opened(variant="mobilenet_v1_cifar")).replace("\N{NO-BREAK SPACE}", " ")
    assert "1 fully connected; 18 in ResNet‑18" in page  # the family has others
    assert "LeNet" not in html_of(opened(variant="lenet5")).split("</dl>")[0]


def test_where_it_costs():
    app = opened(variant="convnext_tiny", view="cost")
    titles = [title.value for title in app.subheader]
    assert titles[0] == "features.7 holds 50 % of the parameters"
    table = html_of(app).split('<table class="stages">')[1]
    assert table.index("features.0") < table.index("features.1") < table.index("features.7")
    assert "<small>&lt; 0.1 %</small>" in table  # but not 0 %
    assert 'title="14,289,408"' in table  # 3 · (768·50 + 2·768 + 769·3072 + 3073·768 + 768)
    app.segmented_control(key="explore_cost").set_value("output_bytes").run()
    assert app.query_params["cost"] == "activations"
    assert "bytes of activations" in app.subheader[0].value


def test_a_deep_link_opens_a_cost():
    app = opened(variant="vgg16", view="cost", cost="macs")
    assert app.segmented_control(key="explore_cost").value == "macs"
    assert opened(variant="vgg16", view="cost", cost="x").subheader[0].value.startswith("classif")


def test_the_table_can_be_taken_away_as_markdown():
    buttons = [button.proto.label for button in opened(variant="lenet5").get("download_button")]
    assert buttons[:3] == ["CSV", "JSON", "Markdown"]


def test_a_picture_too_small_is_refused_in_plain_words():
    app = opened(variant="vgg16", input="3x16x16")
    assert app.warning[0].value == (
        "A 16 × 16 input is too small for vgg16: its fifth pool (features.30) would be empty. "
        "Showing VGG-16 instead."
    )


def test_hiding_the_same_layers_is_in_the_url():
    app = opened(variant="zfnet", view="two", other="alexnet_2012", same="no")
    assert not app.exception
    assert not app.toggle(key="explore_two_all").value
    app.toggle(key="explore_two_all").set_value(True).run()
    assert "same" not in app.query_params
