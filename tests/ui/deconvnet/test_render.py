import io

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz.networks.catalogue import inspect_variant
from cnnviz.sight.units.patches import patch_boxes
from cnnviz.ui.deconvnet import render as pictures


def test_a_patch_at_the_border_keeps_its_size_with_the_position_in_its_middle():
    trace = inspect_variant("resnet20_cifar")
    layer = next(row for row in trace.layers if row.path == "layer1.0.relu1")  # sees 5 × 5
    image = np.arange(32 * 32 * 3, dtype=np.float32).reshape(32, 32, 3) + 1
    for row, column in ((0, 0), (15, 20), (31, 0), (31, 31)):
        box = tuple(patch_boxes(layer, trace, torch.tensor([row, column])).tolist())
        frame = pictures.unclipped(box, layer, (32, 32))
        cut = pictures.patch(image, frame, 0.0)
        assert cut.shape == (5, 5, 3)
        assert np.array_equal(cut[2, 2], image[row, column])
    assert (cut[3:] == 0).all()
    assert (cut[:, 3:] == 0).all()


def test_a_field_that_spans_the_image_leaves_it_whole():
    image = np.ones((8, 8, 1), np.uint8)
    assert pictures.patch(image, (0, 0, 8, 8), 0).shape == (8, 8, 1)
    assert pictures.patch(image, (-3, -3, 20, 20), 0) is image


def test_a_box_is_drawn_only_where_it_is_not_the_whole_image():
    image = np.zeros((10, 20, 3), np.uint8)
    html = pictures.boxed(image, (2, 5, 4, 10), "a <photo>")
    assert "top:20.00%;left:25.00%;height:40.00%;width:50.00%" in html
    assert 'alt="a &lt;photo&gt;"' in html
    assert "<i " not in pictures.boxed(image, (0, 0, 10, 20), "whole")


def test_a_mosaic_has_clear_gaps_and_every_tile():
    tiles = [np.full((4, 4, 1), value, np.uint8) for value in (10, 20, 30, 40)]
    sheet = pictures.mosaic(tiles, columns=2, side=8)
    assert sheet.shape == (19, 19, 4)
    assert (sheet[8:11, :, 3] == 0).all()
    assert [int(sheet[y, x, 0]) for y in (0, 18) for x in (0, 18)] == [10, 20, 30, 40]


def test_pictures_are_enlarged_in_blocks_and_shrunk_by_means():
    small = np.array([[[0], [200]], [[100], [50]]], np.uint8)
    large = pictures.to_side(small, 6)
    assert large.shape == (6, 6, 1)
    assert set(large.ravel().tolist()) == {0, 50, 100, 200}
    assert pictures.to_side(small, 1).item() == pytest.approx(87, abs=1)


def test_a_map_below_zero_is_black():
    drawn = pictures.grey_map(np.array([[-4.0, 0.0], [1.0, 2.0]], np.float32))
    assert drawn[..., 0].tolist() == [[0, 0], [128, 255]]
    assert not pictures.grey_map(np.full((2, 2), -1.0, np.float32)).any()


def test_the_sheet_is_one_png_with_all_blocks():
    tile = np.full((16, 16, 3), 200, np.uint8)
    data = pictures.sheet([("Unit 1", [tile, tile]), ("Unit 2", [tile]), ("3", [tile])], columns=2)
    page = Image.open(io.BytesIO(data))
    assert page.format == "PNG"
    assert int((np.asarray(page) == 200).all(2).sum()) >= 4 * 256
    assert Image.open(io.BytesIO(pictures.sheet([], 2))).size == (1, 1)
