import base64
import tomllib

import numpy as np
import pytest

from cnnviz.charts import evidence
from cnnviz.charts.evidence import Axis, Places
from cnnviz.charts.style import LINE
from cnnviz.images import encode_png
from cnnviz.settings import ROOT

PLACES = Places((0, 2, 4), (0, 2), 4)


def test_an_occlusion_map_stands_at_the_squares_centres():
    figure = evidence.occlusion_map(
        np.array([[0.1, 0.2], [0.3, 0.9], [0.5, 0.6]]), PLACES, "p", True, percent=True
    )
    (heat,) = figure.data
    assert heat.y == (1.5, 3.5, 5.5)
    assert heat.x == (1.5, 3.5)
    assert (heat.zmin, heat.zmax) == (0, 1)
    assert figure.layout.yaxis.autorange == "reversed"
    faint = evidence.occlusion_map(np.full((3, 2), 0.002), PLACES, "p", True, percent=True)
    assert faint.data[0].zmax == 0.002
    free = evidence.occlusion_map(np.full((3, 2), 7.0), PLACES, "sum", False)
    assert (free.data[0].zmin, free.data[0].zmax) == (0, 7)


def test_the_sequential_colours_are_the_apps():
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    assert list(evidence.SEQUENTIAL_LIGHT) == theme["light"]["chartSequentialColors"]
    assert list(evidence.SEQUENTIAL_DARK) == theme["dark"]["chartSequentialColors"]


def test_answers_are_written_on_their_regions():
    best = np.full((10, 10), 3)
    best[:4, :4] = 1  # a region of sixteen places
    best[9, 9] = 0  # too small for its name
    names = ("cat", "dog", "frog", "horse")
    places = Places(range(10), range(10), 1)
    figure = evidence.answer_map(best, places, names, 3, False)
    assert sorted(note.text for note in figure.layout.annotations) == ["dog", "horse"]
    dog = next(note for note in figure.layout.annotations if note.text == "dog")
    assert best[int(dog.y), int(dog.x)] == 1
    horse = next(note for note in figure.layout.annotations if note.text == "horse")
    assert (horse.y, horse.x) == (5, 4)  # far from both sides, below the dog
    heat = figure.data[0]
    assert heat.customdata[0, 0] == "dog"
    assert heat.customdata[9, 9] == "cat"
    # The answer to the whole photo is quiet, whatever its share.
    assert heat.z[5][5] == 0
    assert heat.colorscale[0][1] == LINE.light
    assert evidence.answer_shares(best) == {3: 0.83, 1: 0.16, 0: 0.01}


def test_one_answer_everywhere_is_one_region():
    figure = evidence.answer_map(np.full((3, 2), 1), PLACES, ("a", "b"), 1, True)
    assert [note.text for note in figure.layout.annotations] == ["b"]


def test_heat_lies_on_the_photo():
    heat = np.zeros((4, 6))
    heat[1, 2], heat[3, 3] = 8.0, 4.0
    photo = encode_png(np.zeros((4, 6), np.uint8))
    figure = evidence.heat_on_photo(photo, heat, False)
    assert figure.data[0].z[1, 2] == 1
    assert figure.data[0].z[3, 3] == 0.5
    image = figure.layout.images[0]
    assert base64.b64decode(image.source.partition(",")[2]) == photo
    assert (image.sizex, image.sizey) == (6, 4)
    assert figure.layout.yaxis.range == (3.5, -0.5)
    assert evidence.half_area(heat) == pytest.approx(1 / 24)
    assert evidence.half_area(np.ones((4, 4))) == 0.5
    assert evidence.half_area(np.zeros((4, 4))) == 0


def test_lines_are_told_apart_without_colour():
    values = np.arange(12.0).reshape(6, 2)
    names = [f"image {i}" for i in range(6)]
    figure = evidence.invariance_lines((0, 90), values, names, Axis("turned by", "°"), "p", True)
    assert [trace.name for trace in figure.data] == names
    assert figure.data[2].y == (4, 5)
    forms = {(trace.line.dash, trace.marker.symbol) for trace in figure.data}
    assert len(forms) == 6
    assert figure.layout.xaxis.ticksuffix == "°"
    share = evidence.invariance_lines(
        (0,), values[:, :1] / 20, names, Axis("x", ""), "p", False, percent=True
    )
    assert share.layout.yaxis.range == (0, 1.03)


def test_the_strip_has_every_draw_and_the_means():
    figure = evidence.correspondence_strip(
        [0.1, 0.3], {"anywhere": [0.5, 0.7, 0.6], "one": [0.4]}, False
    )
    dots = [trace for trace in figure.data if trace.marker.size == 8]
    assert [trace.x for trace in dots] == [(0.5, 0.7, 0.6), (0.4,)]
    means = {t.y[0]: (t.x[0], t.error_x.array[0]) for t in figure.data if t.marker.size == 13}
    assert means["the part"] == pytest.approx((0.2, np.std([0.1, 0.3], ddof=1)))
    assert means["anywhere"] == pytest.approx((0.6, 0.1))
    assert means["one"][0] == 0.4
    assert figure.layout.yaxis.categoryarray == ("one", "anywhere", "the part")
    assert figure.layout.shapes[0].x0 == pytest.approx(0.2)
