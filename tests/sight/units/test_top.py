"""Figure 2 of Zeiler & Fergus: units by their strongest patches and what they saw there."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.errors import CnnvizError
from cnnviz.sight import (
    feature_maps,
    patch_boxes,
    project,
    row_of,
    top_activations,
    unit_activations,
    unit_figures,
)
from cnnviz.sight.units import activity as activity_module
from cnnviz.sight.units import kept as kept_module
from cnnviz.sight.units.activity import strongest_positions
from cnnviz.sight.units.mosaic import TILE_SIDE, units_mosaic
from cnnviz.training.augment import normalise, resize
from cnnviz.training.data import load
from tests.sight.nets import family

pytestmark = pytest.mark.slow

STATISTICS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.2)}


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=generator)


def ask(model, data, layer, units, **changes):
    size = changes.get("size") or data.shape[2:]
    trace = cnnviz.trace(model, (data.shape[1], *size))
    return unit_figures(model, trace, data, layer, units, **STATISTICS | changes)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet20_cifar", "layer1.1.relu2"),
        ("resnet20_cifar", "layer3.0.relu1"),
        ("googlenet_slim_cifar", "stage3.inception3b"),
        ("alexnet_cifar", "features.2"),
        ("lenet5_cifar", "relu3"),
    ],
)
@pytest.mark.parametrize("rule", ["deconvnet", "gradient"])
def test_figures_are_projections_one_by_one(data, name, layer, rule):
    model, _ = family(name)
    units = [5, 0, 3]
    found = ask(model, data, layer, units, rule=rule, k=4)
    top = top_activations(model, data, [layer], 4, **STATISTICS)[layer]
    assert torch.equal(found.values, top.values[units])
    assert torch.equal(found.indices, top.indices[units])
    assert torch.equal(found.positions, top.positions[units])
    assert found.labels is None
    trace = cnnviz.trace(model, (3, 32, 32))
    assert torch.equal(found.boxes, patch_boxes(row_of(trace, layer), trace, found.positions))
    for place, unit in enumerate(units):
        for rank in range(4):
            image = data[top.indices[unit, rank]][None]
            assert torch.equal(found.images[place, rank], image[0])
            alone = project(
                model,
                normalise(image, *STATISTICS.values()),
                layer,
                unit,
                rule,
                top.positions[unit, rank][None, None],
            )
            scale = float(alone.pixels.abs().max())
            got = found.pixels[place, rank]
            torch.testing.assert_close(got, alone.pixels[0, 0], atol=1e-4 * scale, rtol=1e-3)
            top_, left, height, width = found.boxes[place, rank].tolist()
            outside = got.clone()
            outside[:, top_ : top_ + height, left : left + width] = 0
            assert not outside.any()


def test_dead_units_have_empty_reconstructions(data):
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].bias[1] = -1e3
    found = ask(model, data, "1", [1, 2], k=2)
    assert found.dead.tolist() == [True, False]
    assert found.indices[0].tolist() == [0, 1]
    assert not found.pixels[0].any()
    assert found.pixels[1].any()


def test_images_are_those_of_the_networks_size_and_labels_come_along():
    digits = load("digits")
    model, _ = family("lenet5_cifar")
    trace = cnnviz.trace(model, (3, 32, 32))
    small = replace(digits, test_images=digits.test_images[:, :, ::2, ::2].contiguous())
    found = unit_figures(model, trace, small, "relu1", [0, 1], k=3, size=(32, 32))
    assert found.images.shape == (2, 3, 3, 32, 32)
    wanted = resize(small.test_images[found.indices[1, 2]][None].float(), (32, 32))[0]
    assert (found.images[1, 2] - wanted).abs().max() <= 0.5
    assert torch.equal(found.labels, digits.test_labels[found.indices])


def test_a_top_that_is_given_is_not_looked_for(data):
    model, _ = family("lenet5_cifar")
    top = top_activations(model, data, ["relu1"], 3, **STATISTICS)["relu1"]
    shuffled = replace(top, indices=top.indices.flip(1), positions=top.positions.flip(1))
    found = ask(model, data, "relu1", [2], top=shuffled)
    assert found.indices[0].tolist() == top.indices[2].flip(0).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": []}, "one or more"),
        ({"units": [6]}, "choose from 0 to 5"),
        ({"layer": "relu9"}, "no layer 'relu9'"),
        ({"rule": "magic"}, "backward rule"),
        ({"lrn": "magic"}, "identity or gradient"),
    ],
)
def test_questions_without_an_answer_are_refused(data, change, message):
    model, _ = family("lenet5_cifar")
    arguments = {"layer": "relu1", "units": [0]} | change
    with pytest.raises(CnnvizError, match=message):
        ask(model, data, **arguments)


def test_a_top_of_other_images_is_refused(data):
    model, _ = family("lenet5_cifar")
    top = top_activations(model, data, ["relu1"], 9, **STATISTICS)["relu1"]
    with pytest.raises(CnnvizError, match="look for them in this data set"):
        ask(model, data[:5], "relu1", [0, 1, 2], top=top)


def test_four_threads_get_what_one_gets(data):
    model, _ = family("googlenet_slim_cifar")
    layers = ["stem", "stage3.inception3a", "stage3.inception3b.branch1", "stage4.inception4a"]
    alone = [ask(model, data, layer, [0, 1], k=2).pixels for layer in layers]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda layer: ask(model, data, layer, [0, 1], k=2), layers))
    for first, second in zip(alone, together, strict=True):
        torch.testing.assert_close(second.pixels, first)


# The mosaic


def test_a_mosaic_has_reconstructions_left_and_patches_right(data):
    model, _ = family("lenet5_cifar")
    found = ask(model, data, "relu1", [0, 1], k=4)
    sheet = units_mosaic(found)
    side = 5 * -(-TILE_SIDE // 5)  # a unit of the first layer sees 5 × 5 pixels
    assert sheet.dtype == np.uint8
    body = sheet[14 + 16 : 14 + 16 + 2 * side + 2, 14:]
    factor = side // 5
    top, left = found.boxes[0, 0, :2].tolist()
    patch = found.images[0, 0, :, top : top + 5, left : left + 5].numpy().transpose(1, 2, 0)
    right = 2 * side + 2 + 6
    assert np.array_equal(body[:side:factor, right : right + side : factor], patch)
    assert (body[:side, :side] != 255).any()


# How strongly each image excites a unit


def test_activations_are_the_maxima_of_the_maps(data):
    model, _ = family("resnet20_cifar")
    found = unit_activations(model, data, "layer1.0.relu1", **STATISTICS)
    inputs = normalise(data, *STATISTICS.values())
    maps = feature_maps(model, inputs, ["layer1.0.relu1"])["layer1.0.relu1"]
    torch.testing.assert_close(found.values, maps.amax((2, 3)))
    assert found.values.dtype == torch.float32
    row, column = strongest_positions(maps[:, 4])[7].tolist()
    torch.testing.assert_close(maps[7, 4, row, column], found.values[7, 4])
    dense = unit_activations(model, data, "fc", **STATISTICS)
    assert dense.values.shape == (40, 10)


def by_hand(values):
    return cnnviz.sight.UnitActivations(torch.tensor(values)[:, None])


def test_examples_are_strong_middling_and_weak():
    found = by_hand([0.0, 5.0, 1.0, 3.0, 5.0, 2.0, 0.0, 1.0, 4.0]).examples(0, 2)
    assert {name: images.tolist() for name, images in found.items()} == {
        "strong": [1, 4],
        "middling": [8, 3],
        "weak": [2, 7],
    }
    few = by_hand([0.0, 2.0, 0.0]).examples(0, 5)
    assert [images.tolist() for images in few.values()] == [[1], [1], [1]]
    assert all(not len(images) for images in by_hand([0.0, -1.0]).examples(0).values())


def test_strong_examples_are_the_top_activations(data):
    model, _ = family("lenet5_cifar")
    top = top_activations(model, data, ["relu3"], 5, **STATISTICS)["relu3"]
    found = unit_activations(model, data, "relu3", **STATISTICS)
    for unit in range(4):
        assert torch.equal(found.examples(unit, 5)["strong"], top.indices[unit])


def test_histograms_count_every_image(data):
    counts, edges = by_hand([0.0, 0.0, 1.0, 4.0]).histogram(0, 4)
    assert counts.tolist() == [2, 1, 0, 1]
    assert edges.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("unit", "count", "message"), [(1, 3, "no unit 1"), (0, 0, "1 example")])
def test_examples_of_nothing_are_refused(unit, count, message):
    with pytest.raises(CnnvizError, match=message):
        by_hand([1.0]).examples(unit, count)


def test_activations_are_kept(data, tmp_path, monkeypatch):
    model, _ = family("lenet5_cifar")
    seen = []

    def look():
        return unit_activations(
            model,
            data,
            "relu1",
            cache=tmp_path,
            progress=lambda *done: seen.append(done),
            **STATISTICS,
        )

    first, second = look(), look()
    assert seen == [(40, 40)]
    assert torch.equal(first.values, second.values)
    monkeypatch.setattr(kept_module, "_FORMAT", 0)  # another version does not read it
    look()
    assert len(seen) == 2


def test_a_scan_keeps_the_activations_of_layers_on_its_way(data, tmp_path, monkeypatch):
    model, _ = family("lenet5_cifar")
    wanted = unit_activations(model, data, "c3", **STATISTICS)
    top_activations(model, data, ["relu1", "c3"], cache=tmp_path, keep=["c3"], **STATISTICS)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(activity_module, "_scan", None)  # only what is kept can answer
    found = unit_activations(model, data, "c3", cache=tmp_path, **STATISTICS)
    assert torch.equal(found.values, wanted.values)


def test_what_was_not_used_for_longest_makes_room(data, tmp_path, monkeypatch):
    model, _ = family("lenet5_cifar")

    def look(layer):
        top_activations(model, data, [layer], cache=tmp_path, **STATISTICS)
        return {path.name for path in tmp_path.iterdir()}

    first = look("c1")
    both = look("relu1")
    for age, name in enumerate(first | both):
        os.utime(tmp_path / name, (age, age))
    assert look("c1") == both  # used again
    size = max((tmp_path / name).stat().st_size for name in both)
    monkeypatch.setattr(kept_module, "ROOM", int(2.5 * size))
    third = look("s2")
    assert third >= first
    assert not third & (both - first)
    assert len(third) == 2
