import tomllib

import numpy as np
import pytest

from cnnviz.charts import filters as charts
from cnnviz.charts.style import BACKGROUND
from cnnviz.settings import ROOT


@pytest.mark.parametrize("dark", [False, True])
def test_signed_colours_are_the_themes_around_a_neutral_middle(dark):
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    colours = charts.signed_colours(dark)
    middle = colours[5]
    assert [*colours[:5], *colours[6:]] == theme["dark" if dark else "light"][
        "chartDivergingColors"
    ]
    stops = charts.signed_stops(dark).astype(int)
    assert np.ptp(stops[5]) <= 12  # nearly grey
    ground = BACKGROUND.on(dark)
    assert abs(int(middle[1:3], 16) - int(ground[1:3], 16)) < 20
    # Red below zero, blue above, and the further from zero the further from the middle.
    assert (stops[:5, 0] > stops[:5, 2]).all()
    assert (stops[6:, 2] > stops[6:, 0]).all()
    away = np.abs(stops - stops[5]).sum(axis=1)
    assert (np.diff(away[:6]) < 0).all()
    assert (np.diff(away[5:]) > 0).all()


def test_slices_have_their_numbers_under_the_pointer():
    slices = np.arange(5 * 2 * 3, dtype=np.float32).reshape(5, 2, 3)
    figure = charts.slices_figure(slices, [f"channel {c}" for c in (7, 3, 9, 1, 0)], 30, False)
    heat = figure.data[0]
    z, text = np.array(heat.z), np.array(heat.text)
    assert z.shape == (2 * 3 - 1, 3 * 4 - 1)  # two rows of three
    assert z[1, 2] == slices[0, 1, 2]
    assert text[1, 2] == "channel 7, row 1, column 2"
    assert z[3, 4] == slices[4, 0, 0]
    assert text[3, 4] == "channel 0, row 0, column 0"
    assert np.isnan(z[2]).all()
    assert (heat.zmin, heat.zmax) == (-30, 30)
    assert {note.text for note in figure.layout.annotations} == {"7", "3", "9", "1", "0"}


def test_three_slices_stand_in_one_row_and_many_small_ones_go_without_numbers():
    three = charts.slices_figure(np.ones((3, 5, 5)), ["red", "green", "blue"], 1, True)
    assert np.array(three.data[0].z).shape == (5, 17)
    many = charts.slices_figure(np.ones((64, 5, 5)), [f"channel {c}" for c in range(64)], 1, True)
    assert many.layout.annotations == ()


def test_a_matrix_has_a_handle_for_each_row():
    weights = np.arange(6.0).reshape(2, 3)
    figure = charts.matrix_figure(weights, [8, 5], 5, {8}, 6, False)
    heat, handles = figure.data
    assert np.array(heat.z).tolist() == weights.tolist()
    assert np.array(heat.customdata)[:, 0].tolist() == [8, 5]
    assert list(handles.customdata) == [8, 5]
    assert list(handles.marker.symbol) == ["diamond-open", "circle"]
    frame = figure.layout.shapes[0]
    assert (frame.y0, frame.y1) == (0.5, 1.5)
    assert charts.matrix_figure(weights, [8, 5], 1, set(), 6, False).layout.shapes == ()


def test_the_bars_of_a_1x1_filter_tell_signs_by_place_and_colour():
    figure = charts.weights_figure(np.array([0.5, -0.25]), False)
    assert list(figure.data[0].y) == [0.5, -0.25]
    assert len(set(figure.data[0].marker.color)) == 2


@pytest.mark.parametrize(("lowest", "zmin"), [(-1.0, -4.0), (0.0, 0.0)])
def test_a_map_is_drawn_around_zero_where_it_has_both_signs(lowest, zmin):
    heat = charts.map_figure(np.array([[lowest, 4.0]]), False).data[0]
    assert (heat.zmin, heat.zmax) == (zmin, 4.0)


def test_a_map_lies_on_the_photo_where_its_positions_look():
    values = np.array([[-1.0, 2.0], [0.0, 1.0]])
    figure = charts.overlay_figure(b"", (8, 8), values, charts.Spread(4, 1.5, 1.5), False)
    heat = figure.data[0]
    assert (heat.x0, heat.dx, heat.y0, heat.dy) == (1.5, 4, 1.5, 4)
    assert np.array(heat.z).tolist() == [[0, 2], [0, 1]]
    assert np.array(heat.customdata)[0, 0].tolist() == [0, 0, -1]
    assert figure.layout.images[0].sizex == 8
