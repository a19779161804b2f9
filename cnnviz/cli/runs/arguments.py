"""The arguments of `train` and `runs …`."""

from __future__ import annotations

import argparse
from typing import Any

from cnnviz.cli.parts import add_command, add_knobs, positive
from cnnviz.cli.runs import commands as commands
from cnnviz.cli.runs import queue as queue_commands
from cnnviz.cli.runs.zoo import zoo_command

_RUN = "a run"
_RUNS = "runs, or a request for all of its runs"


def add(subparsers: Any, train: bool) -> None:  # noqa: ANN401 - argparse's own type is private
    """Add the commands; the settings of a recipe need torch, and are left out without `train`."""
    training = add_command(
        subparsers, "train", commands.train_command, "train a variant; prints the run's folder"
    )
    if train:
        training.add_argument("name", metavar="NAME", help="a variant (see `list`)")
        _add_recipe(training)
        _add_named(training)
        _add_device(training)
        _add_launcher(training)
        _add_detach(training)
        training.add_argument(
            "--dry-run", action="store_true", help="print what it would cost; start nothing"
        )
    zoo = add_command(
        subparsers, "zoo", zoo_command, "train and publish every network that comes with it"
    )
    zoo.add_argument("names", metavar="NAME", nargs="*", help="published names (default: all)")
    zoo.add_argument("--dry-run", action="store_true", help="print each one's state and command")
    zoo.add_argument("--readme", action="store_true", help="write the README's table of them anew")
    _add_device(zoo)
    runs = subparsers.add_parser(
        "runs", help="queue, list, show, stop, pause, resume, delete or publish runs …"
    )
    actions = runs.add_subparsers(required=True, metavar="ACTION")
    add_command(actions, "list", commands.runs_list, "every run, newest first")
    _add_requests(actions, train)
    _add_single(actions, train)
    for name, function, text in (
        ("stop", commands.runs_stop, "finish the batch, save and stop; leave the queue"),
        ("pause", commands.runs_pause, "hold back, after saving, until resumed"),
        ("resume", commands.runs_resume, "go on from the last checkpoint"),
        ("delete", commands.runs_delete, "delete runs and all they have learnt"),
    ):
        action = add_command(actions, name, function, text)
        action.add_argument("id", metavar="ID", nargs="+", help=_RUNS)
        if name == "resume":
            _add_device(action)
            _add_detach(action)
            action.add_argument("--job", default="", help=argparse.SUPPRESS)


def _add_single(actions: Any, train: bool) -> None:  # noqa: ANN401
    """The commands about one run."""
    show = add_command(
        actions, "show", commands.runs_show, "one run: state, place in the queue, progress, recipe"
    )
    log = add_command(actions, "log", commands.runs_log, "the end of what its trainer printed")
    move = add_command(actions, "move", queue_commands.runs_move, "change a place in the queue")
    clone = add_command(
        actions, "clone", queue_commands.runs_clone, "queue a run with another's recipe, changed"
    )
    note = add_command(actions, "note", queue_commands.runs_note, "keep a note with a run")
    publish = add_command(
        actions,
        "publish",
        commands.runs_publish,
        "copy a finished run's weights and card to the checkpoints",
    )
    for action in (show, log, move, clone, note, publish):
        action.add_argument("id", metavar="ID", help=_RUN)
    log.add_argument("--characters", type=positive, default=4_000, metavar="N")
    move.add_argument("--to", type=positive, required=True, metavar="N", help="1: the next")
    note.add_argument("text", nargs="?", metavar="TEXT", help='without: print it; "": none')
    publish.add_argument(
        "--card-only", action="store_true", help="without its weights: it is compared, not asked"
    )
    publish.add_argument("--name", help="name of the checkpoint (default: the variant's)")
    if train:
        _add_settings(clone)
        add_knobs(clone)
        _add_device(clone)
        _add_launcher(clone)


def _add_requests(actions: Any, train: bool) -> None:  # noqa: ANN401
    """The commands about many runs at once."""
    queue = add_command(
        actions, "queue", queue_commands.runs_queue, "queue every network × change × seed"
    )
    plan = add_command(
        actions, "plan", queue_commands.runs_plan, "what such a request would take; starts nothing"
    )
    summary = add_command(
        actions, "summary", queue_commands.runs_summary, "mean ± sd over the seeds of each recipe"
    )
    summary.add_argument("id", metavar="ID", nargs="*", help=f"{_RUNS} (default: every run)")
    if not train:
        return
    for parser in (queue, plan):
        parser.add_argument(
            "names", metavar="NAME", nargs="+", help="variants, or patterns such as '*_cifar'"
        )
        _add_recipe(parser)
        _add_named(parser)
        parser.add_argument(
            "--seeds",
            type=int,
            nargs="+",
            metavar="S",
            help="one number N: the seeds 0 … N-1; several: these seeds",
        )
        parser.add_argument(
            "--vary",
            action="append",
            metavar="SETTING=A,B",
            help="try each of these values, as in lr=0.05,0.1 (again: every combination)",
        )
    queue.add_argument("--name", help="the request's name (default: one with the time)")
    queue.add_argument("--note", help="a note for each of the runs")
    queue.add_argument(
        "--device", nargs="+", default=["auto"], help="several take the runs in turn"
    )
    _add_launcher(queue)
    _add_assumptions(plan)


def _add_assumptions(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("--gpus", type=positive, default=64, help="devices at work (default 64)")
    plan.add_argument(
        "--rate",
        type=float,
        default=25e12,
        metavar="MACS",
        help="assumed sustained multiply-accumulates a second and device (default 25e12)",
    )
    plan.add_argument(
        "--step",
        type=float,
        default=0.005,
        metavar="SECONDS",
        help="assumed least time of a step, however little it computes (default 0.005)",
    )
    plan.add_argument(
        "--overhead",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="assumed seconds of a run beside its steps: loading, evaluating (default 30)",
    )
    plan.add_argument("--price", type=float, help="price of a device-hour, in any currency")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the data set, every setting of the recipe, and the knobs."""
    from cnnviz.training.data import DATASETS

    parser.add_argument("--dataset", choices=list(DATASETS), default="cifar10")
    _add_settings(parser)
    add_knobs(parser)


def _add_named(parser: argparse.ArgumentParser) -> None:
    from cnnviz.training.recipe import RECIPE_TITLES

    titles = "; ".join(f"{name}: {title}" for name, title in RECIPE_TITLES.items())
    parser.add_argument(
        "--recipe",
        choices=list(RECIPE_TITLES),
        default="default",
        help=f"what the settings begin with ({titles})",
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    from cnnviz.training.recipe import settings

    for item in settings():
        flag = f"--{item.name.replace('_', '-')}"
        text = f"{item.help} (default: the variant's recipe)"
        if item.kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            parser.add_argument(flag, type=item.kind, choices=item.choices or None, help=text)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:0 or mps")


def _add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="queue it: a process of its own")


def _add_launcher(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--launcher",
        choices=["local", "ray"],
        default="local",
        help="this machine, or a Ray cluster (needs requirements-ray.txt)",
    )
    parser.add_argument(
        "--ray-address",
        default="",
        metavar="URL",
        help="of the cluster, as http://head:8265 (default: RAY_API_SERVER_ADDRESS)",
    )
