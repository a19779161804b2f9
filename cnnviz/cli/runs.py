"""The commands `train` and `runs …`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cnnviz.cli.errors import checked
from cnnviz.cli.inputs import given_knobs
from cnnviz.cli.output import print_json, print_record, print_rows
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from cnnviz.runs import Run


def train_command(options: argparse.Namespace) -> int:
    """Make a run and train it, here or in a process of its own."""
    from cnnviz import runs
    from cnnviz.training.loop import pick_device
    from cnnviz.training.recipe import default_recipe, settings

    fields = {item.name: getattr(options, item.name) for item in settings()}
    knobs = checked(lambda: given_knobs(options))
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
