"""Filters, feature maps, top images, signed pictures, and the command."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import cnnviz
import cnnviz.cli
from cnnviz.errors import CnnvizError
from cnnviz.images import sample_photos
from cnnviz.prediction import find_models
from cnnviz.sight import (
    contrast,
    convolutions,
    feature_maps,
    filters,
    project,
    signed_picture,
    top_activations,
)
from cnnviz.sight.units import batches as batches_module
from cnnviz.sight.units import top as top_module
from cnnviz.training.augment import normalise
from cnnviz.training.data import load
from tests.sight.nets import family, odd

# Filters


def test_kinds_of_filters_and_their_tiles():
    mobile = family("mobilenet_v1_cifar")[0]
    paths = convolutions(mobile)
    first, depthwise, pointwise = (filters(mobile, path) for path in paths[:3])
    weight = mobile.get_submodule(paths[0]).weight.detach().numpy()
    assert first.kind == "colour"
    assert np.array_equal(first.tiles[3, 1, 2], weight[3, :, 1, 2])
    assert depthwise.kind == "depthwise"
    assert depthwise.tiles.shape == (first.tiles.shape[0], 3, 3)
    assert pointwise.kind == "deep"
    assert pointwise.tiles.shape[1:] == (first.tiles.shape[0], 1, 1)
    grey = filters(family("lenet5")[0], "c1")
    assert (grey.kind, grey.tiles.shape) == ("deep", (6, 1, 5, 5))


def test_dead_filters_and_near_duplicates_are_found():
    conv = nn.Conv2d(3, 6, 3)
    with torch.no_grad():
        conv.weight[1] = 2 * conv.weight[4]
        conv.weight[2] = -conv.weight[0]
        conv.weight[3] = 1e-6
    found = filters(nn.Sequential(conv), "0")
    np.testing.assert_allclose(found.norms, conv.weight.detach().flatten(1).norm(dim=1), rtol=1e-6)
    assert found.dead.tolist() == [False, False, False, True, False, False]
    assert [(pair.first, pair.second) for pair in found.duplicates()] == [(1, 4)]
    assert found.duplicates()[0].cosine == pytest.approx(1)


def test_filters_of_different_groups_are_not_compared():
    conv = nn.Conv2d(6, 4, 3, groups=2)
    with torch.no_grad():
        conv.weight[2] = conv.weight[0]
    assert filters(nn.Sequential(conv), "0").duplicates() == []


def test_filters_are_copies_and_unknown_ones_are_refused():
    conv = nn.Conv2d(3, 6, 3)
    found = filters(nn.Sequential(conv), "0")
    found.weights[:] = 0
    assert conv.weight.abs().sum() > 0
    with pytest.raises(CnnvizError, match="did you mean 'first'"):
        filters(odd("Functional")[0], "frist")


# Feature maps


def test_feature_maps_are_those_of_the_operators():
    model, images = odd("Functional")
    maps = feature_maps(model, images, ["relu#2", "first", "relu", "relu_"])
    first = model.first(images)
    assert list(maps) == ["relu#2", "first", "relu", "relu_"]
    assert torch.equal(maps["first"], first)
    assert torch.equal(maps["relu"], first.relu())
    second = model.second(first.relu())
    assert torch.equal(maps["relu_"], second.relu())
    assert torch.equal(maps["relu#2"], model(images))


def test_an_operator_in_place_does_not_show_in_the_maps_before_it():
    model, images = odd("Functional")
    before, after = feature_maps(model, images, ["second", "relu_"]).values()
    assert before.min() < 0
    assert torch.equal(before.relu(), after)


def test_feature_maps_have_units_second():
    model, images = odd("Smooth")
    maps = feature_maps(model, images, ["wide", "norm"])
    assert maps["wide"].shape == (3, 12, 4, 4)
    assert maps["norm"].shape == (3, 8, 4, 4)


# Top images


def slow_top(maps, k):
    """The same by one full sort in Python."""
    answer = []
    for unit in range(maps.shape[1]):
        best = [(-float(maps[i, unit].max()), i) for i in range(len(maps))]
        answer.append([i for _, i in sorted(best)[:k]])
    return torch.tensor(answer)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=generator)


STATISTICS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.2)}


@pytest.mark.parametrize("batch", [7, 128])
def test_top_images_are_those_of_a_full_sort(data, monkeypatch, batch):
    monkeypatch.setattr(batches_module, "BATCH_SIZE", batch)
    model, _ = family("resnet20_cifar")
    layers = ["layer1.0.relu1", "layer3.2.relu2", "fc"]
    found = top_activations(model, data, layers, k=5, **STATISTICS)
    maps = feature_maps(model, normalise(data, *STATISTICS.values()), layers)
    for layer in layers:
        assert torch.equal(found[layer].indices, slow_top(maps[layer], 5)), layer
    relu = found["layer1.0.relu1"]
    for unit in (0, 3):
        for value, image, place in zip(
            relu.values[unit], relu.indices[unit], relu.positions[unit], strict=True
        ):
            there = maps["layer1.0.relu1"][image, unit, place[0], place[1]]
            torch.testing.assert_close(value, there)


def test_ties_go_to_the_lower_number_and_dead_units_are_counted(data):
    conv = nn.Conv2d(3, 3, 1)
    model = nn.Sequential(conv, nn.ReLU()).eval()
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    found = top_activations(model, data, ["1"], k=4, **STATISTICS)["1"]
    assert found.dead.tolist() == [True, True, False]
    assert found.indices.tolist() == [[0, 1, 2, 3]] * 3
    labels = torch.arange(40) % 2
    assert found.class_mix(labels, 3).tolist() == [[0.5, 0.5, 0]] * 3


def test_top_positions_can_be_projected(data):
    model, _ = family("vgg11_bn_cifar")
    found = top_activations(model, data, ["features.6"], k=2, **STATISTICS)["features.6"]
    images = normalise(data[found.indices[5]], *STATISTICS.values())
    at = found.positions[5][None]
    shown = project(model, images, "features.6", [5], positions=at)
    torch.testing.assert_close(shown.activations[0], found.values[5])
    assert torch.equal(project(model, images, "features.6", [5]).positions, at)


@pytest.mark.parametrize("rising", [True, False])
def test_the_order_of_the_images_does_not_matter(monkeypatch, rising):
    monkeypatch.setattr(batches_module, "BATCH_SIZE", 5)
    level = torch.arange(100) // 3  # three images of each level
    level = level if rising else level.flip(0)
    data = level.to(torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4).contiguous()
    model = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].weight.fill_(1)
    found = top_activations(model, data, ["1"], k=7, mean=(0, 0, 0), std=(1, 1, 1))["1"]
    wanted = sorted(range(100), key=lambda i: (-int(level[i]), i))[:7]
    assert found.indices.tolist() == [wanted] * 2
    assert not found.positions.any()


def test_each_layer_is_kept_for_itself(data, tmp_path):
    model, _ = family("lenet5_cifar")
    top_activations(model, data, ["relu1", "relu3"], cache=tmp_path, **STATISTICS)
    seen = []
    found = top_activations(
        *(model, data, ["relu3"]), cache=tmp_path, progress=lambda *x: seen.append(x), **STATISTICS
    )
    assert list(found) == ["relu3"]
    assert not seen


def test_positions_of_a_sequence_are_those_of_a_projection(data):
    model = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten(2), nn.ReLU()).eval()
    found = top_activations(model, data, ["2"], k=1, **STATISTICS)["2"]
    images = normalise(data[found.indices[1]], *STATISTICS.values())
    assert torch.equal(project(model, images, "2", [1]).positions[0], found.positions[1])


def test_fewer_images_than_asked_for_and_progress(data):
    model, _ = family("lenet5_cifar")
    seen = []
    found = top_activations(
        model, data[:3], ["relu1"], progress=lambda *done: seen.append(done), **STATISTICS
    )
    assert found["relu1"].indices.shape == (6, 3)
    assert seen == [(3, 3)]


def test_an_image_set_brings_its_own_statistics():
    digits = load("digits")
    model, _ = family("lenet5_cifar")
    found = top_activations(model, digits, ["relu3"], k=3)["relu3"]
    images = digits.test_images
    same = top_activations(model, images, ["relu3"], k=3, mean=digits.mean, std=digits.std)
    assert torch.equal(found.values, same["relu3"].values)
    assert found.indices.max() > 128  # more than one batch was looked at


def test_results_are_kept_and_belong_to_weights_and_question(data, tmp_path, monkeypatch):
    model, _ = family("lenet5_cifar")

    def ask(layers=("relu1",), **changes):
        return top_activations(model, data, list(layers), cache=tmp_path, **STATISTICS | changes)

    wanted = ask()["relu1"]
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(top_module, "_search", None)  # only what is kept can answer
        kept = ask()["relu1"]
    assert torch.equal(kept.values, wanted.values)
    assert torch.equal(kept.dead, wanted.dead)
    ask(k=3)
    ask(mean=(0.1, 0.1, 0.1))
    ask(layers=("relu3",))
    with torch.no_grad():
        model.c1.weight[0, 0, 0, 0] += 1
    assert not torch.equal(ask()["relu1"].values, wanted.values)
    assert len(list(tmp_path.iterdir())) == 5
    with torch.no_grad():
        model.c1.weight[0, 0, 0, 0] -= 1
    file.write_bytes(b"broken")
    torch.testing.assert_close(ask()["relu1"].values, wanted.values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "1 or more"),
        ({"layers": []}, "at least one layer"),
        ({"layers": ["relu9"]}, "did you mean 'relu"),
        ({"mean": None}, "mean and std"),
        ({"mean": (0.5,)}, "3 channels"),
        ({"dataset": torch.zeros(4, 3, 32, 32)}, "uint8"),
        ({"dataset": torch.zeros(0, 3, 32, 32, dtype=torch.uint8)}, "uint8"),
    ],
)
def test_questions_without_an_answer_are_refused(data, change, message):
    model, _ = family("lenet5_cifar")
    arguments = {"dataset": data, "layers": ["relu1"], **STATISTICS, **change}
    with pytest.raises(CnnvizError, match=message):
        top_activations(model, **arguments)


# Pictures and the command


def test_zero_is_mid_grey_and_contrast_is_symmetric():
    values = np.zeros((3, 40, 40))
    values[:, 0, :10], values[:, 1, :10] = 2.0, -2.0
    values[0, 5, 5] = 1000  # one extreme pixel does not decide the contrast
    picture = signed_picture(values)
    assert picture.dtype == np.uint8
    assert picture.shape == (40, 40, 3)
    assert (picture[20:] == 128).all()
    assert (picture[0, :10] == 255).all()
    assert (picture[1, :10] == 1).all()
    assert contrast(values) == 2
    shared = signed_picture(torch.from_numpy(values), scale=4.0)
    assert shared[0, 0, 0] == 192
    assert shared[1, 0, 0] == 64


def test_pictures_of_nothing_and_of_next_to_nothing():
    assert (signed_picture(np.zeros((1, 4, 4))) == 128).all()
    values = np.zeros((1, 50, 50))
    values[0, 3, 3] = 1e-9
    assert signed_picture(values)[3, 3, 0] == 255


@pytest.fixture
def cat(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(sample_photos()["cat"])
    return path


def test_the_command_writes_the_projection(cat, finished, tmp_path, capsys):
    (name,) = find_models()
    output = tmp_path / "out.png"
    arguments = ["deconv", str(cat), "--model", name, "--layer", "s2", "--unit", "2"]
    assert cnnviz.cli.main([*arguments, "--output", str(output), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["layer"], answer["unit"], answer["rule"]) == ("s2", 2, "deconvnet")
    picture = np.asarray(Image.open(output))
    assert picture.shape == (256, 256)
    assert np.array_equal(picture[::8, ::8].repeat(8, 0).repeat(8, 1), picture)
    # A unit of S2 sees 6 × 6 pixels in steps of 2; all else is mid-grey.
    rows, columns = np.nonzero(picture[::8, ::8] != 128)
    top, left = 2 * answer["row"], 2 * answer["column"]
    assert top <= rows.min() <= rows.max() < top + 6
    assert left <= columns.min() <= columns.max() < left + 6


@pytest.mark.parametrize(
    ("layer", "unit", "model", "status", "message"),
    [
        ("s9", 0, None, 2, "did you mean 's"),
        ("s2", 6, None, 2, "choose from 0 to 5"),
        ("s2", 0, "nothing", 1, "no trained model called 'nothing'"),
    ],
)
def test_the_command_refuses(cat, finished, tmp_path, capsys, layer, unit, model, status, message):
    (name,) = find_models()
    output = tmp_path / "out.png"
    arguments = ["deconv", str(cat), "--model", model or name, "--layer", layer]
    arguments += ["--unit", str(unit), "--output", str(output)]
    assert cnnviz.cli.main(arguments) == status
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_public_names():
    assert cnnviz.project is project
    assert cnnviz.top_activations is top_activations
    assert {"Projection", "backward_rule"} <= set(dir(cnnviz))
    assert F.relu(torch.tensor(-1.0)) == 0  # importing any of it patches nothing
