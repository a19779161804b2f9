"""One photo of the visitor's own for every page; the pages' own tests have the rest."""

import io

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnnviz.settings import ROOT

LOOKS = {
    "filters": {"view": "maps", "model": "lenet5_cifar"},
    "deconvnet": {"view": "photo", "model": "lenet5_cifar"},
    "predict": {"model": "lenet5_cifar"},
    "explore": {"view": "field", "variant": "lenet5"},
}
# The views of Deconvnet that look at a photo, and of it a word of what they draw.
VIEWS = [
    {"view": "photo"},
    {"view": "evidence"},
    {"view": "invariance", "images": "own"},
]


def page(name, own=None, **query):
    app = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=120)
    for key, value in query.items():
        app.query_params[key] = value
    if own is not None:
        app.session_state["own_photos"] = own
    return fine(app.run())


def fine(app):
    assert not app.exception
    return app


def picker(app):
    return next(box for box in app.selectbox if box.label == "Photo")


def photo():
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "PNG")
    return ("ramp.png", buffer.getvalue(), "image/png")


@pytest.fixture(scope="module")
def own():
    """What is kept of a photo that was given to Filters."""
    app = page("filters", **LOOKS["filters"])
    address = dict(app.query_params)
    fine(app.file_uploader[0].set_value(photo()).run())
    address.pop("unit"), app.query_params.pop("unit")  # the strongest on this photo
    assert dict(app.query_params) == address
    return app.session_state["own_photos"]


@pytest.mark.parametrize("name", LOOKS)
def test_every_page_names_it_and_a_sample_wins(own, name):
    own.choose(next(iter(own.photos)))
    app = page(name, own, **LOOKS[name])
    assert "Your photo: ramp.png" in picker(app).options
    assert picker(app).value.startswith("own:")
    assert not any("ramp" in str(value) for value in app.query_params.values())
    fine(picker(app).set_value("rocket").run())
    assert own.current is None
    assert picker(app).value == "rocket"
    assert dict(app.query_params)["photo" if name == "explore" else "sample"] in (
        "rocket",
        ["rocket"],
    )
    assert "Your photo: ramp.png" in picker(app).options  # nothing is lost


@pytest.mark.parametrize("query", VIEWS)
def test_no_view_shows_another_photo_than_the_refused_one(query):
    app = page("deconvnet", model="lenet5_cifar", **query)
    pictures = len(app.get("html")) + len(app.get("plotly_chart"))
    fine(app.file_uploader[0].set_value(("x.heic", b"\0\0\0\x14ftypM4A ", "image/heic")).run())
    (error,) = app.error
    assert error.value.startswith("x.heic is a sound file and not a PNG")
    assert len(app.get("html")) + len(app.get("plotly_chart")) < pictures
    assert not any("photo" in block.proto.body for block in app.get("html")[1:])
    fine(next(b for b in app.button if b.label == "Back to the sample photo").click().run())
    assert not app.error
    assert len(app.get("html")) + len(app.get("plotly_chart")) == pictures
