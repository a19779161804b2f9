"""What a file is by its first bytes, and a PNG without all that is not its picture.

Names are not asked: a photo called .png may be a JPEG, and a film may be called .jpg.
"""

from __future__ import annotations

import zlib

#: Begin files that are pictures here, whole or damaged.
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")

_JPEG = "save it as JPEG"
_PHOTO = "choose a photo"
_STILL = "choose a photo, or a still picture of it"
# The first bytes of files that people take for photos -> what they are and what to do.
_OTHERS = (
    (b"II*\0", "a TIFF picture", _JPEG),
    (b"MM\0*", "a TIFF picture", _JPEG),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture", _JPEG),
    (b"\xff\x0a", "a JPEG XL picture", _JPEG),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _JPEG),
    (b"8BPS", "a Photoshop file", _JPEG),
    (b"%PDF", "a PDF document", "save its picture as JPEG"),
    (b"\x1aE\xdf\xa3", "a film", _STILL),
    (b"ID3", "a sound file", _PHOTO),
    (b"fLaC", "a sound file", _PHOTO),
    (b"OggS", "a sound file", _PHOTO),
    (b"PK\x03\x04", "an archive", "unpack it and choose a photo"),
)
# The brands by which ISO base media files say what they hold: pictures of HEIF, and the beginnings
# of those of sound. What else has brands is a film.
_HEIF = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_SOUND = (b"M4A", b"M4B", b"M4P", b"F4A", b"F4B", b"aax")


def is_avif(data: bytes) -> bool:
    """Tell whether a file says that it is an AVIF picture."""
    return bool(_AVIF & set(_brands(data)))


def is_heif(data: bytes) -> bool:
    """Tell whether a file says that it is a HEIF picture (HEIC, as iPhones save them)."""
    return not is_avif(data) and bool(_HEIF & set(_brands(data)))


def other_kind(data: bytes) -> tuple[str, str] | None:
    """Return what a file is, where it is known and no picture read here, and what to do."""
    brands = _brands(data)
    if brands:
        if is_avif(data) or is_heif(data):
            return None
        return ("a sound file", _PHOTO) if brands[0].startswith(_SOUND) else ("a film", _STILL)
    if data[:4] == b"RIFF":
        kinds = {b"WAVE": ("a sound file", _PHOTO), b"AVI ": ("a film", _STILL)}
        return kinds.get(data[8:12])
    return next((tuple_[1:] for tuple_ in _OTHERS if data.startswith(tuple_[0])), None)


def _brands(data: bytes) -> list[bytes]:
    """Return the brands of an ISO base media file, its own first; none of another file.

    It begins with a box: its length, "ftyp", the brand, a version, and the compatible brands.
    """
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 512)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


# The chunks of a PNG that may be dropped have a small first letter. Of these, only transparency,
# orientation and what makes an animation decide on its picture.
_KEPT = {b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"}


def bare_png(data: bytes) -> bytes:
    """Return a PNG without texts, colour profiles and whatever follows its end.

    Those can be large, or unpack to much. Raises `ValueError` where a chunk is cut off or its
    checksum, which Pillow passes over for the pixels, is wrong.
    """
    parts, start, kind = [data[:8]], 8, b""
    while kind != b"IEND":
        end = start + 8 + int.from_bytes(data[start : start + 4], "big")
        kind = data[start + 4 : start + 8]
        if end + 4 > len(data) or zlib.crc32(data[start + 4 : end]) != int.from_bytes(
            data[end : end + 4], "big"
        ):
            raise ValueError("a chunk is cut off or its checksum is wrong")
        if kind[:1].isupper() or kind in _KEPT:
            parts.append(data[start : end + 4])
        start = end + 4
    return b"".join(parts)
