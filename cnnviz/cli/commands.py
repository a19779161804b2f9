"""What each command does.

Libraries are imported by the commands that need them: `--help` and wrong arguments answer at
once, where torch takes seconds to load.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cnnviz.cli.errors import UsageError, checked
from cnnviz.cli.inputs import given_knobs, read_picture
from cnnviz.cli.output import print_json, print_record, print_rows
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from cnnviz.architectures.published import Published
    from cnnviz.registry import KnobValue


def list_command(options: argparse.Namespace) -> None:
    """Print every variant."""
    from cnnviz.cli.listing import listed

    def trace_all() -> list[dict[str, Any]]:
        from cnnviz import architectures
        from cnnviz.networks.catalogue import variant_rows

        return variant_rows(architectures.list_variants())

    rows = listed(trace_all)
    columns = ["name", "family", "year", "edition", "input_size", "num_classes", "params", "macs"]
    print_rows(rows, columns, options)


def inspect_command(options: argparse.Namespace) -> None:
    """Print a network, operator by operator."""
    from cnnviz.anatomy.markdown import to_markdown
    from cnnviz.networks.own import inspect_network

    knobs = checked(lambda: given_knobs(options))
    traced = checked(lambda: inspect_network(options.name, options.input, options.classes, knobs))
    if traced.by_values:
        print(
            f"cnnviz: {options.name} cannot be followed by shapes alone: its path may depend on "
            "values, and this is the one for a black image.",
            file=sys.stderr,
        )
    if options.markdown:
        print(to_markdown(traced, options.name), end="")
        return
    known = _published(options, knobs)
    if options.json:
        given = asdict(known) if known else None
        print_json({"name": options.name, "published": given, **traced.to_dict()})
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
    for row, layer in zip(rows, traced.layers, strict=True):
        if len(layer.input_shapes) > 1:  # where branches meet
            row["input_shape"] = layer.input_shapes
    print_rows(rows, columns, options)
    if not options.csv:
        size, jump = traced.receptive_field or ("–", "–")
        kept = "–" if traced.training_bytes is None else f"{traced.training_bytes:,}"
        print(
            f"\n{traced.depth} layers in a row · {traced.weight_bytes:,} bytes of weights\n"
            f"{traced.params:,} parameters · {traced.macs:,} MACs ({traced.flops:,} FLOPs) · "
            f"{traced.activation_bytes:,} bytes of activations, {traced.peak_bytes:,} at once in "
            f"inference, {kept} kept for training · receptive field {size}, jump {jump}"
        )
        if known:
            print(
                f"published by torchvision, not measured here: {known.weights}, "
                f"{100 * known.top1:.3f} % top-1, {100 * known.top5:.3f} % top-5 on ImageNet"
            )


def _published(options: argparse.Namespace, knobs: dict[str, KnobValue]) -> Published | None:
    """Return what is published for the very network that was named; None where nothing is."""
    from cnnviz.architectures.published import check_fit, published
    from cnnviz.registry import list_variants

    for variant in list_variants():
        if variant.name == options.name:
            with suppress(CnnvizError):  # other classes or knobs: another network
                check_fit(variant, options.classes, knobs)
                return published(variant)
    return None


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


def evaluate_command(options: argparse.Namespace) -> int:
    """Recompute a checkpoint's accuracy, its confusions and its calibration, or all accuracies."""
    from cnnviz.runs.trainer.recompute import recompute

    if options.all == bool(options.checkpoint):
        raise UsageError("Name one CHECKPOINT, or all published ones with --all.")
    if options.all:
        return _evaluate_all(options)
    found = recompute(options.checkpoint)
    if options.json:
        print_json(found)
        return 0
    classes, confusion = found.pop("classes"), found.pop("confusion")
    calibration = found.pop("calibration") or {}
    found["calibration_error"], found["brier"] = calibration.get("ece"), calibration.get("brier")
    print_record(found, options)
    print("\nImages of each class by the class they were given")
    rows = [
        {"": name, **dict(zip(classes, row, strict=True))}
        for name, row in zip(classes, confusion, strict=True)
    ]
    print_rows(rows, ["", *classes], options)
    return 0


def _evaluate_all(options: argparse.Namespace) -> int:
    from cnnviz.runs.trainer.recompute import recompute_all
    from cnnviz.settings import checkpoints_dir

    rows = []
    for found in recompute_all(checkpoints_dir()):
        if found.problem:
            print(f"cnnviz: {found.problem}", file=sys.stderr)
        rows.append({**found._asdict(), "same": not found.problem})
    print_rows(rows, ["checkpoint", "accuracy", "card_accuracy", "same"], options)
    return int(not all(row["same"] for row in rows))


def predict_command(options: argparse.Namespace) -> None:
    """Ask trained models about image files."""
    from cnnviz.prediction import predict

    images = {image: read_picture(image) for image in options.images}
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


def compare_command(options: argparse.Namespace) -> None:
    """Print one row per trained model, or with `--seeds` one per recipe."""
    from cnnviz.compare import compare, compare_recipes

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
    if options.seeds:
        found, problems = compare_recipes()
        columns[4:4] = ["sd", "seeds"]
    else:
        rows, problems = compare()
        found = [row.to_dict() for row in rows]
        columns.append("card_only")
    for problem in problems.values():
        print(f"cnnviz: {problem}", file=sys.stderr)
    print_rows(found, columns, options)
