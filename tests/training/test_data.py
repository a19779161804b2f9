"""Data sets: digits as they are, CIFAR-10 from files made here in the published form."""

import hashlib
import pickle

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from cnnviz.errors import CnnvizError
from cnnviz.training import data


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """A folder with batches of 20 images in CIFAR-10's file form, accepted by torchvision."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    sums = {}
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    contents = {"batches.meta": {"label_names": names}}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = random.integers(0, 256, (20, 3072), dtype=np.uint8)
        contents[name] = {"data": pixels, "labels": [i % 10 for i in range(20)]}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    train = [[name, sums[name]] for name in sums if name.startswith("data")]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path))
    return folder


def test_cifar10_keeps_pixels_and_labels(small_cifar):
    images = data.load("cifar10")
    assert images.train_images.shape == (100, 3, 32, 32)
    assert images.test_images.shape == (20, 3, 32, 32)
    stored = pickle.loads((small_cifar / "data_batch_1").read_bytes())
    red = stored["data"][0, :1024].reshape(32, 32)
    assert np.array_equal(images.train_images[0, 0].numpy(), red)
    assert images.test_labels.tolist() == [i % 10 for i in range(20)]
    assert images.classes[3] == "cat"
    assert images.flips


def test_a_tampered_batch_is_refused_before_it_is_unpickled(small_cifar):
    class Bomb:
        def __reduce__(self):
            return (small_cifar.joinpath("exploded").touch, ())

    (small_cifar / "data_batch_2").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CnnvizError, match="MD5"):
        data.load("cifar10")
    assert not (small_cifar / "exploded").exists()


def test_missing_cifar10_without_a_network_says_how_to_get_it(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(CnnvizError, match="python -m cnnviz data cifar10"):
        data.load("cifar10")
    with pytest.raises(CnnvizError, match="not on this machine"):
        data.load("cifar10", download=False)
    assert not data.is_available("cifar10")


def test_digits_are_scikit_learns_1797_in_32_by_32():
    digits = data.load("digits")
    assert digits.train_images.shape == (1437, 3, 32, 32)
    assert digits.test_images.shape == (360, 3, 32, 32)
    assert digits.train_images.dtype == torch.uint8
    assert torch.bincount(digits.test_labels).min() >= 34  # stratified
    assert not digits.flips
    assert data.is_available("digits")


def test_no_digit_is_in_both_sets():
    digits = data.load("digits")
    train = {image.numpy().tobytes() for image in digits.train_images}
    assert not any(image.numpy().tobytes() in train for image in digits.test_images)


def test_statistics_equal_numpys():
    images = data.load("digits").train_images
    mean, std = data.channel_statistics(images)
    scaled = images.numpy() / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), atol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), atol=1e-12)


def test_grey_is_luma_and_grey_repeats(small_cifar):
    colour = data.load("cifar10")
    grey = colour.for_channels(1)
    expected = (
        colour.test_images.double()
        .mul(torch.tensor([0.299, 0.587, 0.114], dtype=torch.double).view(1, 3, 1, 1))
        .sum(1, keepdim=True)
    )
    assert (grey.test_images.double() - expected).abs().max() <= 0.51
    assert len(grey.mean) == 1
    assert torch.equal(grey.for_channels(3).test_images[:, 2], grey.test_images[:, 0])
    assert colour.for_channels(3) is colour
    with pytest.raises(CnnvizError, match="channels"):
        colour.for_channels(4)


def test_unknown_data_set():
    with pytest.raises(CnnvizError, match="cifar10, digits"):
        data.load("mnist")


def test_held_out_is_a_stratified_split_that_only_its_seed_moves():
    labels = torch.arange(1000) % 10
    train, held = data.held_out(labels, 100)
    assert len(train) == 900
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(1000))
    assert torch.bincount(labels[held]).tolist() == [10] * 10
    assert torch.equal(held, data.held_out(labels, 100)[1])
    assert not torch.equal(held, data.held_out(labels, 100, seed=1)[1])
    assert len(data.held_out(labels, 0)[1]) == 0
    with pytest.raises(CnnvizError, match="held out"):
        data.held_out(labels, 1000)
