import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.images import sample_photos
from cnnviz.settings import ROOT

PAGE = str(ROOT / "pages" / "deconvnet.py")


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=90)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def headings(app):
    return [item.value for item in app.subheader]


def test_opens_on_the_shipped_network_with_its_strongest_units():
    app = opened()
    assert app.selectbox(key="model").value == "resnet20_cifar"
    assert headings(app)[0].startswith("The 12 strongest of")
    page = html_of(app)
    assert page.count("Deconvnet reconstruction of unit") == 12
    assert page.count("Map of unit") == 12
    activations = [float(part.split()[0]) for part in page.split("activation ")[1:]]
    assert activations == sorted(activations, reverse=True)
    assert not app.error


@pytest.mark.parametrize("model", ["lenet5", "lenet5_cifar", "resnet20_cifar"])
@pytest.mark.parametrize("rule", ["guided", "gradient"])
def test_every_network_and_rule_has_a_link(model, rule):
    app = opened(model=model, rule=rule, sample="handwritten digit")
    assert app.selectbox(key="model").value == model
    assert f"{rule.capitalize()} reconstruction of unit" in html_of(app)
    assert app.query_params["rule"] == rule


def test_a_layer_in_the_link_is_shown_and_one_that_is_not_there_is_left_out():
    app = opened(model="resnet20_cifar", layer="layer3.2.conv2")
    assert "layer3.2.conv2" in headings(app)[0]
    app = opened(model="resnet20_cifar", layer="nothing")
    assert "layer2" in headings(app)[0]


def test_a_unit_is_compared_by_all_rules():
    app = opened()
    units = app.selectbox(key="unit").options
    assert len(units) == 12
    app.selectbox(key="unit").set_value(units[3]).run()
    assert not app.exception
    assert app.query_params["unit"] == units[3]
    for rule in ("deconvnet", "guided", "gradient"):
        assert f"Unit {units[3]} by {rule}" in html_of(app)


def test_another_layer_after_another_network_is_its_own():
    app = opened(model="resnet20_cifar", layer="layer3.2.conv2")
    app.selectbox(key="model").set_value("lenet5_cifar").run()
    assert not app.exception
    assert "LeNet-5 for CIFAR-10" in headings(app)[0]


def test_a_photo_of_ones_own_and_a_broken_one():
    app = opened()
    before = html_of(app)
    app.file_uploader(key="deconv_photo").set_value(
        ("rocket.png", sample_photos()["rocket"], "image/png")
    ).run()
    assert not app.exception
    assert html_of(app) != before
    app.file_uploader(key="deconv_photo").set_value(
        ("broken.png", b"no picture", "image/png")
    ).run()
    assert not app.exception
    assert "broken.png" in app.error[0].value


def test_without_a_trained_network_it_offers_to_train_one(no_checkpoints):
    app = opened()
    assert "No network has been trained yet" in app.info[0].value
