"""The view "Invariance and correspondence". Without CIFAR-10, the images are digits."""

import numpy as np
import pytest

from cnnviz.networks.subjects import find_subject
from cnnviz.sight.evidence.correspondence import Box
from cnnviz.ui.deconvnet.evidence import samples
from tests.app.deconvnet.views import headings, html_of, opened, taken

VIEW = "evidence.invariance"


@pytest.mark.parametrize("kind", ["translation", "scale", "rotation"])
def test_each_transformation_has_curves_and_pictures(kind):
    app = opened(VIEW, "lenet5", move=kind)
    titles = headings(app)
    assert sum("of its length" in title for title in titles) == 2
    assert any("leaves the answer right in " in title for title in titles)
    page = html_of(app)
    assert page.count('scope="row"') == 5
    assert page.count('scope="col"') == 7
    assert len(app.get("plotly_chart")) == 3
    assert not app.error


def test_a_link_brings_every_choice():
    query = {
        "move": "rotation",
        "images": "photos",
        "border": "mean",
        "distance": "euclidean",
        "lower": "c1",
        "upper": "f6",
    }
    app = opened(VIEW, "lenet5_cifar", **query)
    titles = headings(app)
    assert titles[0].startswith("c1 moves by up to")
    assert titles[1].startswith("f6 moves by up to")
    assert titles[2].startswith("Turning leaves the answer the same in")
    for key, value in query.items():
        assert app.query_params[key] == value
    assert "motorcycle" in html_of(app)


def test_one_photo_and_the_same_layer_twice():
    app = opened(VIEW, "lenet5_cifar", images="own", sample="rocket", lower="c1", upper="c1")
    assert not app.error
    assert html_of(app).count('scope="row"') == 1
    assert len(app.get("plotly_chart")) == 2


def test_the_number_is_kept_while_other_images_are_shown():
    app = opened(VIEW, "lenet5", number="3")
    app.segmented_control(key="images").set_value("photos").run()
    app.segmented_control(key="images").set_value("test").run()
    assert app.number_input(key="number").value == 3
    assert app.query_params["number"] == "3"


def test_the_test_images_are_those_of_the_number():
    subject = find_subject("lenet5")
    first = samples.one_of_each_class(subject, 0)
    second = samples.one_of_each_class(subject, 1)
    assert first.names == ("0", "2", "4", "7", "9")  # spread over the ten
    assert first.true
    assert first.targets == (0, 2, 4, 7, 9)
    assert not np.array_equal(first.seen, second.seen)
    five = samples.of_one_class(subject, 3, 2)
    assert len(set(five.names)) == 5
    assert five.targets == (3,) * 5


def test_correspondence_has_boxes_in_the_middle_and_compares_with_random_ones():
    app = opened(VIEW, "lenet5", study="correspondence")
    assert app.query_params["parts"] == "12.12_12.12_12.12_12.12_12.12"
    titles = headings(app)
    assert titles[0] == "Put the box on the same part of every picture"
    assert all("of 20 boxes anywhere" in title for title in titles[1:3])
    assert not app.error


def test_a_link_places_the_boxes_and_nonsense_is_left_out(monkeypatch):
    from cnnviz.ui.cache.sight import experiments

    asked = []
    real = experiments.correspondence_of

    def spy(subject, images, boxes, layers):
        asked.append(boxes)
        return real(subject, images, boxes, layers)

    monkeypatch.setattr(experiments, "correspondence_of", spy)
    places = "0.1_2.3_4.5_6.7_900.9"
    app = opened(VIEW, "lenet5", study="correspondence", parts=places, box="4")
    assert asked[-1] == [Box(r, c, 4, 4) for r, c in [(0, 1), (2, 3), (4, 5), (6, 7), (28, 9)]]
    # Images of another class begin in the middle again.
    app.selectbox(key="of").set_value("7").run()
    assert not app.exception
    assert asked[-1] == [Box(14, 14, 4, 4)] * 5
    opened(VIEW, "lenet5", study="correspondence", parts="1.2_x", box="4")
    assert asked[-1] == [Box(14, 14, 4, 4)] * 5


def test_networks_of_photos_have_the_sample_photos_without_cifar10():
    app = opened(VIEW, "lenet5_cifar", study="correspondence")
    assert app.selectbox(key="of").value == "photos"
    assert not app.error


def test_pictures_and_numbers_can_be_taken(monkeypatch):
    ((picture, arrays),) = taken(monkeypatch, VIEW, "lenet5", move="rotation").values()
    assert arrays["relative"].shape == (2, 5, 25)
    assert arrays["probabilities"].shape == (5, 25)
    assert arrays["amounts"][-1] == 360
    assert picture.ndim == 3
    ((picture, arrays),) = taken(monkeypatch, VIEW, "lenet5", study="correspondence").values()
    assert arrays["anywhere"].shape == (2, 20, 5, 5)
    assert arrays["boxes"].shape == (5, 4)
    assert picture.ndim == 3
