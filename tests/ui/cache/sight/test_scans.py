"""What the pages Filters and Deconvnet are given to look at, and how much of it is kept."""

import numpy as np
import pytest
import torch

from cnnviz.networks.subjects import find_subject
from cnnviz.sight import feature_maps, top_activations, unit_figures
from cnnviz.training.augment import normalise, resize
from cnnviz.training.data import load
from cnnviz.ui.cache import jobs, subjects
from cnnviz.ui.cache.sight import image_sets, scans


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("lenet5", "handwritten digits"),
        ("resnet20_cifar", "photo crops"),
        ("alexnet@imagenet", "photo crops"),
        ("lenet5_cifar@random", "photo crops"),
    ],
)
def test_without_cifar10_only_networks_of_digits_are_shown_digits(name, title):
    shown = image_sets.images_for(find_subject(name))
    assert shown.title == title
    assert shown.own == (name == "lenet5")


@pytest.mark.parametrize("name", ["lenet5", "lenet_modern@random", "alexnet@imagenet"])
def test_images_have_the_subjects_statistics_not_the_data_sets(name):
    subject = find_subject(name)
    images = image_sets.images_for(subject).images
    assert (images.mean, images.std) == (subject.mean, subject.std)
    assert images.test_images.shape[1] == subject.input_size[0]


def test_a_network_with_other_statistics_is_shown_what_it_expects():
    subject = find_subject("lenet5_cifar@random")  # ImageNet's statistics; here it sees photo crops
    shown = image_sets.images_for(subject)
    size = subject.input_size[1:]
    inputs = normalise(shown.images.test_images, subject.mean, subject.std)
    if tuple(inputs.shape[2:]) != size:
        inputs = resize(inputs, size)
    maps = feature_maps(subject.load(), inputs, ["relu3"])["relu3"]
    wanted = maps.amax((2, 3)).topk(9, dim=0)
    top = scans.top_of(subject, ("relu1", "relu3"), "relu3")["relu3"]
    torch.testing.assert_close(top.values, wanted.values.T)
    found = scans.figures_of(subject, "relu3", (0, 5), "deconvnet", ("relu1", "relu3"))
    torch.testing.assert_close(found.values, wanted.values.T[[0, 5]])
    by_library = unit_figures(
        subject.load(),
        subjects.trace_of(subject),
        shown.images.test_images,
        "relu3",
        (0, 5),
        top=top,
        mean=subject.mean,
        std=subject.std,
        size=size,
    )
    torch.testing.assert_close(found.pixels, by_library.pixels)
    assert torch.equal(found.images, by_library.images)
    numbers = found.indices[1]
    places = scans.positions_of(subject, "relu3", 5, numbers)
    assert torch.equal(places, found.positions[1])


def test_a_scan_answers_for_the_histogram_too(monkeypatch):
    subject = find_subject("lenet5")
    jobs.kept.clear()
    scans._activity_job.clear()
    for path in scans._kept().glob("*.safetensors"):
        path.unlink()
    layers = tuple(row.path for row in subjects.trace_of(subject).layers if row.kind == "pool")
    assert scans.top_of(subject, layers, layers[0])[layers[0]].values.shape[1] == 9
    monkeypatch.setattr("cnnviz.sight.units.activity._scan", None)  # only what was kept can answer
    images = load("digits").for_channels(1).test_images
    found = scans.activations_of(subject, layers[0])
    assert found.values.shape[0] == len(images)
    top = top_activations(subject.load(), images, [layers[0]], mean=subject.mean, std=subject.std)[
        layers[0]
    ]
    assert np.allclose(found.values.amax(0), top.values[:, 0])
