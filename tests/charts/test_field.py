import base64
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from cnnviz.charts import field

GROWTH = pd.DataFrame({"path": ["a", "b", "side", "c"], "receptive_field": [3, 7, 5, 40]})


def styles(html, kind):
    """The places of the elements of a class, as {property: share of the whole}."""
    return [
        {
            name: float(value.rstrip("%")) / 100
            for name, value in (pair.split(":") for pair in element.get("style").split(";"))
        }
        for element in ElementTree.fromstring(html).iter()
        if element.get("class") == kind
    ]


def test_the_heat_map_goes_by_the_square_root():
    density = np.zeros((8, 10))
    density[3:5, 3:5] = [[0.64, 0.16], [0.16, 0.0064]]
    heat = field.heat_map(density)
    assert heat.shape == (8, 10, 4)
    assert heat[3, 3].tolist() == [255, 243, 196, 255]  # the strongest
    assert heat[3, 4].tolist() == [255, 106, 0, round(0.45 * 255)]  # a quarter of it: half
    assert heat[4, 4].tolist() == [255, 106, 0, round(0.09 * 255)]
    assert not heat[density == 0][:, 3].any()
    assert not field.heat_map(np.zeros((2, 2)))[..., 3].any()


def test_the_heat_map_lies_on_the_photo():
    layers = re.findall(r"base64,([^)]+)\)", field.pictures(b"photo", b"heat"))
    assert [base64.b64decode(layer) for layer in layers] == [b"heat", b"photo"]  # the first on top


def test_boxes_stand_on_the_edges_of_pixels():
    outer, core = field.Frame(2, 1, 4, 6), field.Frame(3, 3, 2, 2)
    html = field.field_picture((8, 10), outer, core, 'what is "seen"')
    assert styles(html, "box") == [{"top": 0.25, "left": 0.1, "height": 0.5, "width": 0.6}]
    assert styles(html, "core") == [{"top": 0.375, "left": 0.3, "height": 0.25, "width": 0.2}]
    picture = ElementTree.fromstring(html)
    assert picture.get("aria-label") == 'what is "seen"'
    assert picture.get("style") == "aspect-ratio:10 / 8;max-width:min(30rem, 37.50rem)"
    assert not styles(field.field_picture((8, 10), outer, None, ""), "core")


def test_growth():
    html = field.field_growth(GROWTH, 32, "b", "alt")
    chart = ElementTree.fromstring(html)
    stairs, dots = (path.get("d") for path in chart.iter("path"))
    # From 0 to 40 pixels; a branch with a smaller field does not take the line down.
    assert stairs == "M125.0 925.0H375.0V825.0H625.0V825.0H875.0V0.0"
    assert dots == "M125.0 925.0h0M375.0 825.0h0M625.0 875.0h0M875.0 0.0h0"
    words = [element.get("data-words") for element in chart.iter("i")]
    assert words == ["a: 3 px", "b: 7 px", "side: 5 px", "c: 40 px"]
    (chosen,) = (element.get("style") for element in chart.iter("s"))
    assert chosen == "left:37.50%;top:82.50%"
    assert styles(html, "picture") == [{"bottom": pytest.approx(0.8)}]
    named = ElementTree.fromstring(field.field_growth(GROWTH, 32, "b", "alt", {1: "stage 2"}))
    (below,) = (element for element in named.iter("span"))
    assert (below.text, below.get("style")) == ("stage 2", "left:37.50%")
    assert [b.text for b in chart.iter("b")] == [
        *("0 px", "10 px", "20 px", "30 px", "40 px"),
        "the picture, 32 px",
    ]


@pytest.mark.parametrize(
    ("fields", "last"), [([1, 1], 30), ([3, 33], 40), ([1688], 2000), ([5, 427], 500)]
)
def test_the_axis_holds_every_field_and_the_picture(fields, last):
    frame = pd.DataFrame({"path": [f"x{i}" for i in range(len(fields))], "receptive_field": fields})
    chart = ElementTree.fromstring(field.field_growth(frame, 30, "x0", ""))
    ticks = [b.text for u in chart.iter("u") for b in u]
    assert ticks[-1] == f"{last:,} px"
    assert 2 <= len(ticks) <= 6


def test_a_tall_picture_is_no_taller_than_a_square_one():
    picture = ElementTree.fromstring(
        field.field_picture((100, 20), field.Frame(0, 0, 1, 1), None, "")
    )
    assert picture.get("style").endswith("max-width:min(30rem, 6.00rem)")


@pytest.mark.parametrize(
    ("fields", "side", "place"),
    [
        ([3, 7, 5, 40], 32, ""),  # crosses the line at its right end
        ([3, 7], 32, ""),  # never
        ([3, 40, 80, 90], 32, "late low"),
        ([3, 300, 800, 900], 32, "late"),  # below the line is the axis
    ],
)
def test_the_name_of_the_pictures_line_stays_clear_of_the_fields(fields, side, place):
    frame = pd.DataFrame({"path": [f"x{i}" for i in range(len(fields))], "receptive_field": fields})
    chart = ElementTree.fromstring(field.field_growth(frame, side, "x0", ""))
    (name,) = (b for b in chart.iter("b") if b.text.startswith("the picture"))
    assert name.get("class") == place


@pytest.mark.parametrize(("layers", "kind"), [(90, "dots"), (91, "dots crowd")])
def test_the_dots_of_many_layers_are_small(layers, kind):
    frame = pd.DataFrame({"path": [f"x{i}" for i in range(layers)], "receptive_field": 3})
    chart = ElementTree.fromstring(field.field_growth(frame, 32, "x0", ""))
    assert [path.get("class") for path in chart.iter("path")] == [None, kind]


def test_growth_in_a_sentence():
    assert field.growth_sentence(GROWTH, 32) == (
        "c is the first layer (4 of 4) whose field spans the picture"
    )
    assert field.growth_sentence(GROWTH, 64) == (
        "No layer's field spans the 64 pixels of the picture"
    )
