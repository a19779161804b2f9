"""One's own pictures as a data set: a folder of image files, as a network takes photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnviz.errors import CnnvizError
from cnnviz.images import BYTE_LIMIT, decode, display_name, square

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}

#: Most bytes of pixels that are held: 14,000 images of 224 × 224.
MEMORY_LIMIT = 2 * 2**30


def folder_images(
    path: str | Path,
    size: tuple[int, int],
    *,
    channels: int = 3,
    skipped: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Read the pictures in a folder and in the folders inside it, in the order of their paths.

    Each is cut to the largest square in its middle and brought to `size`, as a photo for a
    network is.

    Args:
        path: the folder; PNG, JPEG, WebP, GIF and BMP files by their suffix are read.
        size: (height, width) in pixels.
        channels: 3, or 1 for grey by ITU-R 601 luma.
        skipped: called with a sentence for each file that cannot be read; it is left out.
        progress: called with the number of files done and of all, after each one.

    Returns:
        uint8 (N, channels, H, W).

    Raises:
        CnnvizError: if there is no such folder, no picture in it can be read, or there are more
            than memory should hold.

    """
    folder = Path(path)
    if not folder.is_dir():
        raise CnnvizError(f"There is no folder {path}: name one with PNG or JPEG files in it.")
    files = sorted(file for file in folder.rglob("*") if _is_picture(file, folder))
    most = MEMORY_LIMIT // (channels * size[0] * size[1])
    if len(files) > most:
        raise CnnvizError(
            f"{folder} has {len(files):,} pictures and {most:,} of this size are the limit: put "
            "fewer into a folder of their own."
        )
    pictures: list[Tensor] = []
    for number, file in enumerate(files, start=1):
        try:
            pictures.append(_read(file, size, channels))
        except CnnvizError as error:
            if skipped is not None:
                skipped(str(error))
        if progress is not None:
            progress(number, len(files))
    if not pictures:
        found = f"{len(files)} but none can be read" if files else "none"
        raise CnnvizError(
            f"{folder} should have PNG, JPEG, WebP, GIF or BMP files; it has {found}."
        )
    return torch.stack(pictures)


def _is_picture(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in SUFFIXES and file.is_file()


def _read(file: Path, size: tuple[int, int], channels: int) -> Tensor:
    """Return a file as uint8 (channels, H, W)."""
    try:
        with file.open("rb") as stream:
            data = stream.read(BYTE_LIMIT + 1)  # one byte too many is refused, whatever follows
    except OSError as error:
        raise CnnvizError(
            f"{display_name(file.name)} cannot be read ({error.strerror}): check its permissions."
        ) from error
    image = Image.fromarray(square(decode(data, file.name).pixels))
    target = (size[1], size[0])
    if image.size != target:  # Pillow's filters widen when shrinking: no aliasing
        image = image.resize(target, Image.Resampling.BILINEAR)
    pixels = np.array(image.convert("L") if channels == 1 else image)
    return torch.from_numpy(pixels.reshape(*size, channels).transpose(2, 0, 1).copy())
