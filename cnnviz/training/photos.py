"""Photo crops: pieces of the photos that come with the installed packages, to look at.

Networks of photos want photos to be shown what excites them, and CIFAR-10 is not on every machine.
scikit-image and scikit-learn ship a dozen photos; squares of many sizes cut out of them, brought to
32 × 32, have the edges, textures and colours of photos. Too few to train on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.errors import CnnvizError
from cnnviz.training.saved.files import atomic_write

#: How many crops, their side in pixels, and what they are drawn by.
COUNT, SIDE, SEED = 2_000, 32, 0
#: The smallest square that is cut out of a photo: a little larger than what it becomes.
_SMALLEST = 40

#: The photos by what they show: the package, and the file within it.
PHOTOS = {
    "cat": ("skimage", "data/chelsea.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "cameraman": ("skimage", "data/camera.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "coins": ("skimage", "data/coins.png"),
    "brick": ("skimage", "data/brick.png"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "temple": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}

Crops = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]


def photo_crops(folder: Path) -> Crops:
    """Return the crops (N, 3, 32, 32), of which photo each is (N,), and the photos' names.

    The photos take turns, so that any first part has pieces of each. They are made once and kept in
    `folder`; where that cannot be written, made each time. Raises `CnnvizError` where none of the
    photos is there.
    """
    files = _files()
    names = tuple(files)
    made_of = [(name, path.stat().st_size) for name, path in files.items()]
    key = hashlib.sha256(repr((made_of, COUNT, SIDE, SEED, _SMALLEST)).encode()).hexdigest()[:16]
    path = folder / f"photo-crops-{key}.npz"
    # Not there yet, or damaged: made anew.
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        with np.load(path, allow_pickle=False) as kept:
            images, labels = kept["images"], kept["labels"]
        whole = images.shape == (COUNT, 3, SIDE, SIDE) and labels.shape == (COUNT,)
        if whole and images.dtype == np.uint8 and labels.dtype == np.int64:
            return images, labels, names
    images, labels = _cut([np.asarray(_open(file)) for file in files.values()])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels)
    with suppress(CnnvizError):  # a disk that is full or read-only only costs time
        atomic_write(path, buffer.getvalue())
    return images, labels, names


def _files() -> dict[str, Path]:
    """The photos that are installed, found without importing their packages."""
    found = {}
    for name, (package, file) in PHOTOS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / file
            if path.is_file():
                found[name] = path
    if not found:
        raise CnnvizError(
            "The photos of scikit-image and scikit-learn are missing: run pip install -r "
            "requirements.txt."
        )
    return found


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _cut(photos: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Cut squares out of the photos (H, W, 3), small ones as likely as large ones on a log scale.

    Some are mirrored, as a photo's other side is as likely.
    """
    draw = np.random.default_rng(SEED)
    images = np.empty((COUNT, 3, SIDE, SIDE), np.uint8)
    labels = np.arange(COUNT, dtype=np.int64) % len(photos)
    for number, label in enumerate(labels):
        height, width = photos[label].shape[:2]
        largest = min(height, width)
        side = round(float(np.exp(draw.uniform(np.log(_SMALLEST), np.log(largest)))))
        top, left = draw.integers(height - side + 1), draw.integers(width - side + 1)
        square = Image.fromarray(photos[label][top : top + side, left : left + side])
        # Pillow's filters widen when shrinking: no aliasing.
        small = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        if draw.random() < 0.5:
            small = small[:, ::-1]
        images[number] = small.transpose(2, 0, 1)
    return images, labels
