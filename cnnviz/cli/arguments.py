"""The arguments of every command."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import NoReturn

from cnnviz.cli import commands
from cnnviz.cli.parts import add_command, add_knobs, positive
from cnnviz.cli.runs import arguments as runs_arguments
from cnnviz.cli.sight import arguments as sight_arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def _size(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    try:
        channels, height, width = (int(part) for part in parts)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: write channels x height x width, as in 3x224x224"
        ) from None
    return channels, height, width


def make_parser(train: bool = True) -> argparse.ArgumentParser:
    """Return the parser; the options of `train` alone need torch, and can be left out."""
    parser = _Parser(prog="cnnviz", description="Look inside the networks from LeNet to ConvNeXt.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    command = partial(add_command, subparsers)
    command(
        "list",
        commands.list_command,
        "every variant: name, family, year, edition, parameters, MACs",
        "csv",
    )
    says = "a network, operator by operator"
    _add_inspect(command("inspect", commands.inspect_command, says, "csv", "markdown"))
    data = command(
        "data", commands.data_command, "download (if needed), check and describe a data set"
    )
    data.add_argument("dataset", choices=["cifar10", "digits", "photos"])
    runs_arguments.add(subparsers, train=train)
    evaluate = command(
        "evaluate",
        commands.evaluate_command,
        "recompute a checkpoint's accuracy on all test images",
    )
    evaluate.add_argument(
        "checkpoint", nargs="?", metavar="CHECKPOINT", help="its .safetensors or .json"
    )
    evaluate.add_argument(
        "--all", action="store_true", help="every published one; 1 if an accuracy is not its card's"
    )
    predict = command(
        "predict", commands.predict_command, "ranked classes and latency for each image and model"
    )
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    predict.add_argument("--model", action="append", metavar="NAME", help="default: every one")
    predict.add_argument("--top", type=positive, default=5, help="classes to print (default 5)")
    sight_arguments.add(subparsers)
    compare = command(
        "compare",
        commands.compare_command,
        "one row per trained model: accuracy and every cost",
        "csv",
    )
    compare.add_argument(
        "--seeds", action="store_true", help="one row per recipe: mean and sd over its seeds"
    )
    return parser


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a variant (see `list`), a torchvision model, or your own as package.module:factory",
    )
    parser.add_argument("--input", type=_size, metavar="CxHxW", help="input size, as 3x224x224")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes")
    add_knobs(parser)
