"""The command line: ``python -m cnnviz COMMAND``.

What is printed to be read by a program goes to stdout, everything else to stderr. A wrong
argument exits with 2, a failure with 1, each with one line that says what to do.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cnnviz.errors import CnnvizError

T = TypeVar("T")

# Libraries are imported by the commands that need them: `--help` and wrong arguments answer at
# once, where torch takes seconds to load.


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    try:
        status: int | None = options.command(options)
    except CnnvizError as error:
        print(f"cnnviz: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status or 0


class UsageError(CnnvizError):
    """An argument that cannot be right, whatever the state of the machine."""


def _checked(make: Callable[[], T]) -> T:
    """Run `make`; what it refuses is a wrong argument."""
    try:
        return make()
    except CnnvizError as error:
        raise UsageError(str(error)) from error


# --- what is known -------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> None:
    from cnnviz import architectures
    from cnnviz.catalogue import variant_rows

    rows = variant_rows(architectures.list_variants())
    columns = ["name", "family", "year", "edition", "input_size", "num_classes", "params", "macs"]
    _print_rows(rows, columns, options)


def _inspect(options: argparse.Namespace) -> None:
    from cnnviz.catalogue import inspect_variant

    knobs = _checked(lambda: _knobs(options))
    traced = _checked(lambda: inspect_variant(options.name, options.input, options.classes, knobs))
    if options.json:
        _print_json({"name": options.name, **traced.to_dict()})
        return
    columns = ["path", "op", "input_shape", "output_shape", "params", "macs", "receptive_field",
               "jump"]
    rows = [{c: layer[c] for c in columns} for layer in traced.to_dict()["layers"]]
    _print_rows(rows, columns, options)
    if not options.csv:
        size, jump = traced.receptive_field or (None, None)
        print(
            f"\n{traced.params:,} parameters · {traced.macs:,} MACs ({2 * traced.macs:,} FLOPs) · "
            f"{traced.activation_bytes:,} bytes of activations, {traced.training_bytes:,} kept "
            f"for training · receptive field {size}, jump {jump}"
        )


def _knobs(options: argparse.Namespace) -> dict[str, Any]:
    knobs: dict[str, Any] = {}
    for text in options.set or []:
        name, separator, value = text.partition("=")
        if not separator:
            raise CnnvizError(f"--set takes NAME=VALUE, not {text!r}.")
        knobs[name] = value
    if options.width is not None:
        knobs["width"] = options.width
    return knobs


def _data(options: argparse.Namespace) -> None:
    from cnnviz.training.data import load

    images = load(options.dataset)
    row = {
        "dataset": images.name,
        "train_images": len(images.train_images),
        "test_images": len(images.test_images),
        "image_size": list(images.train_images.shape[1:]),
        "classes": list(images.classes),
        "mean": [round(value, 4) for value in images.mean],
        "std": [round(value, 4) for value in images.std],
    }
    _print_record(row, options)


# --- training ------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    from cnnviz import runs
    from cnnviz.training.loop import pick_device
    from cnnviz.training.recipe import default_recipe

    fields = {name: getattr(options, name) for name in _RECIPE_FIELDS}
    knobs = _checked(lambda: _knobs(options))
    recipe = _checked(
        lambda: default_recipe(options.name, options.dataset, knobs=knobs or None, **fields)
    )
    _checked(lambda: pick_device(options.device))
    run = runs.create_run(recipe)
    if options.detach:
        runs.start_detached(run, options.device)
        print(run.path)
        return 0
    print(run.path)
    sys.stdout.flush()
    return _execute(run, options.device)


#: Fields of the recipe that `train` offers as options, with their types.
_RECIPE_FIELDS: dict[str, Callable[[str], Any]] = {
    "epochs": int,
    "batch_size": int,
    "lr": float,
    "weight_decay": float,
    "optimizer": str,
    "label_smoothing": float,
    "grad_clip": float,
    "ema": float,
    "cutout": int,
    "holdout": int,
    "precision": str,
    "seed": int,
}


def _execute(run: Any, device: str) -> int:  # noqa: ANN401 - a Run; runs is imported late
    """Train in this process under a progress bar; 143 if it was told to stop."""
    from tqdm import tqdm

    from cnnviz.runs.worker import execute

    steps_before = run.status.step
    with tqdm(unit="step", initial=steps_before, dynamic_ncols=True, desc=run.recipe.variant,
              disable=None) as bar:

        def listen(record: dict[str, Any]) -> None:
            bar.total = run.status.steps
            if record["kind"] == "epoch":
                shown = record.get("val_accuracy", record["train_accuracy"])
                kind = "held-out" if "val_accuracy" in record else "training"
                bar.write(
                    f"epoch {record['epoch']:3d}/{run.recipe.epochs}  loss "
                    f"{record['train_loss']:.4f}  {kind} accuracy {shown:.2%}  "
                    f"{record['seconds']:.0f} s",
                    file=sys.stderr,
                )
            else:
                bar.set_postfix_str(f"{record['images_per_second']:.0f} images/s")
            bar.update(record["step"] - bar.n)

        state = execute(run, device, listen)
    if state == "done":
        print(f"{run.status.accuracy:.2%} on the test images; kept in {run.path}", file=sys.stderr)
        return 0
    print(
        f"Stopped and saved; `python -m cnnviz runs resume {run.id}` goes on.", file=sys.stderr
    )
    return 143


def _runs_list(options: argparse.Namespace) -> None:
    from cnnviz.runs import list_runs

    columns = ["id", "state", "epoch", "epochs", "loss", "val_accuracy", "accuracy", "eta"]
    _print_rows([run.summary() for run in list_runs()], columns, options)


def _runs_show(options: argparse.Namespace) -> None:
    from cnnviz.runs import find_run

    run = find_run(options.id)
    record = {**run.summary(), "recipe": run.recipe.model_dump()}
    if options.json:
        record["history"] = run.metrics().epochs
    _print_record(record, options)


def _runs_stop(options: argparse.Namespace) -> None:
    from cnnviz.runs import find_run, stop_run

    run = find_run(options.id)
    stop_run(run, wait=True)
    _print_record({"id": run.id, "state": run.state}, options)


def _runs_resume(options: argparse.Namespace) -> int:
    from cnnviz.runs import find_run, resume_run

    run = find_run(options.id)
    if options.detach:
        resume_run(run, options.device)
        print(run.path)
        return 0
    return _execute(run, options.device)


def _runs_delete(options: argparse.Namespace) -> None:
    from cnnviz.runs import delete_run, find_run

    run = find_run(options.id)
    delete_run(run)
    _print_record({"id": run.id, "state": "deleted"}, options)


def _runs_publish(options: argparse.Namespace) -> None:
    from cnnviz.runs import find_run, publish

    checkpoint = publish(find_run(options.id), options.name)
    _print_record({"checkpoint": checkpoint.name, "path": str(checkpoint.path)}, options)


# --- trained networks ----------------------------------------------------------------------


def _evaluate(options: argparse.Namespace) -> None:
    from cnnviz.runs.worker import recompute

    _print_record(recompute(options.checkpoint), options)


def _predict(options: argparse.Namespace) -> None:
    from cnnviz.prediction import predict

    rows = []
    for image in options.images:
        try:
            data = Path(image).read_bytes()
        except OSError as error:
            raise CnnvizError(f"{image} cannot be read ({error.strerror}).") from error
        for answer in predict(data, options.model, top=options.top):
            rows.append(
                {
                    "image": image,
                    "model": answer.model,
                    "classes": list(answer.classes),
                    "probabilities": [round(value, 6) for value in answer.probabilities],
                    "latency_ms": round(answer.latency_ms, 3),
                    "notes": list(answer.notes),
                }
            )
    if not options.json:
        for row in rows:
            pairs = zip(row.pop("classes"), row.pop("probabilities"), strict=True)
            row["ranked"] = ", ".join(f"{name} {value:.1%}" for name, value in pairs)
    _print_rows(rows, ["image", "model", "ranked", "latency_ms"], options)


def _compare(options: argparse.Namespace) -> None:
    from cnnviz.compare import compare

    columns = ["model", "variant", "dataset", "accuracy", "params", "macs", "weight_bytes",
               "latency_ms", "epochs", "training_seconds", "training_device"]
    _print_rows([row.to_dict() for row in compare()], columns, options)


# --- output --------------------------------------------------------------------------------


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def _print_rows(
    rows: list[dict[str, Any]], columns: list[str], options: argparse.Namespace
) -> None:
    """Print rows: every field as JSON, the named columns as CSV or as an aligned table."""
    if options.json:
        _print_json(rows)
    elif getattr(options, "csv", False):
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_plain(row[c]) for c in columns] for row in rows])
    else:
        _print_table([[_pretty(row[c]) for c in columns] for row in rows], columns)


def _print_record(record: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        _print_json(record)
        return
    width = max(map(len, record))
    for name, value in record.items():
        print(f"{name:{width}}  {_pretty(value)}")


def _plain(value: object) -> object:
    """A cell of a CSV file: shapes as 3x32x32, nothing where nothing is known."""
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return "" if value is None else value


def _pretty(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list | tuple) and all(isinstance(part, int) for part in value):
        return "×".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_pretty, value))
    return str(value)


def _print_table(cells: list[list[str]], columns: list[str]) -> None:
    if not cells:
        print("nothing to show", file=sys.stderr)
        return
    widths = [max(len(row[i]) for row in [columns, *cells]) for i in range(len(columns))]
    numeric = [all(row[i][:1].isdigit() or row[i] == "–" for row in cells)
               for i in range(len(columns))]
    for row in [columns, *cells]:
        line = "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        print(line.rstrip())


# --- arguments -----------------------------------------------------------------------------


def _size(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    try:
        channels, height, width = (int(part) for part in parts)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: write channels x height x width, as in 3x224x224"
        ) from None
    return channels, height, width


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="cnnviz", description="Look inside the networks from LeNet to ConvNeXt.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, function: Callable[..., int | None], help_text: str, *, within: Any = commands
    ) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's subparsers have no public type
        made: argparse.ArgumentParser = within.add_parser(name, help=help_text,
                                                          description=help_text)
        made.set_defaults(command=function)
        made.add_argument("--json", action="store_true", help="print one JSON document")
        return made

    command("list", _list, "every variant: name, family, year, edition, parameters, MACs"
            ).add_argument("--csv", action="store_true", help="print CSV")
    _add_inspect(command("inspect", _inspect, "a variant, operator by operator"))
    data = command("data", _data, "download (if needed), check and describe a data set")
    data.add_argument("dataset", choices=["cifar10", "digits"])
    _add_train(command("train", _train, "train a variant; prints the run's folder"))
    runs = commands.add_parser("runs", help="list, show, stop, resume, delete or publish runs")
    actions = runs.add_subparsers(required=True, metavar="ACTION")
    command("list", _runs_list, "every run, newest first", within=actions)
    for name, function, text in (
        ("show", _runs_show, "one run: state, progress, recipe"),
        ("stop", _runs_stop, "finish the batch, save and stop"),
        ("resume", _runs_resume, "go on from the last checkpoint"),
        ("delete", _runs_delete, "delete a run and all it has learnt"),
        ("publish", _runs_publish, "copy a finished run's weights and card to the checkpoints"),
    ):
        action = command(name, function, text, within=actions)
        action.add_argument("id", metavar="ID")
        if name == "resume":
            _add_device(action)
        if name == "publish":
            action.add_argument("--name", help="name of the checkpoint (default: the variant's)")
    evaluate = command("evaluate", _evaluate, "recompute a checkpoint's accuracy on all test images")
    evaluate.add_argument("checkpoint", metavar="CHECKPOINT", help="its .safetensors or .json")
    predict = command("predict", _predict, "ranked classes and latency for each image and model")
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    predict.add_argument("--model", action="append", metavar="NAME", help="default: every one")
    predict.add_argument("--top", type=int, default=5, help="classes to print (default 5)")
    command("compare", _compare, "one row per trained model: accuracy and every cost"
            ).add_argument("--csv", action="store_true", help="print CSV")
    return parser


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a variant (see `list`)")
    parser.add_argument("--input", type=_size, metavar="CxHxW", help="input size, as 3x224x224")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes")
    parser.add_argument("--csv", action="store_true", help="print CSV")
    _add_knobs(parser)


def _add_knobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--width", type=float, metavar="A", help="width multiplier, where offered")
    parser.add_argument("--set", action="append", metavar="KNOB=VALUE", help="any other knob")


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a variant (see `list`)")
    parser.add_argument("--dataset", choices=["cifar10", "digits"], default="cifar10")
    for field, kind in _RECIPE_FIELDS.items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=kind,
                            help="default: the variant's recipe")
    _add_knobs(parser)
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:0 or mps")
    parser.add_argument("--detach", action="store_true", help="train in a process of its own")
