"""Photo crops: deterministic pieces of installed photos, kept once made."""

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz.errors import CnnvizError
from cnnviz.settings import data_dir
from cnnviz.training import data, photos
from cnnviz.training.photos import PHOTOS, photo_crops
from cnnviz.training.recipe import default_recipe


def kept():
    return sorted(data_dir().glob("photo-crops-*.npz"))


def test_the_crops_are_the_same_each_time_and_made_once(monkeypatch):
    images, labels, names = photo_crops(data_dir())
    (file,) = kept()
    assert images.shape == (2_000, 3, 32, 32)
    assert images.dtype == np.uint8
    assert labels[:13].tolist() == [*range(12), 0]
    assert names == tuple(PHOTOS)
    file.unlink()
    again, _, _ = photo_crops(data_dir())
    assert np.array_equal(images, again)
    monkeypatch.setattr(photos, "_cut", pytest.fail)
    from_disk, _, _ = photo_crops(data_dir())
    assert np.array_equal(images, from_disk)


@pytest.mark.parametrize("content", [b"", b"PK torn", None])
def test_a_damaged_file_is_made_anew(content):
    images, _, _ = photo_crops(data_dir())
    (file,) = kept()
    file.write_bytes(file.read_bytes()[:-5000] if content is None else content)
    again, _, _ = photo_crops(data_dir())
    assert np.array_equal(images, again)
    with np.load(file) as mended:
        assert np.array_equal(mended["images"], images)


def test_where_nothing_can_be_kept_they_are_made_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    images, _, _ = photo_crops(tmp_path / "file")
    assert len(images) == 2_000


def test_a_crop_is_a_square_of_its_photo(monkeypatch):
    """A photo of one slope: all that is cut out of it rises from left to right, or mirrored."""
    slope = np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (200, 1, 3))
    images, _ = photos._cut([slope])
    rows = images[:, 0, 16].astype(int)
    rises = rows[:, -1] - rows[:, 0]
    sides = np.abs(rises) * 300 / 255 * 32 / 31
    assert sides.min() == pytest.approx(photos._SMALLEST, abs=4)
    assert sides.max() == pytest.approx(200, abs=4)
    assert 0.4 < (rises > 0).mean() < 0.6
    assert np.ptp(images.astype(int), axis=2).max() <= 1  # no row differs from another


def test_without_the_photos_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(photos, "PHOTOS", {"cat": ("skimage", "data/nothing.png")})
    with pytest.raises(CnnvizError, match="requirements"):
        photo_crops(tmp_path)


def test_every_photo_is_installed():
    for package, file in PHOTOS.values():
        with Image.open(photos._files()[next(k for k, v in PHOTOS.items() if v[1] == file)]) as one:
            assert min(one.size) >= 200, (package, file)


def test_they_are_a_data_set_to_look_at_and_not_to_train_on():
    found = data.load("photos", download=False)
    assert (len(found.train_images), len(found.test_images)) == (0, 2_000)
    assert found.test_images.float().std() > 40  # photos, not a grey nothing
    grey = found.for_channels(1)
    assert grey.test_images.shape == (2_000, 1, 32, 32)
    assert torch.isfinite(torch.tensor(grey.mean + grey.std)).all()
    with pytest.raises(CnnvizError, match="no data set 'photos'"):
        default_recipe("lenet5_cifar", "photos")


def test_digits_are_shown_to_networks_of_digits_alone(monkeypatch):
    assert data.shown_dataset("digits") == "digits"
    for trained_on in ("cifar10", "imagenet", ""):
        assert data.shown_dataset(trained_on) == "photos"
    monkeypatch.setattr(data, "is_available", lambda name: True)
    for trained_on in ("cifar10", "imagenet", ""):
        assert data.shown_dataset(trained_on) == "cifar10"
