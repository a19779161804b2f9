"""The arguments of `deconv`."""

from __future__ import annotations

from typing import Any

from cnnviz.cli import sight as commands
from cnnviz.cli.parts import add_command

_RULES = ("deconvnet", "guided", "gradient")


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Add the commands."""
    parser = add_command(
        subparsers, "deconv", commands.deconv_command, "what a unit sees in a picture, as PNG"
    )
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a trained model, or VARIANT@imagenet for torchvision's weights, VARIANT@random",
    )
    parser.add_argument("--layer", required=True, metavar="PATH", help="as `inspect` names it")
    parser.add_argument("--unit", required=True, type=int, metavar="K", help="a channel, from 0")
    parser.add_argument("--rule", choices=_RULES, default="deconvnet", help="of the ReLUs")
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where to write it")
