"""A visitor's own photos: what is kept of an upload, which is current, and the bounds."""

import io

import numpy as np
import pytest
from PIL import Image

from cnnviz.images import decode, encode_png, sample_photos
from cnnviz.ui.state import current_photo
from cnnviz.ui.state.current_photo import Own

CAT = sample_photos()["cat"]


def small(value):
    return encode_png(np.full((20, 20, 3), value, np.uint8))


def test_the_pixels_are_kept_and_nothing_else():
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[270] = "where I live"
    Image.open(io.BytesIO(CAT)).save(buffer, "JPEG", exif=exif)
    own = Own()
    own.take([("my <cat>.jpg", buffer.getvalue() + b"trailing")])
    (photo,) = own.photos.values()
    assert photo.name == "my _cat_.jpg"
    assert photo.data.startswith(b"\x89PNG")
    assert b"where I live" not in photo.data
    assert np.array_equal(decode(photo.data).pixels, decode(buffer.getvalue()).pixels)


def test_a_photo_of_a_phone_is_kept_small():
    buffer = io.BytesIO()
    Image.open(io.BytesIO(CAT)).resize((8064, 6048)).save(buffer, "JPEG")
    own = Own()
    own.take([("IMG_1.jpg", buffer.getvalue())])
    (photo,) = own.photos.values()
    assert max(decode(photo.data).size) <= 2100
    assert len(photo.data) < 8_000_000


def test_the_last_photo_taken_is_the_current_one_and_bad_files_spoil_no_other():
    own = Own()
    own.take([("a.png", small(1)), ("b.txt", b"x"), ("c.png", small(3)), ("d.png", b"")])
    assert [photo.name for photo in own.photos.values()] == ["a.png", "c.png"]
    assert own.photos[own.current].name == "c.png"
    assert [sentence.split()[0] for sentence in own.refused] == ["b.txt", "d.png"]
    assert not own.blocked


def test_an_upload_without_a_photo_blocks_until_something_is_chosen():
    own = Own()
    own.take([("a.png", small(1))])
    own.take([("b.txt", b"x")])
    assert own.blocked
    assert own.photos[own.current].name == "a.png"  # nothing is lost
    own.choose(None)
    assert (own.blocked, own.refused, own.current) == (False, [], None)
    own.take([("b.txt", b"x")])
    own.settle()
    assert not own.blocked
    own.take([("b.txt", b"x")])
    own.take([("c.png", small(2))])
    assert not own.blocked
    assert not own.refused


def test_dropping_the_last_photo_leads_to_the_sample():
    own = Own()
    own.take([("a.png", small(1)), ("b.png", small(2))])
    first, second = own.photos
    own.drop(second)
    assert own.current == first
    own.drop(first)
    assert own.current is None
    assert not own.photos
    own.drop(first)  # a second press before the page has run
    own.take([("c.png", small(3))])
    assert own.current not in (first, second)


def test_photos_are_bounded_in_number_and_bytes(monkeypatch):
    own = Own()
    own.take([(f"{value}.png", small(value)) for value in range(current_photo.MOST + 1)])
    assert len(own.photos) == current_photo.MOST
    assert "one photo too many" in own.refused[0]
    assert not own.blocked
    monkeypatch.setattr(current_photo, "MOST_BYTES", 1000)
    own = Own()
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    own.take([("small.png", small(1)), ("noise.png", encode_png(noise))])
    assert [photo.name for photo in own.photos.values()] == ["small.png"]
    assert own.refused[0].startswith("noise.png is too much beside your other photos")


@pytest.mark.parametrize("number", [99, None])
def test_choosing_what_is_not_there_is_the_sample(number):
    own = Own()
    own.take([("a.png", small(1))])
    own.choose(number)
    assert own.current is None
    assert own.photos
