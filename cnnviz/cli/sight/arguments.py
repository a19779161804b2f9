"""The arguments of `deconv` and `units`."""

from __future__ import annotations

import argparse
from typing import Any

from cnnviz.cli.parts import add_command, positive
from cnnviz.cli.sight import commands as commands

_RULES = ("deconvnet", "guided", "gradient")


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Add the commands."""
    deconv = add_command(
        subparsers, "deconv", commands.deconv_command, "what a unit sees in a picture, as PNG"
    )
    deconv.add_argument("image", metavar="IMAGE")
    _add_layer(deconv)
    deconv.add_argument("--unit", required=True, type=_unit, metavar="K", help="a channel, from 0")
    _add_outputs(deconv)
    units = add_command(
        subparsers,
        "units",
        commands.units_command,
        "the patches that excite units most, and what each unit saw in them, as PNG",
    )
    _add_layer(units)
    units.add_argument(
        "--unit",
        action="append",
        type=_unit,
        metavar="K",
        help="a channel, from 0; again for more (default: the 16 with the strongest activations)",
    )
    units.add_argument(
        "--images",
        metavar="FOLDER",
        help="pictures to look at (default: the test images of the network's data set)",
    )
    units.add_argument("--top", type=positive, default=9, help="images a unit (default 9)")
    _add_outputs(units)


def _add_layer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a trained model, or VARIANT@imagenet for torchvision's weights, VARIANT@random",
    )
    parser.add_argument("--layer", required=True, metavar="PATH", help="as `inspect` names it")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rule", choices=_RULES, default="deconvnet", help="of the ReLUs")
    parser.add_argument(
        "--lrn",
        choices=("identity", "gradient"),
        default="identity",
        help="of local response normalisation: passed through, as Zeiler and Fergus did, or its"
        " true gradient",
    )
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where to write it")
    parser.add_argument("--npz", metavar="FILE.npz", help="write the arrays as well")


def _unit(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a channel: count from 0")
    return int(text)
