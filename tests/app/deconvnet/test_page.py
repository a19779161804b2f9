"""The Deconvnet page: network and weights, its views, and the units of a layer."""

import json

import pytest
import torch
from streamlit.testing.v1 import AppTest

from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import find_subject
from cnnviz.settings import ROOT, data_dir
from cnnviz.sight import top_activations
from cnnviz.training.data import load
from cnnviz.ui.cache import jobs
from cnnviz.ui.deconvnet.units import gallery

PAGE = str(ROOT / "pages" / "deconvnet.py")
LAYER = "tanh#3"  # of LeNet-5: 16 maps of 10 × 10


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def digits(**query):
    return opened(model="lenet5", **query)


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def tiles(app):
    """What the component of units was given."""
    (component,) = app.get("bidi_component")
    return json.loads(component.proto.json)


def units_of(app):
    return [int(part.split('"')[0]) for part in tiles(app)["html"].split('data-unit="')[1:]]


def headings(app):
    return [item.value for item in app.subheader]


@pytest.fixture(scope="module")
def found():
    """The same by the library: LeNet-5's strongest digits."""
    subject = find_subject("lenet5")
    images = load("digits").for_channels(1).test_images
    model = subject.load()
    return top_activations(model, images, [LAYER], mean=subject.mean, std=subject.std)[LAYER]


def test_every_unit_is_shown_by_its_nine_strongest_images_and_what_it_saw():
    app = digits()
    assert headings(app)[0] == f"The 16 units of {LAYER}, by their nine strongest images"
    assert units_of(app) == list(range(16))
    page = tiles(app)["html"]
    assert page.count("Deconvnet reconstructions of unit") == 16
    assert page.count("What excites unit") == 16
    assert "nine of 360 handwritten digits" in " ".join(item.value for item in app.markdown)
    assert not app.error
    assert not app.warning


def test_the_order_is_by_strength_or_by_class(found):
    app = digits(order="strongest")
    values = found.values[:, 0]
    assert units_of(app) == sorted(range(16), key=lambda unit: (-float(values[unit]), unit))
    labels = load("digits").test_labels
    mix = found.class_mix(labels, 10).amax(1)
    app = digits(order="selective")
    shown = units_of(app)
    assert [float(mix[unit]) for unit in shown] == sorted(mix.tolist(), reverse=True)
    assert f"in {round(9 * float(mix[shown[0]]))} of 9" in tiles(app)["html"]


def test_a_page_of_units_is_in_the_url_and_begins_anew_with_another_layer():
    app = opened(model="vgg11_cifar@random", layer="features.5", page="3")
    assert units_of(app) == list(range(32, 48))
    assert app.query_params["page"] == "3"
    app.segmented_control(key="order").set_value("strongest").run()
    assert not app.exception
    assert "page" not in app.query_params


def test_a_unit_of_the_link_is_looked_at_closely(found):
    app = digits(unit="6")
    assert tiles(app)["chosen"] == "6"
    assert f"Unit 6 of {LAYER}" in [item.value for item in app.header]
    page = html_of(app)
    for rule in ("Deconvnet", "Guided", "Gradient"):
        assert page.count(f'alt="{rule}, ') == 9
    assert f"{float(found.values[6, 0]):.3g} · " in page
    top = f"{float(found.values[6, 0]):.3g}"
    assert f"Every one of 360 images excites unit 6, the strongest to {top}" in headings(app)
    assert any("of its 9 strongest images" in text for text in headings(app))
    for word in ("Strong", "Middling", "Weak"):
        assert page.count(f"{word} example, test image") == 6


def test_the_picker_pins_a_unit_and_another_layer_lets_it_go():
    app = digits()
    assert "unit" not in app.query_params
    app.selectbox(key="deconv_unit").set_value(3).run()
    assert not app.exception
    assert app.query_params["unit"] == "3"
    assert f"Unit 3 of {LAYER}" in [item.value for item in app.header]
    app.selectbox(key="layer").set_value("tanh").run()
    assert not app.exception
    assert "unit" not in app.query_params
    assert not app.header


def test_what_a_link_asks_for_and_is_not_there_is_said():
    app = digits(layer="nothing")
    assert "“nothing” gives no feature maps in this network" in app.warning[0].value
    app = digits(unit="999")
    assert "has no unit “999”: its units are 0 to 15" in app.warning[0].value
    app = opened(model="no_such_model")
    assert "There is no model called “no\\_such\\_model”" in app.warning[0].value


@pytest.mark.parametrize("rule", ["guided", "gradient"])
def test_another_rule_another_picture(rule):
    first, other = digits(), digits(rule=rule)
    assert f"{rule.capitalize()} reconstructions of unit 0" in tiles(other)["html"]
    assert tiles(first)["html"] != tiles(other)["html"]
    assert other.query_params["rule"] == rule


def test_contrast_and_cut_change_the_pictures():
    queries = ({}, {"scale": "all"}, {"crop": "field"})
    pages = [
        tiles(opened(model="resnet20_cifar", layer="layer1.1.relu1", **query))["html"]
        for query in queries
    ]
    assert len(set(pages)) == 3


def test_random_weights_say_so_and_cifar_is_said_to_be_missing():
    app = opened(model="lenet5_cifar@random")
    assert "These weights are random" in app.info[0].value
    assert "CIFAR-10 is not on this machine" in app.warning[0].value
    assert "2,000 **photo crops**" in app.warning[0].value
    assert units_of(app)


def download(app):
    button = next(one for one in app.button if one.label.startswith("Download CIFAR-10"))
    button.click().run()
    assert not app.exception
    return app


def test_cifar10_can_be_got_where_it_is_missed(monkeypatch):
    asked = []
    monkeypatch.setattr(gallery, "load", asked.append)
    app = opened(model="lenet5_cifar")
    assert not asked
    download(app)
    assert asked == ["cifar10"]
    assert not app.error

    def fails(name):
        raise CnnvizError(f"{name} could not be downloaded.")

    monkeypatch.setattr(gallery, "load", fails)
    assert download(app).error[0].value == "cifar10 could not be downloaded."
    assert units_of(app)  # nothing that was there is lost


def test_a_unit_links_to_its_photo_its_filters_and_its_layer():
    app = opened(model="resnet20_cifar", layer="layer1.0.conv1", unit="3")
    page = {link.proto.page: link.proto.query_string for link in app.get("page_link")}
    assert page["deconvnet"] == "view=photo&model=resnet20_cifar&layer=layer1.0.conv1&unit=3"
    assert page["explore"] == "variant=resnet20_cifar&view=drawing&layer=layer1.0.conv1"
    assert page["filters"] == "model=resnet20_cifar&layer=layer1.0.conv1"
    app = opened(model="resnet20_cifar", layer="layer1.0.relu1", unit="3")
    assert "filters" not in {link.proto.page for link in app.get("page_link")}


def test_dead_units_are_counted_and_shown(monkeypatch):
    model = find_subject("lenet_modern@random").load()
    first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
    with torch.no_grad():
        first.bias[2:4] = -1e6
    monkeypatch.setattr("cnnviz.ui.cache.subjects.model_of", lambda subject: model)
    app = opened(model="lenet_modern@random")
    layer = app.selectbox(key="layer").options[1].split(" · ")[0]
    app.selectbox(key="layer").set_value(layer).run()
    assert not app.exception
    assert headings(app)[0].endswith("; 2 are dead")
    assert tiles(app)["html"].count("Dead: no image excites it") == 2
    app.selectbox(key="deconv_unit").set_value(2).run()
    assert "so there is nothing to carry back" in app.info[-1].value


def test_a_scan_is_kept_in_memory_and_on_disk():
    jobs.kept.clear()
    digits()
    kept = list((data_dir() / "unit-scans").glob("*.safetensors"))
    assert kept
    for path in kept:
        path.unlink()
    digits()  # from memory
    assert not any(path.exists() for path in kept)


def test_a_network_without_trained_weights_can_be_looked_at(no_checkpoints):
    app = opened(model="vgg11_cifar@random", view="photo")
    assert "These weights are random" in app.info[0].value
    assert headings(app)[0].startswith("The 12 strongest of")


def test_rules_of_this_project_are_named_as_such():
    captions = " ".join(item.value for item in digits().caption)
    assert "This network has tanh" in captions
    assert "this project's own extension" in captions
    captions = " ".join(item.value for item in opened(model="vgg11_cifar@random").caption)
    assert "extension" not in captions
