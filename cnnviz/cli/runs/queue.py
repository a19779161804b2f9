"""The commands `runs queue`, `plan`, `summary`, `move`, `clone` and `note`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cnnviz.cli.errors import checked
from cnnviz.cli.inputs import given_knobs
from cnnviz.cli.output import print_json, print_record, print_rows
from cnnviz.cli.runs.commands import differences, launching, readable
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from cnnviz.training.recipe import Recipe


def _recipes(options: argparse.Namespace) -> list[Recipe]:
    """Every combination of what was asked for; what cannot be is a wrong argument."""
    from cnnviz.runs import requests
    from cnnviz.training.recipe import settings

    def ask() -> list[Recipe]:
        fields = {item.name: getattr(options, item.name) for item in settings()}
        if options.seeds and options.seed is not None:
            raise CnnvizError("seeds: name --seed or --seeds, not both.")
        return requests.grid(
            options.names,
            options.dataset,
            requests.parse_seeds(options.seeds) if options.seeds else None,
            requests.parse_vary(options.vary or []),
            given_knobs(options),
            options.recipe,
            **fields,
        )

    return checked(ask)


def runs_queue(options: argparse.Namespace) -> None:
    """Queue a run for every combination; print them with their places."""
    from cnnviz.runs import request_runs, rows
    from cnnviz.runs.trainer.start import check_start, different
    from cnnviz.runs.trainer.tensorboard import require_tensorboard
    from cnnviz.training.loop import pick_device
    from cnnviz.training.saved.files import safe_name

    recipes = _recipes(options)
    for recipe in different(recipes):
        checked(lambda recipe=recipe: check_start(recipe))  # type: ignore[misc]
    checked(lambda: launching(options))
    if options.launcher == "local":
        for device in options.device:
            checked(lambda name=device: pick_device(name))  # type: ignore[misc]
    if any(recipe.tensorboard for recipe in recipes):
        require_tensorboard()
    name = checked(lambda: safe_name(options.name)) if options.name else None
    made = request_runs(
        recipes, options.device, name, options.note or "", options.launcher, options.ray_address
    )
    request = made[0].about.request
    queued = rows(made)
    if options.json:
        print_json({"request": request, "runs": queued})
        return
    print(f"request  {request}")
    differing = differences({run.id: run.settings for run in made})
    shown = [{**row, "changes": differing[row["id"]]} for row in queued]
    columns = ["id", "state", "position", "device", "epochs", "seed"]
    columns += ["changes"] if any(differing.values()) else []
    print_rows(shown, columns, options)


def runs_plan(options: argparse.Namespace) -> None:
    """Print what a request would take, from the registry and the assumptions that are named."""
    from cnnviz.runs.costs.plan import Assumptions, plan_sweep

    recipes = _recipes(options)
    assumed = checked(
        lambda: Assumptions(
            gpus=options.gpus,
            rate=options.rate,
            step=options.step,
            overhead=options.overhead,
            price=options.price,
        )
    )
    plan = plan_sweep(recipes, assumed)
    if options.json:
        print_json(plan.to_dict())
        return
    rows = [
        {
            "variant": row.variant,
            "runs": row.runs,
            "params": row.params,
            "PMACs": row.macs / 1e15,
            "GPU hours": row.gpu_hours,
            "GB": row.bytes / 1e9,
        }
        for row in plan.networks
    ]
    print_rows(rows, list(rows[0]), options)
    print()
    print_record(plan.totals(), options)


def runs_summary(options: argparse.Namespace) -> None:
    """Print mean and standard deviation over the seeds of every recipe."""
    from cnnviz import runs
    from cnnviz.runs.requests import runs_of

    chosen: dict[str, Any] = {}
    for name in options.id:
        members = runs_of(name)
        chosen |= {run.id: run for run in members or [runs.find_run(name)]}
    found = list(chosen.values()) if options.id else runs.survey_runs().runs
    columns = ["variant", "dataset", "changes", "n", "mean", "sd", "low", "high", "pending"]
    rows = [summary.to_dict() for summary in runs.summarise(found)]
    print_rows(rows if options.json else list(map(readable, rows)), columns, options)


def runs_move(options: argparse.Namespace) -> None:
    """Move a queued run to another place."""
    from cnnviz.runs import find_run, move_run, position

    run = find_run(options.id)
    move_run(run, options.to)
    print_record({"id": run.id, "state": run.state, "position": position(run)}, options)


def runs_clone(options: argparse.Namespace) -> None:
    """Queue a new run with the recipe of another one but for some changes."""
    from cnnviz import runs
    from cnnviz.runs.trainer.start import check_start
    from cnnviz.training.loop import pick_device
    from cnnviz.training.recipe import settings

    source = runs.find_run(options.id)
    fields = {item.name: getattr(options, item.name) for item in settings()}
    changes = {name: value for name, value in fields.items() if value is not None}
    knobs = checked(lambda: given_knobs(options))
    if knobs:
        changes["knobs"] = source.recipe.knobs | knobs
    launch = checked(lambda: launching(options))
    if options.launcher == "local":
        checked(lambda: pick_device(options.device))
    checked(lambda: check_start(source.recipe.changed(**changes)))
    run = runs.clone_run(source, **changes)
    launch(run, options.device)
    record = {"id": run.id, "path": str(run.path), "state": run.state, "cloned_from": source.id}
    print_record({**record, "position": runs.position(run)}, options)


def runs_note(options: argparse.Namespace) -> None:
    """Keep a note with a run, or print the one there is."""
    from cnnviz.runs import find_run, note_run

    run = find_run(options.id)
    if options.text is not None:
        note_run(run, options.text)
    print_record({"id": run.id, "note": run.about.note}, options)
