"""Bring a unit's activation back to the pixels (Zeiler & Fergus 2013, section 2.1).

One activation of one feature map keeps its value, all others of the layer are set to zero, and
that signal goes down to the image by a backward rule. One forward pass, which ends at the layer,
serves all units of a batch of images, and one vectorised backward pass a whole chunk of units.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.sight.backward.crops import Crop, find_crop
from cnnviz.sight.backward.passes import Site, check_images, find_sites, frozen_twin, run_to
from cnnviz.sight.backward.rules import LRN, Rule, backward_rule

#: Pairs of unit and image in one pass: enough to keep the kernels busy, few enough for memory.
CHUNK_ROWS = 32
#: Input pixels of one pass: four rows of 224 × 224.
CHUNK_PIXELS = 200_000
#: Input pixels of one pass of small crops, of which there are more to a pass.
CROP_PIXELS = 32_768
#: A crop with more of the image's pixels than this does not pay.
CROP_SHARE = 0.85


@dataclass(frozen=True, eq=False)
class Projection:
    """Activations of some units on some images, and what they are in pixels.

    Attributes:
        pixels: (units, N, C, H, W), each activation carried back to its image, signed, on the
            scale of the normalised images.
        activations: (units, N), the values carried back.
        positions: (units, N, 2), int64, their rows and columns in the feature map; (0, 0) where
            the layer has no positions, (0, i) where it has one axis.
        layer: the layer's path.
        units: the units' numbers, in the order of the first dimension.
        rule: the backward rule.

    """

    pixels: Tensor
    activations: Tensor
    positions: Tensor
    layer: str
    units: tuple[int, ...]
    rule: Rule


def project(
    model: nn.Module,
    images: Tensor,
    layer: str,
    units: int | Sequence[int],
    rule: Rule = "deconvnet",
    positions: Tensor | Sequence[Any] | None = None,
    lrn: LRN = "identity",
) -> Projection:
    """Carry activations of `units` on each image back to the pixels.

    The network is not changed and threads may share it. It works with any `nn.Module`: functional,
    in-place and reused ReLUs, branches, shortcuts, any stride. Results do not depend on which
    other units or images are asked for at the same time.

    Args:
        model: a network in evaluation mode.
        images: (N, C, H, W), normalised as the network expects.
        layer: a module's path, for its output, or a trace row's path, for that operator's output;
            of a module that is used several times, the first call.
        units: channels of that layer (its features, where it is fully connected).
        rule: "deconvnet", "guided" or "gradient", see `backward_rule`.
        positions: (units, N, 2), rows and columns of the activations to carry back; None takes
            each unit's strongest activation in each image, the first of equals.
        lrn: of local response normalisation, see `backward_rule`.

    Returns:
        The `Projection`, on the CPU.

    Raises:
        CnnvizError: if the model is in training mode, there is no such layer, unit, position or
            rule, or the images do not fit.

    """
    context = backward_rule(rule, lrn)  # an unknown rule is refused before any work is done
    twin = frozen_twin(model)
    batch = check_images(images, twin)
    wanted = check_units(units)
    places = _check_positions(positions, len(wanted), len(batch))
    with torch.inference_mode(False), torch.enable_grad():
        (site,) = find_sites(twin, [layer], batch[:1])
        way = _Way(twin, site, context, find_crop(twin, site, batch[:1]))
        found = way.units_in_crops(batch, wanted, places) or way.units(batch, wanted, places)
    return Projection(*found, layer, wanted, rule)


def project_pairs(
    model: nn.Module,
    images: Tensor,
    layer: str,
    pairs: Sequence[tuple[int, int]],
    positions: Tensor,
    rule: Rule = "deconvnet",
    lrn: LRN = "identity",
) -> tuple[Tensor, Tensor]:
    """Carry back one activation of one unit in one image, for each of many pairs.

    It gives what `project` gives for each pair on its own, many of them in one pass: an image may
    serve several units, and a unit be asked for in other images than its neighbour.

    Args:
        model: a network in evaluation mode.
        images: (N, C, H, W), normalised as the network expects.
        layer: as for `project`.
        pairs: (unit, number of the image) for each reconstruction.
        positions: (pairs, 2), int64, row and column of each activation.
        rule: the backward rule.
        lrn: of local response normalisation, see `backward_rule`.

    Returns:
        Pixels (pairs, C, H, W) and the activations (pairs,), on the CPU.

    Raises:
        CnnvizError: as `project` does.

    """
    context = backward_rule(rule, lrn)
    twin = frozen_twin(model)
    batch = check_images(images, twin)
    units = check_units([unit for unit, _ in pairs])
    which = torch.tensor([image for _, image in pairs])
    places = _check_positions(positions[None], 1, len(pairs))
    assert places is not None  # noqa: S101 - None is for "wherever it is strongest"
    with torch.inference_mode(False), torch.enable_grad():
        (site,) = find_sites(twin, [layer], batch[:1])
        way = _Way(twin, site, context, find_crop(twin, site, batch[:1]))
        return way.pairs(batch, units, which, places[0])


Found = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class _Way:
    """From a layer of a network to the pixels, by crops of the images where that is less work."""

    twin: nn.Module
    site: Site
    context: AbstractContextManager[Any]
    crop: Crop | None

    def units(self, batch: Tensor, units: Sequence[int], places: Tensor | None) -> Found:
        """Pixels, activations and positions of every unit in every image, on the CPU."""
        rows = _rows(batch)
        parts = []
        for start in range(0, len(batch), rows):
            here = slice(start, start + rows)
            with self.context:
                passed = _Pass.of(self.twin, self.site, batch[here])
            strongest = passed.positions(units, None if places is None else places[:, here])
            activations = passed.at(units, strongest)
            pixels = passed.carry_back(units, strongest, activations, rows)
            parts.append((pixels.cpu(), activations.cpu(), strongest.cpu()))
        pixels, activations, strongest = (torch.cat(p, dim=1) for p in zip(*parts, strict=True))
        return pixels, activations, strongest

    def units_in_crops(
        self, batch: Tensor, units: Sequence[int], places: Tensor | None
    ) -> Found | None:
        """The same by crops; None where they do not pay or do not show what the image shows."""
        # A crop needs a forward pass of its own, where all units share that of the whole image.
        if self.crop is None or self.crop.share > CROP_SHARE / 2:
            return None
        parts = []
        with torch.no_grad():
            for chunk in range(0, len(batch), _rows(batch)):
                here = slice(chunk, chunk + _rows(batch))
                passed = _Pass.of(self.twin, self.site, batch[here])
                strongest = passed.positions(units, None if places is None else places[:, here])
                parts.append((passed.at(units, strongest).cpu(), strongest.cpu()))
        activations, strongest = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        numbers = [unit for unit in units for _ in batch]
        which = torch.arange(len(batch)).repeat(len(units))
        pixels, seen = self._crops(batch, numbers, which, strongest.reshape(-1, 2), self.crop)
        if not _agree(seen, activations.flatten()):
            return None
        return pixels.reshape(len(units), *batch.shape), activations, strongest

    def pairs(
        self, batch: Tensor, units: Sequence[int], which: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Pixels and activations of one unit at one place in one image, for each of many."""
        if self.crop is not None and self.crop.share <= CROP_SHARE:
            pixels, seen = self._crops(batch, units, which, places, self.crop)
            first = (which == 0).nonzero()[:, 0]
            chosen = torch.tensor(units)[first]
            maps = self.crop.maps.cpu()
            if _agree(seen[first], maps[0, chosen, places[first, 0], places[first, 1]]):
                return pixels, seen
        rows = _rows(batch)
        parts = []
        for start in range(0, len(units), rows):
            here = slice(start, start + rows)
            parts.append(
                self._carry(batch[which[here].to(batch.device)], units[here], places[here])
            )
        pixels, activations = (torch.cat(part) for part in zip(*parts, strict=True))
        return pixels, activations

    def _crops(
        self, batch: Tensor, units: Sequence[int], which: Tensor, places: Tensor, crop: Crop
    ) -> tuple[Tensor, Tensor]:
        self._check(units, places, crop)
        rows = _rows(batch[:, :, : crop.size[0], : crop.size[1]])
        parts = []
        for start in range(0, len(units), rows):
            here = slice(start, start + rows)
            chosen = batch[which[here].to(batch.device)]
            cut, shifted, first = crop.cut(chosen, places[here])
            pixels, activations = self._carry(cut, units[here], shifted)
            parts.append((crop.paste(pixels, first), activations))
        pixels, activations = (torch.cat(part) for part in zip(*parts, strict=True))
        return pixels, activations

    def _check(self, units: Sequence[int], places: Tensor, crop: Crop) -> None:
        """Refuse units and places that the whole image does not have."""
        whole = _Pass(self.site, crop.maps, crop.maps, tuple(crop.maps.shape))
        whole.positions(units, places[:, None])

    def _carry(self, images: Tensor, units: Sequence[int], places: Tensor) -> tuple[Tensor, Tensor]:
        with self.context:
            passed = _Pass.of(self.twin, self.site, images)
        return passed.carry_pairs_back(units, places)


def _rows(images: Tensor) -> int:
    """Count the images (N, C, H, W) of one pass."""
    pixels = images.shape[2] * images.shape[3]
    return max(1, min(max(CHUNK_ROWS, CROP_PIXELS // pixels), CHUNK_PIXELS // pixels))


def _agree(first: Tensor, second: Tensor) -> bool:
    """Whether activations are the same but for rounding."""
    scale = float(second.abs().max()) if second.numel() else 0.0
    return torch.allclose(first, second, rtol=1e-3, atol=1e-4 * scale)


@dataclass(frozen=True, eq=False)
class _Pass:
    """A forward pass up to a layer: the images (N, C, H, W) and its maps (N, units, h, w)."""

    site: Site
    images: Tensor
    maps: Tensor
    shape: tuple[int, ...]

    @classmethod
    def of(cls, twin: nn.Module, site: Site, batch: Tensor) -> _Pass:
        """Run it, with a graph from the maps to the images."""
        leaf = batch.clone().requires_grad_()
        found: list[Tensor] = []
        # A copy goes in: a network may begin with an operator in place, which a leaf forbids.
        run_to(twin, [site], leaf.clone(), lambda _site, output: found.append(output))
        (output,) = found
        if output.shape[0] != len(leaf):
            raise CnnvizError(
                f"The layer {site.name!r} mixes the images of a batch: choose another one."
            )
        missing = (1,) * (4 - output.dim())
        return cls(site, leaf, output, (*output.shape[:2], *missing, *output.shape[2:]))

    def positions(self, units: Sequence[int], places: Tensor | None) -> Tensor:
        """Positions (units, N, 2): the given ones, once checked, else those of the maxima."""
        count, height, width = self.shape[1:]
        for unit in units:
            if not 0 <= unit < count:
                raise CnnvizError(
                    f"The layer {self.site.name!r} has no unit {unit}: "
                    f"choose from 0 to {count - 1}."
                )
        if places is None:
            flat = self._flat(units).argmax(2)
            return torch.stack([flat // width, flat % width], dim=2)
        if bool(((places < 0) | (places >= torch.tensor([height, width]))).any()):
            raise CnnvizError(
                f"A position lies outside the maps of {self.site.name!r}, which have "
                f"{height} × {width}: count rows and columns from 0."
            )
        return places.to(self.maps.device)

    def at(self, units: Sequence[int], positions: Tensor) -> Tensor:
        """Activations (units, N) at the positions."""
        flat = positions[..., 0] * self.shape[3] + positions[..., 1]
        return self._flat(units).gather(2, flat[..., None])[..., 0]

    def _flat(self, units: Sequence[int]) -> Tensor:
        """Maps without a graph, (units, N, h · w)."""
        maps = self.maps.detach()[:, list(units)]
        return maps.reshape(len(maps), len(units), -1).transpose(0, 1)

    def carry_back(
        self, units: Sequence[int], positions: Tensor, activations: Tensor, rows: int
    ) -> Tensor:
        """Pixels (units, N, C, H, W), about `rows` of them in one backward pass."""
        if not self.maps.requires_grad:  # a layer that does not look at the images
            return self.images.new_zeros(len(units), *self.images.shape)
        image = torch.arange(len(self.images), device=self.maps.device)
        size = max(1, rows // len(image))
        parts = []
        for start in range(0, len(units), size):
            here = slice(start, start + size)
            chosen = torch.tensor(units[here], device=self.maps.device)[:, None]
            seeds = self.maps.new_zeros(len(chosen), *self.shape)  # (units, N, K, h, w)
            row, column = positions[here, :, 0], positions[here, :, 1]
            number = torch.arange(len(chosen), device=self.maps.device)[:, None]
            seeds[number, image, chosen, row, column] = activations[here]
            parts.append(self._backward(seeds.reshape(-1, *self.maps.shape)))
        return torch.cat(parts)

    def carry_pairs_back(self, units: Sequence[int], places: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (N, C, H, W) and activations (N,), of one unit and place in each image."""
        self.positions(units, places[None])  # refuses units and places that do not exist
        image = torch.arange(len(self.images), device=self.maps.device)
        at = (image, torch.tensor(units, device=image.device), *places.to(image.device).T)
        activations = self.maps.detach().reshape(self.shape)[at]
        if not self.maps.requires_grad:  # a layer that does not look at the images
            return torch.zeros_like(self.images).cpu(), activations.cpu()
        seeds = self.maps.new_zeros(self.shape)
        seeds[at] = activations
        (pixels,) = torch.autograd.grad(self.maps, self.images, seeds.reshape(self.maps.shape))
        return pixels.detach().cpu(), activations.cpu()

    def _backward(self, seeds: Tensor) -> Tensor:
        """Carry seeds (units, *maps) back, all units in one pass where the operators allow it."""
        try:
            (pixels,) = torch.autograd.grad(
                self.maps, self.images, seeds, retain_graph=True, is_grads_batched=True
            )
        except RuntimeError:  # an operator that cannot be vectorised: a unit at a time then
            each = (
                torch.autograd.grad(self.maps, self.images, seed, retain_graph=True)[0]
                for seed in seeds
            )
            return torch.stack(list(each))
        return pixels.detach()


def check_units(units: int | Sequence[int]) -> tuple[int, ...]:
    """Return units as a tuple of one or more numbers, or raise `CnnvizError`."""
    listed: list[Any] = [units] if isinstance(units, int) else list(units)
    if not listed or not all(isinstance(u, Integral) and not isinstance(u, bool) for u in listed):
        raise CnnvizError(f"Units are a list of one or more whole numbers, not {units!r}.")
    return tuple(int(unit) for unit in listed)


def _check_positions(positions: Any, units: int, images: int) -> Tensor | None:  # noqa: ANN401
    """Return positions as a tensor (units, N, 2)."""
    if positions is None:
        return None
    try:
        places = torch.as_tensor(positions)
    except (TypeError, ValueError) as error:
        raise CnnvizError("Positions are whole numbers of shape (units, images, 2).") from error
    whole = not places.is_floating_point() and places.dtype != torch.bool
    if not whole or tuple(places.shape) != (units, images, 2):
        raise CnnvizError(
            f"Positions are whole numbers of shape (units, images, 2) = ({units}, {images}, 2), "
            f"not {places.dtype} of shape {tuple(places.shape)}."
        )
    return places.long().cpu()
