"""A photo in a layer of a subject: what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from cnnviz.anatomy import Layer
from cnnviz.networks.subjects import Subject
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.patches import patch_boxes
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.cache.sight.photo_maps import Carried, PhotoMaps
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.render import Frame


@dataclass(frozen=True, eq=False)
class Shown:
    """A photo in a layer of a subject."""

    subject: Subject
    layer: Layer
    data: bytes
    looked: PhotoMaps

    def carried(
        self, units: list[int], rule: Rule, position: tuple[int, int] | None = None
    ) -> Carried:
        """Carry the units' activations back."""
        return photo_maps.carried_back(
            self.subject, self.layer.path, tuple(units), rule, self.data, position
        )

    def frame(self, position: tuple[int, int]) -> Frame:
        """What a position sees of the photo."""
        trace = subjects.trace_of(self.subject)
        top, left, height, width = patch_boxes(self.layer, trace, torch.tensor(position)).tolist()
        return top, left, height, width

    @property
    def cut_to(self) -> int | None:
        """The side of the receptive field, where reconstructions are cut to it.

        In a large image a small field would be a speck; None leaves them whole.
        """
        sides = self.subject.input_size[1:]
        windows = self.layer.windows
        longest = max((window.size() for window in windows), default=max(sides))
        return longest if longest < min(sides) / 2 else None

    def cut(self, pixels: NDArray[Any], position: tuple[int, int], fill: float) -> NDArray[Any]:
        """Return of `pixels` (H, W, C) what is looked at: all, or what `position` sees."""
        if self.cut_to is None:
            return pixels
        height, width = self.subject.input_size[1:]
        frame = render.unclipped(self.frame(position), self.layer, (height, width))
        return render.patch(pixels, frame, fill)
