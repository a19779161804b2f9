import time

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
    return " ".join(element.proto.body for element in app.get("html"))


def test_opens_on_the_first_variant():
    app = opened()
    assert not app.exception
    assert app.selectbox(key="explore_variant").value == "lenet5"
    assert app.query_params["variant"] == "lenet5"


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
    assert "class ResNet(nn.Module)" in app.code[0].value


def test_settings_in_the_url_count():
    app = opened(variant="resnet18", classes="10", input="3x112x112")
    assert not app.exception
    assert "11,181,642" in html_of(app)  # 11,689,512 less 990 × 513
    assert app.query_params["classes"] == "10"
    app.number_input(key="explore_resnet18_classes").set_value(1000).run()
    assert "11,689,512" in html_of(app)
    assert "classes" not in app.query_params


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
    assert app.query_params["variant"] == "lenet5"


def test_an_impossible_input_is_refused_with_the_reason():
    app = opened(variant="lenet5", input="1x4x4")
    assert not app.exception
    assert len(app.error) == 1
    assert "4" in app.error[0].value
    assert app.selectbox(key="explore_variant").value == "lenet5"


def test_the_table_can_be_searched():
    app = opened(variant="resnet20_cifar")
    everything = len(app.dataframe[0].value)
    app.text_input(key="explore_find").set_value("conv2d").run()
    assert 0 < len(app.dataframe[0].value) < everything
    app.text_input(key="explore_find").set_value("no such (layer").run()
    assert "no such (layer" in app.info[0].value


def test_a_known_network_answers_within_the_budget():
    app = opened(variant="resnet152")
    app.selectbox(key="explore_variant").set_value("resnet18").run()
    took = []
    for variant in ("resnet152", "resnet18", "resnet152"):
        start = time.perf_counter()
        app.selectbox(key="explore_variant").set_value(variant).run()
        took.append(time.perf_counter() - start)
    assert min(took) < 0.2


def test_small_networks_can_be_trained_from_here():
    link = opened(variant="resnet20_cifar").get("page_link")[0].proto
    assert (link.page, link.query_string) == ("train", "variant=resnet20_cifar")
    assert not opened(variant="vgg16").get("page_link")


def test_what_is_looked_for_in_the_table_is_in_the_url():
    app = opened(variant="resnet20_cifar", find="batch_norm")
    assert set(app.dataframe[0].value["op"]) == {"batch_norm"}
    app.text_input(key="explore_find").set_value("").run()
    assert "find" not in app.query_params
    assert "conv2d" in set(app.dataframe[0].value["op"])
