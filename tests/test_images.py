"""Uploads from strangers: what is read, how, and what is refused before it can do harm."""

import importlib.machinery
import io
import pickle
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import types
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from cnnviz import images
from cnnviz.errors import CnnvizError
from cnnviz.images import decode, display_name, encode_png, enlarge, sample_photos, square
from cnnviz.settings import ROOT


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, *extra):
    """A PNG written by hand, from its specification: `rows` are the filtered bytes."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width=64, height=48):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def smooth(width=64, height=48):
    """A picture that JPEG hardly changes: a ramp in each direction."""
    y, x = np.mgrid[0:height, 0:width]
    planes = np.stack([x * 255 // width, y * 255 // height, 0 * x + 90], axis=2)
    return Image.fromarray(planes.astype(np.uint8))


def refused(data, *words, name="photo.png"):
    with pytest.raises(CnnvizError) as caught:
        decode(data, name)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    for word in words:
        assert word in message
    return message


def run_script(script, *arguments):
    """Run Python code in a process of its own, where cnnviz can be imported."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)


# What is read


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP"])
def test_lossless_formats_give_the_exact_pixels(kind):
    image = noise() if kind != "GIF" else noise().quantize(200)
    photo = decode(encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert np.array_equal(photo.pixels, np.asarray(image.convert("RGB")))
    assert photo.size == (64, 48)
    assert photo.notes == ()


def test_a_jpeg_named_png_is_read_by_its_content():
    photo = decode(encoded(smooth(), "JPEG", quality=95), "photo.png")
    assert np.abs(photo.pixels.astype(int) - np.asarray(smooth())).mean() < 3


def test_pixels_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        decode(encoded(noise(), "PNG")).pixels[0, 0, 0] = 1


def test_one_pixel_is_read_with_a_warning():
    photo = decode(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"))
    assert photo.pixels.tolist() == [[[1, 2, 3]]]
    assert photo.notes == ("it has only 1 × 1 pixels, so the answers mean little",)


@pytest.mark.parametrize(("width", "height"), [(4000, 10), (10, 4000)])
def test_a_thin_strip_is_not_said_to_have_few_pixels(width, height):
    (note,) = decode(encoded(Image.new("L", (width, height)), "PNG")).notes
    assert note.startswith("its shorter side has only 10 pixels (")
    assert f"{width:,} × {height:,}" in note


def test_cmyk_is_converted():
    ink = Image.new("CMYK", (32, 32), (0, 255, 255, 0))  # magenta and yellow ink: red
    red, green, blue = decode(encoded(ink, "JPEG", quality=95)).pixels.mean((0, 1))
    assert red > 225
    assert green < 60
    assert blue < 60


def test_16_bit_grey_is_divided_by_257():
    values = np.array([[0, 128, 257 * 7, 40_000, 65_407, 65_535]], dtype=np.uint16)
    photo = decode(encoded(Image.fromarray(values), "PNG"))
    assert photo.pixels[0, :, 1].tolist() == [round(v / 257) for v in values[0].tolist()]


def test_16_bit_grey_hides_its_transparent_value():
    rows = b"\0" + struct.pack(">2H", 0x1234, 0x8080)
    photo = decode(png(2, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 0x1234))))
    assert photo.pixels[0, :, 0].tolist() == [255, 128]


def test_16_bit_colour_hides_its_transparent_value():
    rows = b"\0" + struct.pack(">6H", 0x1234, 0x1234, 0x1234, 0xFFFF, 0, 0)
    photo = decode(png(2, 1, 16, 2, rows, chunk(b"tRNS", struct.pack(">3H", *(0x1234,) * 3))))
    assert photo.pixels.tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_transparent_parts_are_laid_on_white():
    image = Image.new("RGBA", (32, 32), (200, 0, 0, 255))
    image.putpixel((0, 0), (10, 20, 30, 0))  # a colour that plain conversion would show
    image.putpixel((1, 0), (0, 0, 0, 128))
    photo = decode(encoded(image, "PNG"))
    assert photo.pixels[0, 0].tolist() == [255, 255, 255]
    assert photo.pixels[0, 1].tolist() == [127, 127, 127]
    assert photo.pixels[1, 0].tolist() == [200, 0, 0]
    assert photo.notes == ("transparent parts are shown on white",)


def test_an_opaque_alpha_channel_is_no_news():
    photo = decode(encoded(noise().convert("RGBA"), "PNG"))
    assert np.array_equal(photo.pixels, np.asarray(noise()))
    assert photo.notes == ()


@pytest.mark.parametrize("alpha", [0, b"\x00\xff"])
def test_a_transparent_palette_entry_is_laid_on_white(alpha):
    image = Image.new("P", (32, 32), 1)
    image.putpalette([10, 20, 30, 0, 200, 0])
    image.putpixel((0, 0), 0)
    photo = decode(encoded(image, "PNG", transparency=alpha))
    assert photo.pixels[0, 0].tolist() == [255, 255, 255]
    assert photo.pixels[0, 1].tolist() == [0, 200, 0]


def test_grey_with_alpha_is_laid_on_white():
    image = Image.new("LA", (32, 32), (40, 255))
    image.putpixel((0, 0), (40, 0))
    photo = decode(encoded(image, "PNG"))
    assert photo.pixels[0, :2, 2].tolist() == [255, 40]


def test_one_bit_is_spread_to_the_full_range():
    image = Image.new("1", (32, 32), 0)
    image.putpixel((1, 0), 1)
    assert decode(encoded(image, "PNG")).pixels[0, :2].tolist() == [[0] * 3, [255] * 3]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_used_and_said(kind):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    photo = decode(data)
    assert photo.pixels[5, 5].tolist() == [255, 0, 0]
    assert photo.notes == ("the animation's first frame is used",)


def test_a_phone_photo_with_a_preview_is_no_animation():
    data = encoded(smooth(), "MPO", save_all=True, append_images=[smooth(32, 32)])
    photo = decode(data)
    assert photo.size == (64, 48)
    assert photo.notes == ()


# EXIF 2.32 table 6: where the stored first row and first column belong. The red corner is stored
# at the top left of a 20 × 30 picture.
@pytest.mark.parametrize(
    ("orientation", "corner", "size"),
    [
        (1, (0, 0), (20, 30)),
        (2, (0, -1), (20, 30)),
        (3, (-1, -1), (20, 30)),
        (4, (-1, 0), (20, 30)),
        (5, (0, 0), (30, 20)),
        (6, (0, -1), (30, 20)),
        (7, (-1, -1), (30, 20)),
        (8, (-1, 0), (30, 20)),
        (9, (0, 0), (20, 30)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(kind, orientation, corner, size):
    image = Image.new("RGB", (20, 30), "white")
    image.paste("red", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[274] = orientation
    photo = decode(encoded(image, kind, exif=exif.tobytes()))
    assert photo.size == size
    assert photo.pixels[corner][0] > 200
    assert photo.pixels[corner][1] < 60
    assert photo.pixels[15, 10].min() > 200


def test_a_damaged_exif_block_does_not_spoil_the_photo():
    data = encoded(smooth(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert decode(data).size == (64, 48)


def test_a_zip_behind_a_picture_is_dropped():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("payload.py", "print('hello')")
    data = encoded(noise(), "PNG") + archive.getvalue()
    assert zipfile.is_zipfile(io.BytesIO(data))
    again = encode_png(decode(data).pixels)
    assert not zipfile.is_zipfile(io.BytesIO(again))
    assert b"payload" not in again


# What is refused


def test_an_empty_file_is_refused():
    refused(b"", "photo.png is empty")


@pytest.mark.parametrize(
    "data",
    [
        b"this is a text, whatever its name says",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        pickle.dumps({"weights": [1, 2, 3]}),
        b"%PDF-1.7\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"BM",
        b"\0" * 1000,
    ],
)
def test_what_is_no_picture_is_refused(data):
    message = refused(data, "photo.png")
    assert "not a PNG, JPEG, WebP, GIF, BMP or AVIF" in message or "damaged" in message


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "PCX", "TGA"])
def test_other_formats_of_pillow_are_refused(kind):
    refused(encoded(noise(), kind), "not a PNG")


def film(brand, *compatible):
    """The first box of an ISO base media file, and no more."""
    brands = brand + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0" * 100


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"hevc"])
def test_heic_is_refused_with_advice_where_nothing_reads_it(brand, monkeypatch):
    monkeypatch.setattr(images, "can_read_heic", lambda: False)
    refused(film(brand, b"mif1"), "HEIC", "save it as JPEG", "pillow-heif", name="IMG_1.heic")


def test_heic_is_read_where_pillow_heif_is_installed(monkeypatch):
    """Pillow calls a plugin by its format; one that reads a small picture stands for it here."""

    class Plugin(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._mode, self._size = "L", (64, 48)
            self.tile = [ImageFile._Tile("raw", (0, 0, 64, 48), 28, ("L", 0, 1))]

    module = types.ModuleType("pillow_heif")
    module.__spec__ = importlib.machinery.ModuleSpec("pillow_heif", None)
    module.register_heif_opener = lambda: Image.register_open(
        "HEIF", Plugin, lambda start: start[4:8] == b"ftyp"
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    for registered in (Image.OPEN, Image.ID):
        monkeypatch.setattr(Image, "OPEN" if registered is Image.OPEN else "ID", registered.copy())
    data = film(b"heic", b"mif1", b"heic")[:28] + b"\x07" * (64 * 48)
    photo = decode(data, "IMG_1.heic")
    assert photo.size == (64, 48)
    assert (photo.pixels == 7).all()
    refused(data[:500], "damaged", name="IMG_1.heic")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (film(b"isom", b"iso2", b"avc1", b"mp41"), "a film"),
        (film(b"qt  "), "a film"),
        (film(b"3gp4"), "a film"),
        (film(b"M4A ", b"mp42", b"isom"), "a sound file"),
        (b"ID3\x04" + b"\0" * 100, "a sound file"),
        (b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 100, "a sound file"),
        (b"RIFF\x24\0\0\0AVI LIST" + b"\0" * 100, "a film"),
        (b"\x1aE\xdf\xa3" + b"\0" * 100, "a film"),
        (encoded(noise(), "TIFF"), "a TIFF picture"),
    ],
)
def test_a_film_a_sound_and_a_tiff_are_called_what_they_are(data, kind):
    message = refused(data, f"photo.jpg is {kind} and not a PNG", name="photo.jpg")
    assert "HEIC" not in message
    assert "choose a photo" in message or "save it as JPEG" in message


def test_a_large_film_is_called_a_film():
    refused(film(b"isom") + b"\0" * images.BYTE_LIMIT, "is a film", name="IMG_2.mov")


def test_avif_is_read():
    photo = decode(encoded(smooth(), "AVIF", quality=95), "IMG_3.avif")
    assert photo.size == (64, 48)
    assert np.abs(photo.pixels.astype(int) - np.asarray(smooth())).mean() < 3
    refused(encoded(noise(), "AVIF")[:900], "damaged")


# Phones' photos


def test_a_photo_of_48_megapixels_is_read_smaller_in_bounded_memory():
    """As JPEG, PNG and 16-bit grey; what a process took at its most, in one of its own."""
    script = (
        "import io, resource, sys\n"
        "import numpy as np\n"
        "from PIL import Image\n"
        "from cnnviz.images import decode\n"
        "def most():\n    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "decode(open(sys.argv[1], 'rb').read()); decode(open(sys.argv[2], 'rb').read())\n"
        "before = most()\n"
        "photo = decode(open(sys.argv[3], 'rb').read())\n"
        "print(photo.size, photo.pixels.mean(), most() - before)\n"
    )
    ramp = (np.arange(6048 * 8064, dtype=np.uint32) // 8064 * 255 // 6047).astype(np.uint8)
    whole = Image.fromarray(ramp.reshape(6048, 8064))
    found = {}
    for kind, image in {
        "JPEG": whole.convert("RGB"),
        "PNG": whole.convert("P"),
        "deep": Image.fromarray(np.asarray(whole).astype(np.uint16) * 257),
    }.items():
        found[kind] = read_in_a_process(script, image, "JPEG" if kind == "JPEG" else "PNG")
    for size, mean, growth in found.values():
        assert min(size) >= 1024
        assert max(size) <= 2100
        assert mean == pytest.approx(127.5, abs=1)
        assert growth < 140_000  # kB; 48 million pixels as RGB are 193,000 in Pillow
    assert found["JPEG"][2] < 40_000  # unpacked at a quarter of each side


def read_in_a_process(script, image, kind):
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}" for name in ("a", "b", "c")]
        for path, small in zip(paths, (smooth(), noise(), image), strict=True):
            small.save(path, kind)
        printed = run_script(script, *paths).stdout
    width, height, mean, growth = printed.replace("(", "").replace(")", "").replace(",", "").split()
    return (int(width), int(height)), float(mean), int(growth)


def test_the_reduced_photo_is_the_mean_of_its_blocks():
    tall = np.random.default_rng(0).integers(0, 256, (2600, 2100, 3), dtype=np.uint8)
    photo = decode(encoded(Image.fromarray(tall), "PNG"))
    assert photo.size == (1050, 1300)
    means = tall.reshape(1300, 2, 1050, 2, 3).mean((1, 3))
    assert np.abs(photo.pixels - means).max() <= 1


def test_a_strip_keeps_its_shorter_side():
    assert decode(encoded(Image.new("L", (6000, 400)), "PNG")).size == (6000, 400)


def test_a_reduced_photo_keeps_transparency_and_orientation():
    layer = Image.new("RGBA", (4200, 2100), (200, 0, 0, 255))
    layer.paste((0, 200, 0, 0), (0, 1050, 4200, 2100))
    exif = Image.Exif()
    exif[274] = 6
    photo = decode(encoded(layer, "PNG", exif=exif.tobytes(), compress_level=1))
    assert photo.size == (1050, 2100)
    assert any("transparent" in note for note in photo.notes)
    assert photo.pixels[1000, -1].tolist() == [200, 0, 0]
    assert photo.pixels[1000, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_large_metadata_does_not_spoil_a_sound_picture(kind):
    profile = np.random.default_rng(0).bytes(3_000_000)  # larger than Pillow lets a PNG have
    described = b"<x:xmpmeta>" + b"a" * (60_000 if kind == "JPEG" else 3_000_000)
    options = {"icc_profile": profile, "xmp": described}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", described.decode(), zip=True)
        options = {"icc_profile": profile, "pnginfo": text}
    options |= {"lossless": True} if kind == "WEBP" else {"quality": 95}
    photo = decode(encoded(smooth(), kind, **options))
    assert np.abs(photo.pixels.astype(int) - np.asarray(smooth())).mean() < 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_part_of_a_file_is_refused(kind, part):
    data = encoded(noise(), kind)
    refused(data[: int(len(data) * part)], "damaged")


def chunk_starts(data):
    position, starts = 8, []
    while position < len(data):
        starts.append(position)
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return starts


def test_a_flipped_bit_in_any_checksum_of_a_png_is_refused():
    data = encoded(noise(), "PNG")
    starts = chunk_starts(data)
    assert len(starts) >= 3
    for start in starts:
        length = int.from_bytes(data[start : start + 4], "big")
        changed = bytearray(data)
        changed[start + 8 + length] ^= 1
        refused(bytes(changed), "damaged")


def test_a_flipped_bit_in_the_pixels_of_a_png_is_refused():
    data = bytearray(encoded(noise(), "PNG"))
    data[len(data) // 2] ^= 4
    refused(bytes(data), "damaged")


def claims(width, height):
    """A PNG that claims a size; its pixels are a few zeros that unpack to whatever is asked."""
    return png(width, height, 8, 2, b"\0" * 1000)


@pytest.mark.parametrize(
    ("width", "height"),
    [(20_000, 20_000), (12_000, 12_000), (9_000, 9_000), (8_001, 8_000), (2**31 - 1, 2**31 - 1)],
)
def test_too_many_pixels_are_refused_before_decoding(width, height):
    tracemalloc.start()
    try:
        refused(claims(width, height), "too large", "64 million pixels")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_real_bomb_is_refused_without_its_memory():
    """81 million black pixels in 80 kB; measured in a process of its own."""
    script = (
        "import io, resource, zlib, struct\n"
        "from PIL import Image\n"
        "from cnnviz.errors import CnnvizError\n"
        "from cnnviz.images import decode\n"
        "b = io.BytesIO(); Image.new('1', (9000, 9000)).save(b, 'PNG')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    decode(b.getvalue())\n"
        "except CnnvizError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    result = run_script(script)
    message, growth = result.stdout.strip().split("\n")
    assert "9,000 × 9,000" in message
    assert int(growth) < 20_000  # kB; the decoded picture would take 243,000


def test_too_long_a_side_is_refused():
    refused(claims(images.SIDE_LIMIT + 1, 1), "too large")


def test_pillows_warning_is_an_error_where_the_module_was_imported():
    """The filter holds in every thread; pytest keeps its own filters, hence another process."""
    script = (
        "import threading, warnings, cnnviz.images\n"
        "from PIL import Image\n"
        "def check():\n"
        "    try:\n        Image._decompression_bomb_check((12_000, 12_000))\n"
        "    except Image.DecompressionBombWarning:\n        print('refused')\n"
        "thread = threading.Thread(target=check); thread.start(); thread.join()\n"
    )
    result = run_script(script)
    assert result.stdout == "refused\n"


def test_a_text_chunk_that_unpacks_to_much_is_not_unpacked():
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 50_000_000))
    tracemalloc.start()
    try:
        assert decode(png(1, 1, 8, 0, b"\0\0", bomb)).size == (1, 1)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_too_many_bytes_are_refused():
    data = encoded(noise(), "PNG")
    padded = data + b"\0" * (images.BYTE_LIMIT - len(data))
    assert decode(padded).size == (64, 48)
    refused(padded + b"\0", "40 MB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_random_damage_is_read_or_refused_and_nothing_else(kind):
    data = encoded(noise(), kind)
    random = np.random.default_rng(1)
    for _ in range(60):
        changed = np.frombuffer(data, np.uint8).copy()
        spots = random.integers(0, min(len(changed), 400), 4)
        changed[spots] = random.integers(0, 256, 4)
        try:
            photo = decode(changed.tobytes())
        except CnnvizError:
            continue
        assert photo.pixels.shape[2] == 3


# Names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat photo (1).jpg", "cat photo (1).jpg"),
        ("Kätzchen_写真.png", "Kätzchen_写真.png"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\0b.png", "a_b.png"),
        ("<img src=x onerror=alert(1)>.png", "_img src_x onerror_alert(1)_.png"),
        ("![x](http://example.org/y).png", "__x_(http___example.org_y).png"),
        ("\x1b[31mred\n.png", "__31mred_.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("a" * 300 + ".png", "a" * 59 + "…"),
    ],
)
def test_names_are_shown_harmlessly(name, shown):
    assert display_name(name) == shown
    assert shown in refused(b"text", name=name)


def test_a_photo_without_a_name_is_called_the_file():
    refused(b"text", "The file is not a PNG", name="")


# Helpers


def test_sample_photos_are_read_from_the_package_and_decode():
    photos = sample_photos()
    assert list(photos) == list(images._SAMPLES)
    for title, data in photos.items():
        assert min(decode(data, title).size) >= 300
    assert decode(photos["cat"]).size == (451, 300)


def test_sample_photos_import_neither_scikit_image_nor_torch():
    script = (
        "import sys; from cnnviz.images import sample_photos; sample_photos()\n"
        "print([m for m in ('skimage', 'scipy', 'torch', 'streamlit') if m in sys.modules])"
    )
    result = run_script(script)
    assert result.stdout == "[]\n"


def test_square_is_the_middle():
    pixels = np.arange(5 * 8, dtype=np.uint8).reshape(5, 8)
    assert square(pixels).tolist() == pixels[:, 1:6].tolist()
    assert square(pixels.T).tolist() == pixels.T[1:6].tolist()
    assert square(np.zeros((4, 4, 3), np.uint8)).shape == (4, 4, 3)


def test_enlarge_repeats_pixels():
    assert enlarge(np.array([[1, 2]], np.uint8), 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert enlarge(np.zeros((2, 3, 3), np.uint8), 4).shape == (8, 12, 3)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_encode_png_keeps_every_value(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    again = np.asarray(Image.open(io.BytesIO(encode_png(pixels))))
    assert np.array_equal(again, pixels[:, :, 0] if shape[2:] == (1,) else pixels)


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8)])
def test_encode_png_refuses_other_arrays(array):
    with pytest.raises(ValueError, match="PNG"):
        encode_png(array)


def test_captions_use_only_signs_that_the_built_in_font_has():
    from PIL import ImageFont

    text = images.caption_text("café 3 × 3, −1.5 – “x” · ≈ 2 · 猫")
    assert text == "cafe 3 x 3, -1.5 - “x” · ~ 2 · "
    font = ImageFont.load_default(size=14)
    missing = bytes(font.getmask("\uffff"))
    assert not [c for c in text if bytes(font.getmask(c)) == missing]
