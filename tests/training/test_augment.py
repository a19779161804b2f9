"""Augmentation, each operator against its definition."""

import pytest
import torch
from torchvision.transforms import functional as reference

from cnnviz.training import augment
from cnnviz.training.keyed import Draw


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(seed=0, count=64, rows=None):
    return Draw(source(seed), count, rows)


def numbered(count=64, channels=3, side=8):
    return torch.randint(0, 256, (count, channels, side, side), generator=source(9)).to(torch.uint8)


def test_each_crop_is_one_window_of_the_padded_image():
    images = numbered(side=6)
    cropped = augment.random_crop(images, 2, draw())
    windows_seen = set()
    for before, after in zip(images, cropped, strict=True):
        padded = torch.nn.functional.pad(before, (2, 2, 2, 2))
        windows = {
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(padded[:, top : top + 6, left : left + 6], after)
        }
        assert windows
        windows_seen |= windows
    assert len(windows_seen) > 15  # of 25: the shifts do vary


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_a_window_is_the_very_pixels_at_its_corner(kind):
    images = torch.randint(0, 256, (9, 3, 10, 12), generator=source(3)).to(kind)
    rows = torch.randint(0, 5, (9,), generator=source(4))
    columns = torch.randint(0, 6, (9,), generator=source(5))
    cut = augment._windows(images, torch.stack([rows, columns]), (6, 7))
    assert cut.shape == (9, 3, 6, 7)
    for image, row, column, window in zip(images, rows, columns, cut, strict=True):
        assert torch.equal(window, image[:, row : row + 6, column : column + 7])


def test_no_padding_crops_nothing():
    images = numbered()
    assert torch.equal(augment.random_crop(images, 0, draw()), images)


def test_crop_and_flip_repeat_with_their_generator():
    images = numbered()
    assert torch.equal(
        augment.random_crop(images, 4, draw(5)), augment.random_crop(images, 4, draw(5))
    )
    assert not torch.equal(
        augment.random_crop(images, 4, draw(5)), augment.random_crop(images, 4, draw(6))
    )


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_others():
    images = numbered(400)
    flipped = augment.random_flip(images, draw(count=400))
    mirrored = [
        torch.equal(after, reference.hflip(before))
        for before, after in zip(images, flipped, strict=True)
    ]
    kept = [torch.equal(a, b) for a, b in zip(images, flipped, strict=True)]
    assert all(m or k for m, k in zip(mirrored, kept, strict=True))
    assert 150 < sum(mirrored) < 250


def test_cutout_erases_one_square_and_nothing_else():
    images = torch.ones(200, 2, 16, 16)
    holes = augment.cutout(images, 6, draw(count=200)) == 0
    areas = holes[:, 0].flatten(1).sum(1)
    assert torch.equal(holes[:, 0], holes[:, 1])
    assert areas.max() == 36
    assert areas.min() >= 9  # at a corner a quarter is left
    for hole in holes[:, 0]:
        rows, columns = hole.any(1).sum(), hole.any(0).sum()
        assert rows * columns == hole.sum()


def test_normalise_agrees_with_torchvision():
    images = numbered()
    mean, std = (0.49, 0.48, 0.44), (0.24, 0.23, 0.26)
    expected = reference.normalize(images.float() / 255, list(mean), list(std))
    torch.testing.assert_close(augment.normalise(images, mean, std), expected, atol=1e-5, rtol=0)


def test_resize_to_the_same_size_is_the_same_tensor():
    images = torch.rand(2, 3, 8, 8)
    assert augment.resize(images, (8, 8)) is images
    assert augment.resize(images, (5, 4)).shape == (2, 3, 5, 4)


def test_a_part_of_a_batch_is_augmented_as_it_is_in_the_whole():
    images = numbered()
    rows = torch.tensor([3, 5, 40, 63])

    def augmented(batch, drawn):
        batch = augment.random_flip(augment.random_crop(batch, 3, drawn), drawn)
        batch = augment.random_window(batch.float(), (6, 5), drawn)
        return augment.cutout(batch, 3, drawn)

    whole = augmented(images, draw(4))
    assert torch.equal(augmented(images[rows], draw(4, rows=rows)), whole[rows])


def test_each_window_is_one_of_the_image_and_all_places_occur():
    images = numbered(400, side=6).float()
    windows = augment.random_window(images, (4, 5), draw(count=400))
    assert windows.shape == (400, 3, 4, 5)
    places = {
        next(
            (top, left)
            for top in range(3)
            for left in range(2)
            if torch.equal(before[:, top : top + 4, left : left + 5], after)
        )
        for before, after in zip(images, windows, strict=True)
    }
    assert len(places) == 6


def test_evaluation_sees_the_middle_as_torchvision_cuts_it():
    images = numbered(4).float()
    enlarged = reference.resize(images, [11, 11], antialias=True)
    expected = reference.center_crop(enlarged, [9, 9])
    torch.testing.assert_close(augment.fit(images, (9, 9), 11), expected)
    assert augment.fit(images, (9, 9)).shape[2:] == (9, 9)


def test_constants_made_where_no_gradients_are_serve_where_some_are():
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    with torch.inference_mode():
        augment.normalise(numbered(2), mean, std)
    weight = torch.ones(3, 3, 1, 1, requires_grad=True)
    torch.nn.functional.conv2d(augment.normalise(numbered(2), mean, std), weight).sum().backward()
    assert weight.grad is not None
