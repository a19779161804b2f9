"""The commands that show what a network sees: `deconv` and `units`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli.errors import UsageError, checked
from cnnviz.cli.inputs import read_picture
from cnnviz.cli.output import print_json, print_record, print_rows
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from torch import Tensor

    from cnnviz.networks.subjects import Subject
    from cnnviz.sight import TopActivations, UnitFigures
    from cnnviz.training.data import ImageSet

# A reconstruction of 32 × 32 pixels is enlarged to about this side, in whole pixels.
_PICTURE_SIDE = 256
#: Units of `units` where none are named: as many as the paper shows of a layer.
_UNITS = 16


def deconv_command(options: argparse.Namespace) -> None:
    """Carry a unit's activation on a picture back to its pixels."""
    from cnnviz.images import decode, encode_png, enlarge
    from cnnviz.sight import project, signed_picture

    _check_folders(options)
    photo = decode(read_picture(options.image))
    subject = _subject(options.model)
    model = subject.load()
    images, seen = subject.look_at(photo)
    found = checked(
        lambda: project(model, images, options.layer, [options.unit], options.rule, lrn=options.lrn)
    )
    picture = signed_picture(found.pixels[0, 0])
    factor = max(1, _PICTURE_SIDE // max(picture.shape[:2]))
    Path(options.output).write_bytes(encode_png(enlarge(picture, factor)))
    record = {
        "model": options.model,
        "layer": options.layer,
        "unit": options.unit,
        "rule": options.rule,
        "activation": found.activations.item(),
        "row": int(found.positions[0, 0, 0]),
        "column": int(found.positions[0, 0, 1]),
        "output": options.output,
    }
    if options.npz:
        arrays = {"pixels": found.pixels[0, 0], "inputs": images[0], "image": seen}
        arrays |= {"activation": found.activations[0, 0], "position": found.positions[0, 0]}
        _write_npz(options.npz, arrays)
        record["npz"] = options.npz
    print_record(record, options)


def units_command(options: argparse.Namespace) -> None:
    """Draw the strongest activations of units, each carried back beside its patch."""
    from cnnviz.anatomy import trace
    from cnnviz.images import encode_png
    from cnnviz.settings import data_dir
    from cnnviz.sight import top_activations, unit_figures
    from cnnviz.sight.units.mosaic import units_mosaic

    _check_folders(options)
    subject = _subject(options.model)
    images = _images(subject, options.images)
    model = subject.load()
    layer, size = options.layer, subject.input_size[1:]
    with _bar("images") as progress:
        found = checked(
            lambda: top_activations(
                model,
                images,
                [layer],
                options.top,
                mean=subject.mean,
                std=subject.std,
                size=size,
                cache=data_dir() / "unit-scans",
                progress=progress,
            )
        )
    top = found[layer]
    units = list(dict.fromkeys(options.unit or _strongest(top, layer)))
    figures = checked(
        lambda: unit_figures(
            model,
            trace(model, subject.input_size),
            images,
            layer,
            units,
            options.rule,
            options.top,
            top=top,
            mean=subject.mean,
            std=subject.std,
            size=size,
            lrn=options.lrn,
        )
    )
    Path(options.output).write_bytes(encode_png(units_mosaic(figures)))
    if options.npz:
        _write_npz(options.npz, vars(figures))
    _print_units(figures, top, options)


def _check_folders(options: argparse.Namespace) -> None:
    """Refuse to begin where what is found could not be written."""
    for option, path in (("--output", options.output), ("--npz", options.npz)):
        if path and not Path(path).absolute().parent.is_dir():
            folder = Path(path).absolute().parent
            raise UsageError(f"{option}: there is no folder {folder}; make it first.")


def _subject(name: str) -> Subject:
    """Find a network; what says nothing about the world is said to say nothing."""
    from cnnviz.networks.subjects import find_subject

    subject = find_subject(name)
    if subject.weights == "random":
        print(
            f"cnnviz: the weights of {name} are random, so its units have learnt nothing.",
            file=sys.stderr,
        )
    return subject


def _images(subject: Subject, folder: str | None) -> ImageSet | Tensor:
    """Return the pictures of a folder, or the test images of what the network was trained on.

    Where those are not here, other images are shown, and that is said.
    """
    from cnnviz.sight.units.image_folder import folder_images
    from cnnviz.training.data import load, shown_dataset

    channels, height, width = subject.input_size
    if folder is None:
        dataset = shown_dataset(subject.dataset)
        _say_others(subject.dataset or "cifar10", dataset)
        return load(dataset).for_channels(channels)
    if not Path(folder).is_dir():
        raise UsageError(f"--images takes a folder of pictures, and {folder} is none.")

    def skipped(sentence: str) -> None:
        print(f"cnnviz: {sentence} It is left out.", file=sys.stderr)

    with _bar("files") as progress:
        return folder_images(
            folder, (height, width), channels=channels, skipped=skipped, progress=progress
        )


def _say_others(wanted: str, shown: str) -> None:
    if shown == wanted:
        return
    others = {"cifar10": "CIFAR-10's test images", "photos": "photo crops"}[shown]
    get = "get CIFAR-10 by `python -m cnnviz data cifar10`, or " * (shown == "photos")
    print(
        f"cnnviz: the images of {wanted} are not on this machine, so these are {others}: {get}name "
        "a folder of pictures with --images FOLDER.",
        file=sys.stderr,
    )


@contextmanager
def _bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr, where that is a terminal, from the first step on."""
    from tqdm import tqdm

    with tqdm(unit=f" {unit}", dynamic_ncols=True, disable=None, delay=0.2) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def _strongest(top: TopActivations, layer: str) -> list[int]:
    """Choose the units to draw where none are named, and say how."""
    order = top.values[:, 0].sort(descending=True, stable=True).indices
    living = [unit for unit in order.tolist() if not top.dead[unit]]
    if not living:
        raise CnnvizError(
            f"No image brings a unit of {layer} above zero: name units with --unit, or other "
            "images with --images."
        )
    shown = living[:_UNITS]
    which = (
        f"all {len(order)} units of {layer}, the strongest first"
        if len(shown) == len(order)
        else f"{len(shown)} of the {len(order)} units of {layer}, those with the strongest "
        "activations; name others with --unit"
    )
    print(f"cnnviz: {which}.", file=sys.stderr)
    return shown


def _write_npz(path: str, arrays: dict[str, Any]) -> None:
    """Write arrays and numbers, leaving out what is None."""
    import numpy as np

    given: dict[str, Any] = {k: np.asarray(v) for k, v in arrays.items() if v is not None}
    with Path(path).open("wb") as file:  # by its name NumPy would add .npz to another ending
        np.savez_compressed(file, **given)


def _print_units(figures: UnitFigures, top: TopActivations, options: argparse.Namespace) -> None:
    rows = []
    for place, unit in enumerate(figures.units):
        row: dict[str, Any] = {"unit": unit, "dead": bool(figures.dead[place])}
        for name in ("values", "indices", "positions", "boxes", "labels"):
            values = getattr(figures, name)
            row[name] = None if values is None else values[place].tolist()
        rows.append(row)
    if options.json:
        record = {name: getattr(options, name) for name in ("model", "layer", "rule", "lrn")}
        record |= {"dead_units": int(top.dead.sum()), "all_units": len(top.dead)}
        print_json(record | {"units": rows, "output": options.output, "npz": options.npz})
        return
    for row in rows:
        row["strongest"], row["weakest"] = (f"{row['values'][at]:.4g}" for at in (0, -1))
        row["images"] = ", ".join(map(str, row["indices"]))
    print_rows(rows, ["unit", "dead", "strongest", "weakest", "images"], options)
    print(f"\n{int(top.dead.sum())} of {len(top.dead)} units are dead · {options.output}")
