"""A visitor's own photos: every page has the same ones, and one of them is the current one.

Files are decoded once, when they arrive, and only the pixels are kept, packed as a PNG of a reduced
size: what a page shows and what a network is asked went through the same decoding. They live in the
session, never in an address, and end with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.images import decode, display_name, encode_png

#: Photos that are held for one visitor, and their bytes; a photo of a phone takes about 3 MB.
MOST, MOST_BYTES = 12, 64 * 2**20

_KEY = "own_photos"


@dataclass(frozen=True)
class OwnPhoto:
    """A photo that was taken: its `name` for showing, a PNG, and what a user should know of it."""

    name: str
    data: bytes
    notes: tuple[str, ...]


@dataclass
class Own:
    """A visitor's own photos.

    Attributes:
        photos: by a number that is never given twice, in the order of their coming.
        current: the number of the one that pages look at; None where a sample is.
        refused: why files of the last upload were not taken, a sentence each.
        blocked: whether the last upload held no photo at all: pages then show none.
        uploads: how many there were; it also makes each uploader a fresh one.

    """

    photos: dict[int, OwnPhoto] = field(default_factory=dict)
    current: int | None = None
    refused: list[str] = field(default_factory=list)
    blocked: bool = False
    uploads: int = 0
    _last: int = 0

    def take(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Take uploaded files, names and bytes; the last photo among them becomes the current."""
        self.settle()
        taken = False
        for name, data in files:
            try:
                photo = self._taken(name, data)
            except CnnvizError as error:
                self.refused.append(str(error))
                continue
            self._last += 1
            self.photos[self._last], self.current, taken = photo, self._last, True
        self.blocked = bool(self.refused) and not taken
        self.uploads += 1

    def _taken(self, name: str, data: bytes) -> OwnPhoto:
        shown = display_name(name) or "photo"
        if len(self.photos) >= MOST:
            raise CnnvizError(
                f"{shown} is one photo too many, {MOST} are held at a time: drop one first."
            )
        photo = decode(data, name)
        kept = encode_png(photo.pixels, quick=True)
        if sum(len(other.data) for other in self.photos.values()) + len(kept) > MOST_BYTES:
            raise CnnvizError(
                f"{shown} is too much beside your other photos, {MOST_BYTES // 2**20} MB are held "
                "at a time: drop one first."
            )
        return OwnPhoto(shown, kept, photo.notes)

    def choose(self, number: int | None) -> None:
        """Make a photo the current one, or a sample for None."""
        self.settle()
        self.current = number if number in self.photos else None

    def drop(self, *numbers: int) -> None:
        """Let photos go; the newest left, or a sample, takes the place of the current one."""
        self.settle()
        for number in numbers:
            self.photos.pop(number, None)
        if self.current not in self.photos:
            self.current = next(reversed(self.photos), None)

    def settle(self) -> None:
        """Forget what was refused."""
        self.refused, self.blocked = [], False


def own() -> Own:
    """Return the photos of this visitor."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Own()
    found: Own = st.session_state[_KEY]
    return found
