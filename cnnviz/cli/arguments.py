"""The arguments of every command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from cnnviz.cli import commands


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


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def make_parser(train: bool = True) -> argparse.ArgumentParser:
    """Return the parser; the options of `train` alone need torch, and can be left out."""
    parser = _Parser(prog="cnnviz", description="Look inside the networks from LeNet to ConvNeXt.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str,
        function: Callable[..., int | None],
        help_text: str,
        *,
        within: Any = subparsers,  # noqa: ANN401
    ) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = within.add_parser(
            name, help=help_text, description=help_text
        )
        made.set_defaults(command=function)
        made.add_argument("--json", action="store_true", help="print one JSON document")
        return made

    command(
        "list",
        commands.list_command,
        "every variant: name, family, year, edition, parameters, MACs",
    ).add_argument("--csv", action="store_true", help="print CSV")
    _add_inspect(command("inspect", commands.inspect_command, "a variant, operator by operator"))
    data = command(
        "data", commands.data_command, "download (if needed), check and describe a data set"
    )
    data.add_argument("dataset", choices=["cifar10", "digits"])
    training = command("train", commands.train_command, "train a variant; prints the run's folder")
    if train:
        _add_train(training)
    runs = subparsers.add_parser("runs", help="list, show, stop, resume, delete or publish runs")
    actions = runs.add_subparsers(required=True, metavar="ACTION")
    command("list", commands.runs_list, "every run, newest first", within=actions)
    for name, function, text in (
        ("show", commands.runs_show, "one run: state, progress, recipe"),
        ("stop", commands.runs_stop, "finish the batch, save and stop"),
        ("resume", commands.runs_resume, "go on from the last checkpoint"),
        ("delete", commands.runs_delete, "delete a run and all it has learnt"),
        (
            "publish",
            commands.runs_publish,
            "copy a finished run's weights and card to the checkpoints",
        ),
    ):
        action = command(name, function, text, within=actions)
        action.add_argument("id", metavar="ID")
        if name == "resume":
            _add_device(action)
        if name == "publish":
            action.add_argument("--name", help="name of the checkpoint (default: the variant's)")
    evaluate = command(
        "evaluate",
        commands.evaluate_command,
        "recompute a checkpoint's accuracy on all test images",
    )
    evaluate.add_argument("checkpoint", metavar="CHECKPOINT", help="its .safetensors or .json")
    predict = command(
        "predict", commands.predict_command, "ranked classes and latency for each image and model"
    )
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    predict.add_argument("--model", action="append", metavar="NAME", help="default: every one")
    predict.add_argument("--top", type=_positive, default=5, help="classes to print (default 5)")
    _add_deconv(command("deconv", commands.deconv_command, "what a unit sees in a picture, as PNG"))
    command(
        "compare", commands.compare_command, "one row per trained model: accuracy and every cost"
    ).add_argument("--csv", action="store_true", help="print CSV")
    return parser


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a variant (see `list`), a torchvision model, or your own as package.module:factory",
    )
    parser.add_argument("--input", type=_size, metavar="CxHxW", help="input size, as 3x224x224")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--csv", action="store_true", help="print CSV")
    forms.add_argument("--markdown", action="store_true", help="print a Markdown table")
    _add_knobs(parser)


def _add_knobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--width", type=float, metavar="A", help="width multiplier, where offered")
    parser.add_argument("--set", action="append", metavar="KNOB=VALUE", help="any other knob")


def _add_deconv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("--model", required=True, metavar="NAME", help="a trained model")
    parser.add_argument("--layer", required=True, metavar="PATH", help="as `inspect` names it")
    parser.add_argument("--unit", required=True, type=int, metavar="K", help="a channel, from 0")
    rules = ("deconvnet", "guided", "gradient")
    parser.add_argument("--rule", choices=rules, default="deconvnet", help="of the ReLUs")
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where to write it")


def _add_train(parser: argparse.ArgumentParser) -> None:
    from cnnviz.training.recipe import settings

    parser.add_argument("name", metavar="NAME", help="a variant (see `list`)")
    parser.add_argument("--dataset", choices=["cifar10", "digits"], default="cifar10")
    for item in settings():
        flag = f"--{item.name.replace('_', '-')}"
        text = f"{item.help} (default: the variant's recipe)"
        if item.kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            parser.add_argument(flag, type=item.kind, choices=item.choices or None, help=text)
    _add_knobs(parser)
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:0 or mps")
    parser.add_argument("--detach", action="store_true", help="train in a process of its own")
