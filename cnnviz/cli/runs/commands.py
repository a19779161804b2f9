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
from cnnviz.cli.runs.dry_run import dry_run, duration
from cnnviz.errors import CnnvizError
from cnnviz.settings import is_one_of_several

if TYPE_CHECKING:
    from cnnviz.runs import Run


def train_command(options: argparse.Namespace) -> int:
    """Make a run and train it, here, in a process of its own or on a cluster."""
    if (status := _accompanied(options)) is not None:
        return status
    from cnnviz import runs
    from cnnviz.runs.trainer.start import check_start
    from cnnviz.runs.trainer.tensorboard import require_tensorboard
    from cnnviz.training.loop import pick_device
    from cnnviz.training.recipe import default_recipe, settings

    fields = {item.name: getattr(options, item.name) for item in settings()}
    knobs = checked(lambda: given_knobs(options))
    recipe = checked(
        lambda: default_recipe(
            options.name, options.dataset, options.recipe, knobs=knobs or None, **fields
        )
    )
    launch = checked(lambda: launching(options))
    if options.launcher == "local":
        checked(lambda: pick_device(options.device))
    checked(lambda: check_start(recipe))
    if options.dry_run:
        return dry_run(recipe, options)
    if recipe.tensorboard:
        require_tensorboard()
    return _train(runs.create_run(recipe), options, launch)


def launching(options: argparse.Namespace) -> Callable[[Run, str], None]:
    """How a run is put into a queue: this machine's, or with `--launcher ray` a cluster's."""
    from cnnviz.runs import enqueue

    if options.launcher == "local":
        if options.ray_address:
            raise CnnvizError("--ray-address goes with --launcher ray.")
        return enqueue
    from cnnviz.runs.cluster import check_cluster

    address = check_cluster(options.ray_address)
    return lambda run, device: enqueue(run, device, options.launcher, address)


def _accompanied(options: argparse.Namespace) -> int | None:
    """Under `torchrun`, train along as one of the processes beside the first; else None."""
    if not is_one_of_several():
        return None
    if options.detach:
        raise CnnvizError("torchrun trains here and cannot --detach: leave one of them out.")
    if os.environ["RANK"] == "0":
        return None
    from cnnviz.runs.trainer.worker import accompany
    from cnnviz.training.devices.distributed import joined

    with joined() as world:
        return 0 if accompany(world) == "done" else 143


def _train(run: Run, options: argparse.Namespace, detach: Callable[[Run, str], None]) -> int:
    """Train `run`, here or in a process of its own; print its folder, as JSON how it ended."""
    apart = options.detach or getattr(options, "launcher", "local") != "local"
    if apart:
        detach(run, options.device)
    if not options.json:
        print(run.path, flush=True)
    job = getattr(options, "job", "")
    status = 0 if apart else execute_here(run, options.device, job)
    if options.json:
        accuracy = run.status.accuracy
        print_json({"id": run.id, "path": str(run.path), "state": run.state, "accuracy": accuracy})
    return status


def execute_here(run: Run, device: str, job: str = "") -> int:
    """Train in this process under a progress bar; 143 if it was told to stop."""
    from tqdm import tqdm

    from cnnviz.runs.queue import take_here
    from cnnviz.runs.trainer.worker import execute
    from cnnviz.training.devices.distributed import joined

    for other in take_here(run, device, job):
        print(f"cnnviz: {other.id} trains on this device too: both take longer.", file=sys.stderr)
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

        with joined() as world:
            state = execute(run, device, listen, world)
    if state == "done":
        print(f"{run.status.accuracy:.2%} on the test images; kept in {run.path}", file=sys.stderr)
        return 0
    print(f"Stopped and saved; `python -m cnnviz runs resume {run.id}` goes on.", file=sys.stderr)
    return 143


def runs_list(options: argparse.Namespace) -> None:
    """Print every run, newest first, and how many wait."""
    from cnnviz import runs

    found, problems = runs.survey_runs(heads_only=True)
    for problem in problems.values():
        print(f"cnnviz: {problem}", file=sys.stderr)
    try:
        _ask_clusters(found)
        runs.start_next()  # after a restart of the machine nobody else would
    except CnnvizError as problem:  # a folder that one may only read is listed all the same
        print(f"cnnviz: {problem}", file=sys.stderr)
    columns = ["id", "state", "position", "epoch", "epochs", "loss", "val_accuracy", "accuracy"]
    rows = runs.rows(found)
    differing = differences({run.id: run.settings for run in found})
    shown = [readable(row) | {"changes": differing[row["id"]]} for row in rows]
    further = ("eta", "changes", "seed", "request", "note", "message")
    noted = [name for name in further if any(row[name] for row in shown)]
    print_rows(rows if options.json else shown, [*columns, *noted], options)
    if waiting := sum(row["position"] is not None for row in rows):
        print(f"{waiting:,} in the queue", file=sys.stderr)


def differences(settings: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Name what tells runs of one network and data set apart beside their seeds: "lr=0.05".

    `settings` are the fields of their recipes, by run.
    """
    values: dict[tuple[Any, Any, str], set[str]] = {}
    flat = {run_id: {**given, **(given.get("knobs") or {})} for run_id, given in settings.items()}
    for given in flat.values():
        for name, value in given.items():
            key = (given.get("variant"), given.get("dataset"), name)
            values.setdefault(key, set()).add(str(value))
    return {
        run_id: " ".join(
            f"{name}={value}"
            for name, value in given.items()
            if name not in ("seed", "epochs", "knobs")
            and len(values[given.get("variant"), given.get("dataset"), name]) > 1
        )
        for run_id, given in flat.items()
    }


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: fractions in percent, times in words, a message cut to fit a line."""
    shares = ("accuracy", "val_accuracy", "mean", "sd", "low", "high")
    shown = {name: f"{row[name]:.2%}" for name in shares if row.get(name) is not None}
    shown |= {name: duration(row[name]) for name in ("eta", "seconds") if row.get(name)}
    message = row.get("message", "")
    return {**row, **shown, "message": f"{message[:77]}…" if len(message) > 78 else message}


def _ask_clusters(found: list[Run]) -> None:
    """Where runs are on a cluster, bring their state up to date; say where it does not answer."""
    if any(run.status.launcher == "ray" and run.is_active for run in found):
        from cnnviz.runs.cluster import refresh

        for problem in refresh(found):
            print(f"cnnviz: {problem}", file=sys.stderr)


def runs_show(options: argparse.Namespace) -> None:
    """Print one run."""
    from cnnviz.runs import find_run, rows

    run = find_run(options.id)
    recipe = run.recipe
    _ask_clusters([run])
    record = {**rows([run])[0], "recipe": recipe.model_dump()}
    if options.json:
        record["history"] = run.metrics().epochs
    else:
        record = {**readable(record), "message": record["message"]}
    print_record(record, options)


def runs_log(options: argparse.Namespace) -> None:
    """Print the end of what a run's trainer printed."""
    from cnnviz.runs import find_run

    run = find_run(options.id)
    text = run.log_tail(options.characters)
    if options.json:
        print_json({"id": run.id, "log": text})
    elif text:
        print(text.rstrip("\n"))


def each_run(
    options: argparse.Namespace,
    act: Callable[[Run], None],
    applies: Callable[[Run], bool] = lambda _: True,
) -> int:
    """Do `act` to every run that is named, by itself or by its request; print their states.

    Of a request, to those to which it `applies`. What cannot be done to one is said, and the others
    are gone on with; 1 if there was such.
    """
    from cnnviz.runs import find_run
    from cnnviz.runs.requests import runs_of

    named: dict[str, Run] = {}
    for name in options.id:
        members = runs_of(name)
        chosen = [run for run in members if applies(run)] if members else [find_run(name)]
        if not chosen:
            states = ", ".join(sorted({_state(run) for run in members}))
            raise CnnvizError(f"No run of the request {name} is left for that: all are {states}.")
        named |= {run.id: run for run in chosen}
    if len(named) == 1:  # a single refusal is the command's own
        (run,) = named.values()
        act(run)
        print_record({"id": run.id, "state": _state(run)}, options)
        return 0
    refused, done = 0, []
    for run in named.values():
        try:
            act(run)
            done.append({"id": run.id, "state": _state(run)})
        except CnnvizError as error:
            refused += 1
            print(f"cnnviz: {error}", file=sys.stderr)
    print_rows(done, ["id", "state"], options)
    return 1 if refused else 0


def _is_held(run: Run) -> bool:
    return run.state == "paused"


def _state(run: Run) -> str:
    return run.state if run.exists else "deleted"


def runs_stop(options: argparse.Namespace) -> int:
    """Stop runs and wait until they have saved."""
    from cnnviz.runs import stop_run

    return each_run(
        options, lambda run: stop_run(run, wait=True), lambda run: run.is_active or _is_held(run)
    )


def runs_pause(options: argparse.Namespace) -> int:
    """Hold runs back, those that train after they have saved."""
    from cnnviz.runs import pause_run

    return each_run(options, lambda run: pause_run(run, wait=True), lambda run: run.is_active)


def runs_resume(options: argparse.Namespace) -> int:
    """Go on with a run, here or in a process of its own; with several, or a request, queue them."""
    if (status := _accompanied(options)) is not None:
        return status
    from cnnviz.runs import find_run, resume_run
    from cnnviz.runs.requests import runs_of

    if len(options.id) > 1 or runs_of(options.id[0]):
        return each_run(
            options, lambda run: resume_run(run, options.device), lambda run: run.can_resume
        )
    run = find_run(options.id[0])
    if options.job and (run.status.job, run.state) != (options.job, "queued"):
        raise CnnvizError(f"The run {run.id} was taken back from this job: it is {run.state}.")
    # A detached trainer is this very command: it finds itself, or nobody yet, named in the status.
    others = run.is_active and run.status.pid not in (None, os.getpid())
    if run.state == "done" or others:
        raise CnnvizError(f"The run {run.id} is {run.state} and cannot be resumed.")
    return _train(run, options, resume_run)


def runs_delete(options: argparse.Namespace) -> int:
    """Delete runs."""
    from cnnviz.runs import delete_run

    return each_run(options, delete_run)


def runs_publish(options: argparse.Namespace) -> None:
    """Copy a finished run's checkpoint, or its card alone, to the published ones."""
    from cnnviz.runs import find_run, publish, publish_card

    run = find_run(options.id)
    copy = publish_card if options.card_only else lambda *of: publish(*of).path
    path = copy(run, options.name)
    print_record({"checkpoint": path.stem, "path": str(path)}, options)
