"""One's own pictures as a data set."""

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz.errors import CnnvizError
from cnnviz.images import decode
from cnnviz.networks.subjects import random_subject
from cnnviz.prediction import prepare
from cnnviz.registry import get
from cnnviz.sight.units import image_folder
from cnnviz.sight.units.image_folder import folder_images


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for name, size in (("b.png", (40, 60)), ("a.jpg", (64, 33)), ("in/c.webp", (20, 20))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def test_pictures_come_in_the_order_of_their_paths_as_networks_take_photos(folder):
    images = folder_images(folder, (32, 32))
    assert (images.dtype, tuple(images.shape)) == (torch.uint8, (3, 3, 32, 32))
    subject = random_subject(get("vgg11_cifar"))
    for image, name in zip(images, ("a.jpg", "b.png", "in/c.webp"), strict=True):
        seen = prepare(decode((folder / name).read_bytes()), subject).seen
        assert np.abs(image.numpy().transpose(1, 2, 0).astype(int) - seen).max() <= 1, name


def test_grey_is_luma(folder):
    grey = folder_images(folder, (32, 32), channels=1)
    red, green, blue = folder_images(folder, (32, 32)).float().unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert grey.shape == (3, 1, 32, 32)
    assert (grey[:, 0] - luma).abs().max() <= 1


def test_broken_files_are_named_and_left_out(folder):
    (folder / "aa.png").write_bytes((folder / "b.png").read_bytes()[:200])
    (folder / "ab.gif").write_bytes(b"")
    said, steps = [], []
    images = folder_images(
        folder, (8, 8), skipped=said.append, progress=lambda *done: steps.append(done)
    )
    assert len(images) == 3
    assert [sentence.split()[0] for sentence in said] == ["aa.png", "ab.gif"]
    assert steps[-1] == (5, 5)


def test_folders_without_pictures_are_refused(tmp_path, folder):
    with pytest.raises(CnnvizError, match="no folder"):
        folder_images(tmp_path / "nowhere", (8, 8))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CnnvizError, match="it has none"):
        folder_images(empty, (8, 8))
    (empty / "x.png").write_bytes(b"x")
    with pytest.raises(CnnvizError, match="1 but none can be read"):
        folder_images(empty, (8, 8))


def test_more_than_memory_should_hold_is_refused(folder, monkeypatch):
    monkeypatch.setattr(image_folder, "MEMORY_LIMIT", 2 * 3 * 8 * 8)
    with pytest.raises(CnnvizError, match="3 pictures and 2 of this size are the limit"):
        folder_images(folder, (8, 8))
