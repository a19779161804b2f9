"""What each command does.

Libraries are imported by the commands that need them: `--help` and wrong arguments answer at
once, where torch takes seconds to load.
"""

from __future__ import annotations

import argparse
import sys

from cnnviz.cli.errors import checked
from cnnviz.cli.inputs import given_knobs, read_picture
from cnnviz.cli.output import print_json, print_record, print_rows


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

    knobs = checked(lambda: given_knobs(options))
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


def evaluate_command(options: argparse.Namespace) -> None:
    """Recompute a checkpoint's accuracy."""
    from cnnviz.runs.worker import recompute

    print_record(recompute(options.checkpoint), options)


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
