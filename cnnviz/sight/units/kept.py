"""What scans of a data set found, kept in files that are named by all that decides it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from cnnviz.sight.units.batches import Batches
from cnnviz.training.saved.files import atomic_write

# Changes with what the files hold, so that those of older versions are not read.
_FORMAT = 3
#: Bytes that the files of a folder may take together; those not used for longest go first.
ROOM = 1_000_000_000


class Shelf:
    """The answers about one network and one data set, in `folder`."""

    def __init__(self, folder: Path, network: nn.Module, batches: Batches) -> None:
        self._folder = folder
        digest = hashlib.sha256(f"{_FORMAT}\n{network}\n{batches.description}".encode())
        for name, tensor in [*network.state_dict().items(), ("images", batches.images)]:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        self._name = digest.hexdigest()

    def path(self, *question: object) -> Path:
        """Return the file of the answer to `question`, the first word of which it begins with."""
        asked = hashlib.sha256(f"{self._name}\n{question}".encode()).hexdigest()
        return self._folder / f"{question[0]}-{asked[:32]}.safetensors"

    def read(self, fields: Sequence[str], *question: object) -> dict[str, Tensor] | None:
        """Return what is kept, None if there is nothing or it cannot be read."""
        path = self.path(*question)
        try:
            tensors = safetensors.torch.load(path.read_bytes())
            with contextlib.suppress(OSError):
                os.utime(path)  # it is in use
            return {field: tensors[field] for field in fields}
        except (OSError, SafetensorError, KeyError):
            return None

    def write(self, tensors: dict[str, Tensor], *question: object) -> None:
        """Keep an answer, and no more than `ROOM` of all of them."""
        held = {name: tensor.contiguous() for name, tensor in tensors.items()}
        path = self.path(*question)
        atomic_write(path, safetensors.torch.save(held))
        room = ROOM
        for known, file in sorted(self._known(), key=lambda pair: -pair[0].st_mtime_ns):
            room -= known.st_size
            if room < 0 and file != path:
                file.unlink(missing_ok=True)

    def _known(self) -> Iterator[tuple[os.stat_result, Path]]:
        for file in self._folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # another thread has made room
                yield file.stat(), file
