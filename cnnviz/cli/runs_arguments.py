"""The arguments of `train` and `runs …`."""

from __future__ import annotations

import argparse
from typing import Any

from cnnviz.cli import runs as commands
from cnnviz.cli.parts import add_command, add_knobs


def add(subparsers: Any, train: bool) -> None:  # noqa: ANN401 - argparse's own type is private
    """Add the commands; the options of `train` need torch, and are left out without `train`."""
    training = add_command(
        subparsers, "train", commands.train_command, "train a variant; prints the run's folder"
    )
    if train:
        _add_train(training)
    runs = subparsers.add_parser("runs", help="list, show, stop, resume, delete or publish runs")
    actions = runs.add_subparsers(required=True, metavar="ACTION")
    add_command(actions, "list", commands.runs_list, "every run, newest first")
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
        action = add_command(actions, name, function, text)
        action.add_argument("id", metavar="ID")
        if name == "resume":
            _add_device(action)
        if name == "publish":
            action.add_argument("--name", help="name of the checkpoint (default: the variant's)")


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
    add_knobs(parser)
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:0 or mps")
    parser.add_argument("--detach", action="store_true", help="train in a process of its own")
