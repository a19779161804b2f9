"""The view "Occlusion and Grad-CAM"."""

import pytest

from tests.app.deconvnet.views import headings, html_of, opened, taken

VIEW = "evidence.heat_maps"


def test_opens_with_the_three_maps_and_grad_cam():
    app = opened(VIEW, "alexnet_cifar", sample="cat")
    assert app.selectbox(key="layer").value == "features.11"
    titles = headings(app)
    assert titles[0].startswith("One square takes cat from ")
    assert any("of its activity" in title for title in titles)
    assert any(title.startswith("Answer: cat in ") for title in titles)
    assert any(title.startswith("Grad-CAM: half of the evidence for cat") for title in titles)
    assert len(app.get("plotly_chart")) == 4
    page = html_of(app)
    for alt in ("The photo with a grey square", "Map of unit", "Reconstruction of unit"):
        assert alt in page
    assert not app.error


def test_a_link_brings_class_square_and_step():
    app = opened(
        VIEW, "resnet20_cifar", sample="cat", **{"class": "5", "square": "12", "step": "4"}
    )
    assert app.selectbox(key="class").value == "5"
    titles = headings(app)
    assert any(title.startswith("Dog: ") for title in titles)
    text = " ".join(item.value for item in app.caption)
    assert "12 × 12 px" in text
    assert "6 × 6 places" in text
    app.selectbox(key="class").set_value("answer").run()
    assert not app.exception
    assert app.query_params["class"] == "answer"
    assert any(title.startswith("Cat: ") for title in headings(app))


def test_a_choice_that_is_not_there_falls_back():
    app = opened(VIEW, "lenet5_cifar", **{"class": "77", "square": "3", "layer": "nothing"})
    assert app.selectbox(key="class").value == "answer"
    assert app.selectbox(key="square").value == "8"
    assert "nothing" in app.warning[0].value


@pytest.mark.parametrize("model", ["lenet5", "lenet5_cifar"])
def test_grey_digits_and_tanh_networks(model):
    app = opened(VIEW, model, sample="handwritten digit")
    assert not app.error
    assert len(app.get("plotly_chart")) >= 3


def test_random_weights_without_names_of_classes_say_so():
    app = opened(VIEW, "vgg11_cifar@random", square="16", step="4")
    assert not app.error
    assert any("class " in title for title in headings(app))
    assert any("random" in item.value for item in app.caption)


def test_long_work_waits_until_it_is_asked_for(monkeypatch):
    from cnnviz.ui.cache.sight import experiments

    monkeypatch.setattr(experiments, "seconds_of_pass", lambda subject: 1.0)
    app = opened(VIEW, "lenet5_cifar")
    (button,) = app.button
    assert button.label == "Hide 169 places, about 3 min"
    assert not any("takes" in title or "hides" in title for title in headings(app))
    button.click().run()
    assert not app.exception
    assert any("takes" in title or "hides" in title for title in headings(app))


@pytest.mark.parametrize("model", ["resnet20_cifar", "lenet5"])
def test_pictures_and_numbers_can_be_taken(monkeypatch, model):
    found = taken(monkeypatch, VIEW, model, sample="handwritten digit")
    occlusion, heat = found.values()
    assert occlusion[1]["activity"].shape == occlusion[1]["best"].shape == (13, 13)
    assert occlusion[1]["rows"].tolist() == list(range(0, 25, 2))
    assert occlusion[0].ndim == 3
    assert heat[1]["heat"].shape == (32, 32)
    assert heat[0].shape == (224, 224, 3)
