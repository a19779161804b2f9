"""Pictures: safe decoding of what users upload, the sample photos, cropping and encoding.

An upload is bytes from a stranger. It is identified by its content and never by its name, its
size is checked before its pixels are unpacked, and only the pixels are kept.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import struct
import threading
import unicodedata
import warnings
import zlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features

from cnnviz.errors import CnnvizError
from cnnviz.picture_files import PICTURES, bare_png, is_avif, is_heif, other_kind

Pixels = NDArray[np.uint8]

#: Largest upload, in bytes: phones' largest JPEGs have about 25 MB.
BYTE_LIMIT = 40 * 2**20
#: Most pixels and longest side. Phones make 50 million; Pillow unpacks them to four bytes each.
PIXEL_LIMIT = 64_000_000
SIDE_LIMIT = 16_384
#: A photo is kept at a shorter side of about this many pixels, and at no more pixels than those.
KEPT_SIDE, KEPT_PIXELS = 1024, 8_000_000
#: Below this side, in pixels, a photo shows too little to be recognised.
SMALL_SIDE = 16
#: Said beside an uploader.
LIMITS = f"up to {BYTE_LIMIT // 2**20} MB and {PIXEL_LIMIT // 10**6} million pixels"

_READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
#: The formats that are read, in words.
FORMATS = "PNG, JPEG, WebP, GIF, BMP or AVIF"

# Pictures of more pixels are unpacked one after the other, so that many visitors' photos need no
# more memory than one; smaller ones take at most 32 MB each.
_LARGE = 8_000_000
_one_large = threading.Lock()
# Rows that are brought to RGB at a time, where a picture is reduced.
_BAND = 512

# What Pillow raises on damaged files, beside its own UnidentifiedImageError (an OSError).
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
)

# Pillow only warns of a picture of 90 to 180 million pixels. Set once, because a filter within
# `decode` would not be safe between threads.
warnings.simplefilter("error", Image.DecompressionBombWarning)

# Of the ten classes of CIFAR-10 scikit-image and scikit-learn ship a photo of the cat alone; their
# horse is a silhouette. The others are what those classes do not have.
_SAMPLES = {
    "cat": "chelsea.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
    "astronaut": "astronaut.png",
    "coffee": "coffee.png",
}

# EXIF tag 274 -> how to turn the stored picture upright (EXIF 2.32, section 4.6.4).
_ORIENTATION = 274
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture: upright RGB `pixels`, uint8 (H, W, 3), read-only.

    `notes` says, one clause each, what a user should know of how it was read.
    """

    pixels: Pixels
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


def display_name(name: str) -> str:
    """Return a user's file name as it can be shown anywhere: HTML, Markdown or a terminal.

    Everything but letters, digits, spaces and `._-()` becomes `_`, and 60 characters are kept.
    """
    clean = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in name).strip()
    return clean if len(clean) <= 60 else f"{clean[:59]}…"


def decode(data: bytes, name: str = "") -> Photo:
    """Decode an uploaded picture (PNG, JPEG, WebP, GIF, BMP or AVIF, whatever its name says).

    HEIC is read where pillow-heif is installed. EXIF orientation is applied, transparency is laid
    on white, 16-bit grey is divided by 257, of an animation the first frame is taken, and a photo
    of `KEPT_SIDE` twice or more is reduced. Raises `CnnvizError` if the file is no such picture,
    damaged or too large.
    """
    shown = display_name(name) or "The file"
    _check_file(data, shown)
    damaged = f"{shown} is damaged: choose another file or save it again."
    try:
        if data.startswith(PICTURES[0]):
            data = bare_png(data)
        formats = ("HEIF",) if is_heif(data) else _READ
        with Image.open(io.BytesIO(data), formats=formats) as image:
            _check_size(image, shown)
            large = image.width * image.height > _LARGE
            with _one_large if large else nullcontext():
                photo = _unpack(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(shown) from error
    except UnidentifiedImageError as error:
        begins_well = data.startswith(PICTURES) or is_avif(data) or is_heif(data)
        raise (CnnvizError(damaged) if begins_well else _not_a_picture(shown)) from error
    except _DECODING_ERRORS as error:
        raise CnnvizError(damaged) from error
    return photo


def _unpack(image: Image.Image) -> Photo:
    width, height = image.size
    notes = []
    factor = _factor(width, height)
    if factor > 1 and hasattr(image, "draft"):
        # JPEG is unpacked at a half, a quarter or an eighth at once, others as they are.
        image.draft(None, (width // factor, height // factor))
        factor = _factor(*image.size)
    image.load()
    if image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False):
        notes.append("the animation's first frame is used")
    rgb, transparent = _to_rgb(image) if factor == 1 else _reduced(image, factor)
    if transparent:
        notes.append("transparent parts are shown on white")
    if min(width, height) < SMALL_SIDE:
        notes.append(f"{_smallness(width, height)}, so the answers mean little")
    pixels = np.array(_upright(rgb, image))
    pixels.setflags(write=False)
    return Photo(pixels, tuple(notes))


def _factor(width: int, height: int) -> int:
    """By how much a picture is reduced, each way; 1: not at all."""
    many = math.ceil(math.sqrt(width * height / KEPT_PIXELS))
    return max(1, min(width, height) // KEPT_SIDE, many)


def _smallness(width: int, height: int) -> str:
    if max(width, height) < SMALL_SIDE:
        return f"it has only {width} × {height} pixels"
    short = min(width, height)
    noun = "pixel" if short == 1 else "pixels"
    return f"its shorter side has only {short} {noun} ({width:,} × {height:,})"


def _check_file(data: bytes, shown: str) -> None:
    if not data:
        raise CnnvizError(f"{shown} is empty: choose a photo.")
    other = other_kind(data)
    if other is not None:
        kind, advice = other
        raise CnnvizError(f"{shown} is {kind} and not a {FORMATS} picture: {advice}.")
    if len(data) > BYTE_LIMIT:
        raise CnnvizError(
            f"{shown} has {len(data) / 2**20:.1f} MB and the limit is {BYTE_LIMIT // 2**20} MB: "
            "save it smaller, or with a lower quality."
        )
    if is_heif(data) and not can_read_heic():
        raise CnnvizError(
            f"{shown} is a HEIC picture, which cannot be read here: save it as JPEG, or install "
            "pillow-heif where this app runs."
        )
    if is_avif(data) and not features.check("avif"):
        raise CnnvizError(f"{shown} is an AVIF picture, which cannot be read: save it as JPEG.")


def can_read_heic() -> bool:
    """Tell whether pillow-heif is installed, and let Pillow read HEIC by it if so."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    importlib.import_module("pillow_heif").register_heif_opener()
    return True


def _check_size(image: Image.Image, shown: str) -> None:
    width, height = image.size
    if width * height > PIXEL_LIMIT or max(width, height) > SIDE_LIMIT:
        raise _too_large(shown, f" of {width:,} × {height:,} pixels")


def _too_large(shown: str, size: str = "") -> CnnvizError:
    return CnnvizError(
        f"{shown} is a picture{size}, which is too large: {PIXEL_LIMIT // 10**6} million pixels "
        f"and {SIDE_LIMIT:,} a side are the limits; make it smaller."
    )


def _not_a_picture(shown: str) -> CnnvizError:
    return CnnvizError(
        f"{shown} is not a {FORMATS} picture: choose a photo in one of these formats."
    )


def _reduced(image: Image.Image, factor: int) -> tuple[Image.Image, bool]:
    """Return what `_to_rgb` does, each pixel the mean of `factor` × `factor`.

    Some rows at a time, so that no second copy of the whole picture is made.
    """
    width, height = image.size
    small = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
    rows, transparent = max(1, _BAND // factor) * factor, False
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        rgb, hidden = _to_rgb(band)
        small.paste(rgb.reduce(factor), (0, top // factor))
        transparent = transparent or hidden
    return small, transparent


def _to_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the picture as RGB, and whether transparent parts were laid on white."""
    if image.mode.startswith("I"):  # 16-bit grey; convert() would clip it at 255
        return _deep_grey_to_rgb(image)
    hidden = image.info.get("transparency")
    if isinstance(hidden, tuple) and max(hidden) > 255:
        # 16-bit RGB is read as its high bytes, and so must be the colour that is transparent.
        image.info["transparency"] = tuple(value >> 8 for value in hidden)
    if not image.has_transparency_data:
        return image.convert("RGB"), False
    layer = image.convert("RGBA")
    opaque = layer.getchannel("A").getextrema() == (255, 255)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB"), not opaque


def _deep_grey_to_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    values = np.asarray(image).astype(np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255
    hidden = values == image.info.get("transparency", -1)
    grey[hidden] = 255
    return Image.fromarray(grey).convert("RGB"), bool(hidden.any())


def _upright(rgb: Image.Image, source: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(source.getexif().get(_ORIENTATION, 1))
    except _DECODING_ERRORS:  # a damaged EXIF block does not spoil the pixels
        return rgb
    return rgb if turn is None else rgb.transpose(turn)


def sample_photos() -> dict[str, bytes]:
    """Return the photos that scikit-image ships, as files, by what they show. No network."""
    # Found without importing scikit-image, which would import SciPy.
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise CnnvizError("scikit-image is not installed: run pip install -r requirements.txt.")
    folder = Path(package.origin).parent / "data"
    paths = {title: folder / filename for title, filename in _SAMPLES.items()}
    return {title: path.read_bytes() for title, path in paths.items() if path.is_file()}


def square(pixels: Pixels) -> Pixels:
    """Return the largest square in the middle of `pixels` (H, W) or (H, W, C)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def enlarge(pixels: Pixels, factor: int) -> Pixels:
    """Return `pixels` (H, W) or (H, W, C) with each pixel as a block of `factor` × `factor`."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def caption_text(text: str) -> str:
    """Return `text` in the signs that Pillow's built-in font has, for words drawn into a PNG.

    It has ASCII, “·” and curved quotes, and draws an empty box for all else.
    """
    known = text.translate(str.maketrans("×−–—≈", "x---~"))
    parts = (c if c in "·“”" else unicodedata.normalize("NFKD", c) for c in known)
    return "".join(c for c in "".join(parts) if c.isascii() or c in "·“”")


def encode_png(pixels: Pixels, *, quick: bool = False) -> bytes:
    """Return uint8 `pixels` as PNG: grey (H, W) or (H, W, 1), RGB (H, W, 3), RGBA (H, W, 4).

    `quick` packs less tightly, for a large photo. Raises `ValueError` for another type or shape.
    """
    if pixels.dtype != np.uint8:
        raise ValueError(f"a PNG is made of uint8, not {pixels.dtype}")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] not in (3, 4)):
        raise ValueError(f"a PNG cannot be made of an array of shape {pixels.shape}")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1 if quick else 6)
    return buffer.getvalue()
