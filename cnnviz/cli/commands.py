"""What each command does.

Libraries are imported by the commands that need them: `--help` and wrong arguments answer at
once, where torch takes seconds to load.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cnnviz.cli.errors import checked
from cnnviz.cli.output import print_json, print_record, print_rows
from cnnviz.errors import CnnvizError


def list_command(options: argparse.Namespace) -> None:
    """Print every variant."""
    from cnnviz import architectures
    from cnnviz.catalogue import variant_rows

    rows = variant_rows(architectures.list_variants())
    columns = ["name", "family", "year", "edition", "input_size", "num_classes", "params", "macs"]
    print_rows(rows, columns, options)


def inspect_command(options: argparse.Namespace) -> None:
    """Print a variant, operator by operator."""
    from cnnviz.catalogue import inspect_variant

    knobs = checked(lambda: _knobs(options))
    traced = checked(lambda: inspect_variant(options.name, options.input, options.classes, knobs))
    if options.json:
        print_json({"name": options.name, **traced.to_dict()})
        return
    columns = [
        "path",
        "op",
        "input_shape",
        "output_shape",
        "params",
        "macs",
        "receptive_field",
        "jump",
    ]
    rows = [{c: layer[c] for c in columns} for layer in traced.to_dict()["layers"]]
    print_rows(rows, columns, options)
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


def data_command(options: argparse.Namespace) -> None:
    """Get a data set, check it and describe it."""
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
    print_record(row, options)


def train_command(options: argparse.Namespace) -> int:
    """Make a run and train it, here or in a process of its own."""
    from cnnviz import runs
    from cnnviz.training.loop import pick_device
    from cnnviz.training.recipe import default_recipe, settings

    fields = {item.name: getattr(options, item.name) for item in settings()}
    knobs = checked(lambda: _knobs(options))
    recipe = checked(
        lambda: default_recipe(options.name, options.dataset, knobs=knobs or None, **fields)
    )
    checked(lambda: pick_device(options.device))
    run = runs.create_run(recipe)
    if options.detach:
        runs.start_detached(run, options.device)
        print(run.path)
        return 0
    print(run.path)
    sys.stdout.flush()
    return _execute(run, options.device)


def _execute(run: Any, device: str) -> int:  # noqa: ANN401 - a Run; runs is imported late
    """Train in this process under a progress bar; 143 if it was told to stop."""
    from tqdm import tqdm

    from cnnviz.runs.worker import execute

    steps_before = run.status.step
    with tqdm(
        unit="step", initial=steps_before, dynamic_ncols=True, desc=run.recipe.variant, disable=None
    ) as bar:

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
    print(f"Stopped and saved; `python -m cnnviz runs resume {run.id}` goes on.", file=sys.stderr)
    return 143


def runs_list(options: argparse.Namespace) -> None:
    """Print every run, newest first."""
    from cnnviz.runs import list_runs

    columns = ["id", "state", "epoch", "epochs", "loss", "val_accuracy", "accuracy", "eta"]
    print_rows([run.summary() for run in list_runs()], columns, options)


def runs_show(options: argparse.Namespace) -> None:
    """Print one run."""
    from cnnviz.runs import find_run

    run = find_run(options.id)
    record = {**run.summary(), "recipe": run.recipe.model_dump()}
    if options.json:
        record["history"] = run.metrics().epochs
    print_record(record, options)


def runs_stop(options: argparse.Namespace) -> None:
    """Stop a run and wait until it has saved."""
    from cnnviz.runs import find_run, stop_run

    run = find_run(options.id)
    stop_run(run, wait=True)
    print_record({"id": run.id, "state": run.state}, options)


def runs_resume(options: argparse.Namespace) -> int:
    """Go on with a run, here or in a process of its own."""
    from cnnviz.runs import find_run, resume_run

    run = find_run(options.id)
    if options.detach:
        resume_run(run, options.device)
        print(run.path)
        return 0
    return _execute(run, options.device)


def runs_delete(options: argparse.Namespace) -> None:
    """Delete a run."""
    from cnnviz.runs import delete_run, find_run

    run = find_run(options.id)
    delete_run(run)
    print_record({"id": run.id, "state": "deleted"}, options)


def runs_publish(options: argparse.Namespace) -> None:
    """Copy a finished run's checkpoint to the published ones."""
    from cnnviz.runs import find_run, publish

    checkpoint = publish(find_run(options.id), options.name)
    print_record({"checkpoint": checkpoint.name, "path": str(checkpoint.path)}, options)


def evaluate_command(options: argparse.Namespace) -> None:
    """Recompute a checkpoint's accuracy."""
    from cnnviz.runs.worker import recompute

    print_record(recompute(options.checkpoint), options)


def predict_command(options: argparse.Namespace) -> None:
    """Ask trained models about image files."""
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
    print_rows(rows, ["image", "model", "ranked", "latency_ms"], options)


def compare_command(options: argparse.Namespace) -> None:
    """Print one row per trained model."""
    from cnnviz.compare import compare

    columns = [
        "model",
        "variant",
        "dataset",
        "accuracy",
        "params",
        "macs",
        "weight_bytes",
        "latency_ms",
        "epochs",
        "training_seconds",
        "training_device",
    ]
    print_rows([row.to_dict() for row in compare()], columns, options)
