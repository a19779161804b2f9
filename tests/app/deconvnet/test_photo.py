"""The Deconvnet page's view of one photo: strongest units, one of them, the sanity check."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnnviz.images import decode, encode_png, sample_photos
from cnnviz.networks.subjects import find_subject
from cnnviz.settings import ROOT
from cnnviz.sight import feature_maps

PAGE = str(ROOT / "pages" / "deconvnet.py")


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=120)
    for name, value in {"view": "photo", **query}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def tiles(app):
    (component,) = app.get("bidi_component")
    return json.loads(component.proto.json)


def units_of(app):
    return [int(part.split('"')[0]) for part in tiles(app)["html"].split('data-unit="')[1:]]


def headings(app):
    return [item.value for item in app.subheader]


@pytest.fixture(scope="module")
def maps():
    """What ResNet-20's layer2.0.relu1 gives for the cat, by the library."""
    subject = find_subject("resnet20_cifar")
    inputs, _ = subject.look_at(decode(sample_photos()["cat"]))
    return feature_maps(subject.load(), inputs, ["layer2.0.relu1"])["layer2.0.relu1"][0]


def test_the_strongest_units_come_first(maps):
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1")
    assert headings(app)[0] == "The 12 strongest of 32 units of layer2.0.relu1 on this photo"
    peaks = maps.flatten(1).amax(1)
    assert units_of(app) == peaks.argsort(descending=True, stable=True)[:12].tolist()
    page = tiles(app)["html"]
    assert page.count("Deconvnet reconstruction of unit") == 12
    assert page.count("Map of unit") == 12
    assert f"activation {float(peaks.max()):.3g}" in page
    assert not app.error


def test_one_unit_by_all_rules_at_its_strongest_or_at_any_position(maps):
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1", unit="5")
    row, column = divmod(int(maps[5].argmax()), maps.shape[2])
    assert app.number_input(key="deconv_row").value == row
    assert app.number_input(key="deconv_column").value == column
    assert f"at row {row}, column {column} it is {float(maps[5].max()):.3g}" in html_of(app)
    assert "at" not in app.query_params
    for rule in ("Deconvnet", "Guided", "Gradient"):
        assert f"Unit 5 by {rule}" in html_of(app)
    before = html_of(app)
    other = (row + 3) % maps.shape[1]
    app.number_input(key="deconv_row").set_value(other).run()
    assert not app.exception
    assert app.query_params["at"] == f"{other},{column}"
    assert f"at row {other}, column {column} it is {float(maps[5, other, column]):.3g}" in html_of(
        app
    )
    assert html_of(app) != before
    app.button[0].click().run()
    assert app.number_input(key="deconv_row").value == row
    assert "at" not in app.query_params


def test_a_position_of_the_link_is_shown():
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1", unit="5", at="2,3")
    assert "at row 2, column 3" in html_of(app)
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1", unit="5", at="x,y")
    assert "at" not in app.query_params


def test_unit_and_position_are_kept_while_a_view_without_them_is_shown():
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1", unit="5", at="2,3")
    for _ in range(2):
        app.segmented_control(key="view").set_value("evolution").run()
        app.segmented_control(key="view").set_value("photo").run()
        assert app.selectbox(key="deconv_unit").value == 5
        assert (app.query_params["unit"], app.query_params["at"]) == ("5", "2,3")
    app.segmented_control(key="view").set_value("evolution").run()
    app.segmented_control(key="view").set_value("units").run()
    assert app.query_params["unit"] == "5"


@pytest.mark.parametrize("model", ["lenet5", "lenet5_cifar", "convnext_atto_cifar@random"])
@pytest.mark.parametrize("rule", ["guided", "gradient"])
def test_every_network_and_rule_has_a_link(model, rule):
    app = opened(model=model, rule=rule)
    assert app.selectbox(key="subject-weights").value == model
    assert f"{rule.capitalize()} reconstruction of unit" in tiles(app)["html"]
    assert app.query_params["rule"] == rule


def test_a_network_of_digits_begins_with_a_digit():
    assert opened(model="lenet5").selectbox(key="sample").value == "handwritten digit"
    assert opened(model="lenet5_cifar").selectbox(key="sample").value == "cat"


def test_another_layer_after_another_network_is_its_own():
    app = opened(model="resnet20_cifar", layer="layer3.2.conv2")
    assert "layer3.2.conv2" in headings(app)[0]
    app.selectbox(key="subject-network").set_value("lenet5_cifar").run()
    assert not app.exception
    assert not app.warning
    assert "units of relu" in headings(app)[0]


def test_a_photo_of_ones_own_and_a_broken_one():
    app = opened(model="lenet5_cifar")
    before = tiles(app)["html"]
    rocket = ("rocket.png", sample_photos()["rocket"], "image/png")
    app.file_uploader[0].set_value(rocket).run()
    assert not app.exception
    assert tiles(app)["html"] != before
    app.file_uploader[0].set_value(("broken.png", b"no picture", "image/png")).run()
    assert not app.exception
    assert "broken.png" in app.error[0].value
    assert not app.get("bidi_component")  # nothing of another photo
    next(b for b in app.button if b.label == "Back to your photo").click().run()
    assert not app.error
    next(b for b in app.button if b.label == "Drop it").click().run()
    assert tiles(app)["html"] == before


def noise_photo(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return (f"{seed}.png", encode_png(pixels), "image/png")


def strongest(app, data, layer="layer2.0.relu1"):
    subject = find_subject("resnet20_cifar")
    inputs, _ = subject.look_at(decode(data))
    maps = feature_maps(subject.load(), inputs, [layer])[layer][0]
    return int(maps.flatten(1).amax(1).argmax())


def test_the_automatic_unit_follows_the_photo_until_one_was_chosen():
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1")
    first = app.selectbox(key="deconv_unit").value
    assert first == strongest(app, sample_photos()["cat"])
    photos = [noise_photo(seed) for seed in range(8)]
    units = [strongest(app, data) for _, data, _ in photos]
    other = next(i for i, unit in enumerate(units) if unit != first)
    app.file_uploader[0].set_value(photos[other]).run()
    assert app.selectbox(key="deconv_unit").value == units[other]
    assert app.query_params["unit"] == str(units[other])
    app.selectbox(key="sample").set_value("cat").run()
    assert app.selectbox(key="deconv_unit").value == first
    chosen = (first + 1) % 32
    app.selectbox(key="deconv_unit").set_value(chosen).run()
    app.selectbox(key="sample").set_value("coffee").run()
    assert app.selectbox(key="deconv_unit").value == chosen
    assert not app.exception


def test_a_unit_of_the_link_stays_with_another_photo():
    app = opened(model="resnet20_cifar", layer="layer2.0.relu1", unit="5")
    app.file_uploader[0].set_value(noise_photo(1)).run()
    assert app.selectbox(key="deconv_unit").value == 5


def test_a_grey_photo_is_taken():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(buffer, "PNG")
    app = opened(model="lenet5_cifar")
    app.file_uploader[0].set_value(("grey.png", buffer.getvalue(), "image/png")).run()
    assert not app.exception
    assert not app.error


def test_the_sanity_check_is_a_button_and_in_the_url():
    app = opened(model="lenet5_cifar", layer="relu3")
    assert "Reconstruction, as it is" not in html_of(app)
    next(b for b in app.button if b.label == "Randomise the weights").click().run()
    assert not app.exception
    page = html_of(app)
    assert "as it is · 1.00" in page
    assert page.count("Reconstruction, down to") >= 2
    assert app.query_params["check"] == "1"
    assert any("Adebayo et al. 2018" in item.value for item in app.markdown)
    assert any("rank correlation with the first picture is" in m.value for m in app.markdown)
    app.selectbox(key="deconv_unit").set_value(0).run()  # another unit, another question
    assert "check" not in app.query_params
    again = opened(model="lenet5_cifar", layer="relu3", check="1")
    assert "as it is · 1.00" in html_of(again)
