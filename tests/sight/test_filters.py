"""Neighbours and orders of filters, how active maps are, and signed pictures in colours."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.sight import Activity, filters, signed_colours, tiled


def layer(rows, groups=1, channels=None):
    """A 1 × n convolution with the given weights, one row a filter."""
    weight = torch.tensor(rows, dtype=torch.float32)[:, None, None]  # -> (filters, 1, 1, n)
    conv = nn.Conv2d(channels or groups, len(rows), weight.shape[2:], groups=groups)
    with torch.no_grad():
        conv.weight.copy_(weight)
    return filters(nn.Sequential(conv), "0")


ROWS = [[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 0.1], [0.0, 0.0]]


def test_neighbours_are_the_nearest_by_cosine():
    found = layer(ROWS)
    nearest = found.neighbours(1, 3)
    assert [pair.first for pair in nearest] == [1, 1, 1]
    assert [pair.second for pair in nearest] == [0, 2, 3]  # the fourth is dead
    row = torch.tensor(ROWS)
    wanted = torch.cosine_similarity(row[1], row[[0, 2, 3]])
    np.testing.assert_allclose([pair.cosine for pair in nearest], wanted, atol=1e-6)
    assert found.neighbours(4) == []


def test_neighbours_of_a_filter_that_is_not_there():
    with pytest.raises(CnnvizError, match="0 to 4, not 5"):
        layer(ROWS).neighbours(5)


def test_neighbours_stay_in_their_group():
    conv = nn.Conv2d(4, 6, 3, groups=2)
    found = filters(nn.Sequential(conv), "0")
    assert {pair.second for pair in found.neighbours(1, 9)} == {0, 2}
    assert {pair.second for pair in found.neighbours(4, 9)} == {3, 5}


def test_depthwise_filters_are_neighbours_of_all():
    found = layer(ROWS[:4], groups=4)
    assert found.kind == "depthwise"
    assert len(found.neighbours(0, 9)) == 3


def test_orders():
    found = layer(ROWS)
    assert found.order("number").tolist() == [0, 1, 2, 3, 4]
    assert found.order("norm").tolist() == [0, 2, 1, 3, 4]
    # From the largest along the nearest: 0 -> 1 (45°) -> 2 (45°) -> 3 (84°), the dead one last.
    assert found.order("similarity").tolist() == [0, 1, 2, 3, 4]
    assert layer([[1.0, 0.0], [0.0, 2.0], [1.0, 0.1]]).order("similarity").tolist() == [1, 2, 0]


def test_similarity_leaves_nobody_out():
    conv = nn.Conv2d(8, 60, 3)
    order = filters(nn.Sequential(conv), "0").order("similarity")
    assert sorted(order) == list(range(60))


def test_single_numbers_have_no_neighbours():
    conv = nn.Conv2d(5, 5, 1, groups=5)
    found = filters(nn.Sequential(conv), "0")
    assert found.neighbours(0) == found.duplicates() == []
    assert sorted(found.order("similarity")) == list(range(5))


def test_a_matrix_mixes_channels_at_one_position():
    assert filters(nn.Sequential(nn.Conv2d(5, 4, 1)), "0").is_matrix
    assert not filters(nn.Sequential(nn.Conv2d(5, 5, 1, groups=5)), "0").is_matrix
    assert not filters(nn.Sequential(nn.Conv2d(5, 4, (1, 3))), "0").is_matrix


def test_activity_of_maps():
    maps = np.array([[[1, -1], [0, 0]], [[4, 4], [4, 0]], [[0, -2], [-1, 0]]], np.float32)
    activity = Activity(maps)
    assert activity.peaks.tolist() == [1, 4, 0]
    assert activity.active.tolist() == [0.25, 0.75, 0]
    assert activity.silent.tolist() == [False, False, True]
    assert activity.strongest.tolist() == [1, 0, 2]
    assert not activity.is_rectified
    assert Activity(np.maximum(maps, 0)).is_rectified


STOPS = np.array([[200, 0, 0], [100, 100, 100], [0, 0, 200]], np.uint8)


def test_signed_colours_have_zero_in_the_middle():
    drawn = signed_colours(np.array([-2.0, -1.0, 0.0, 0.5, 1.0]), STOPS, scale=1.0)
    assert drawn.tolist() == [[200, 0, 0], [200, 0, 0], [100, 100, 100], [50, 50, 150], [0, 0, 200]]


def test_signed_colours_of_nothing_are_neutral():
    assert (signed_colours(np.zeros((2, 3)), STOPS) == 100).all()


def test_tiles_lie_in_rows_with_gaps():
    sheet = tiled(np.arange(1.0, 4.0).reshape(3, 1, 1), gap=1, fill=0)
    assert sheet.tolist() == [[1, 0, 2], [0, 0, 0], [3, 0, 0]]
    row = tiled(np.ones((3, 2, 2, 4), np.uint8), columns=3, gap=2)
    assert row.shape == (2, 10, 4)
    assert row[..., 0].sum() == 12
