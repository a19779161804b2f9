"""What each command does.

Libraries are imported by the commands that need them: `--help` and wrong arguments answer at
once, where torch takes seconds to load.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli.errors import checked
from cnnviz.cli.output import print_json, print_record, print_rows
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from cnnviz.runs import Run

# A reconstruction of 32 × 32 pixels is enlarged to about this side, in whole pixels.
_PICTURE_SIDE = 256


def list_command(options: argparse.Namespace) -> None:
    """Print every variant."""
    from cnnviz import architectures
    from cnnviz.catalogue import variant_rows

    rows = variant_rows(architectures.list_variants())
    columns = ["name", "family", "year", "edition", "input_size", "num_classes", "params", "macs"]
    print_rows(rows, columns, options)


def inspect_command(options: argparse.Namespace) -> None:
    """Print a network, operator by operator."""
    from cnnviz.anatomy.markdown import to_markdown
    from cnnviz.own_networks import inspect_network

    knobs = checked(lambda: _knobs(options))
    traced = checked(lambda: inspect_network(options.name, options.input, options.classes, knobs))
    if options.markdown and not options.json:
        print(to_markdown(traced, options.name), end="")
        return
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
        size, jump = traced.receptive_field or ("–", "–")
        kept = "–" if traced.training_bytes is None else f"{traced.training_bytes:,}"
        print(
            f"\n{traced.params:,} parameters · {traced.macs:,} MACs ({2 * traced.macs:,} FLOPs) · "
            f"{traced.activation_bytes:,} bytes of activations, {kept} kept for training · "
            f"receptive field {size}, jump {jump}"
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
    return _train(run, options, runs.enqueue)


def _train(run: Run, options: argparse.Namespace, detach: Callable[[Run, str], None]) -> int:
    """Train `run`, here or in a process of its own; print its folder, as JSON how it ended."""
    if options.detach:
        detach(run, options.device)
    if not options.json:
        print(run.path, flush=True)
    status = 0 if options.detach else _execute(run, options.device)
    if options.json:
        accuracy = run.status.accuracy
        print_json({"id": run.id, "path": str(run.path), "state": run.state, "accuracy": accuracy})
    return status


def _execute(run: Run, device: str) -> int:
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
    from cnnviz.runs import survey_runs

    found, problems = survey_runs()
    for problem in problems.values():
        print(f"cnnviz: {problem}", file=sys.stderr)
    columns = ["id", "state", "epoch", "epochs", "loss", "val_accuracy", "accuracy", "eta"]
    print_rows([run.summary() for run in found], columns, options)


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
    # A detached trainer is this very command: it finds itself, or nobody yet, named in the status.
    others = run.is_active and run.status.pid not in (None, os.getpid())
    if run.state == "done" or others:
        raise CnnvizError(f"The run {run.id} is {run.state} and cannot be resumed.")
    return _train(run, options, resume_run)


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

    images = {image: _picture(image) for image in options.images}
    rows = []
    for image, data in images.items():
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


def _picture(path: str) -> bytes:
    """Read a picture and refuse a broken one by its name, before any network is asked."""
    from cnnviz.images import decode

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CnnvizError(
            f"{path} cannot be read ({error.strerror}): check the name and its permissions."
        ) from error
    decode(data, Path(path).name)
    return data


def deconv_command(options: argparse.Namespace) -> None:
    """Carry a unit's activation on a picture back to its pixels."""
    import torch

    from cnnviz.images import encode_png, enlarge
    from cnnviz.prediction import find_models, predict
    from cnnviz.sight import project, signed_picture
    from cnnviz.training.augment import normalise

    # Asking the model first refuses unknown and damaged ones, and says what it was shown.
    (answer,) = predict(_picture(options.image), [options.model])
    checkpoint = find_models()[options.model]
    model, card = checkpoint.load_model(), checkpoint.card
    planes = torch.from_numpy(answer.seen.transpose(2, 0, 1).copy())[None]
    images = normalise(planes, card.mean, card.std)
    found = checked(lambda: project(model, images, options.layer, [options.unit], options.rule))
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
    print_record(record, options)


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
        "activation_bytes",
        "latency_ms",
        "epochs",
        "training_seconds",
        "training_device",
    ]
    rows, problems = compare()
    for problem in problems.values():
        print(f"cnnviz: {problem}", file=sys.stderr)
    print_rows([row.to_dict() for row in rows], columns, options)
