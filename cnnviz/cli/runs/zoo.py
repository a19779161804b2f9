"""The command `zoo`: train and publish every network that comes with the project."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cnnviz.cli.errors import checked
from cnnviz.cli.output import print_rows
from cnnviz.cli.runs.commands import execute_here
from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT

if TYPE_CHECKING:
    from cnnviz.runs.zoo import Place

_STOPPED = 143


def zoo_command(options: argparse.Namespace) -> int:
    """Train what is missing of the zoo and publish it, one network after the other."""
    from cnnviz.runs.zoo import survey_zoo
    from cnnviz.training.loop import pick_device
    from cnnviz.training.zoo import find_entries, train_command

    if options.readme:
        return _rewrite_readme()
    entries = checked(lambda: find_entries(options.names))
    checked(lambda: pick_device(options.device))
    if options.dry_run:
        rows = [
            {
                "name": place.entry.name,
                "state": place.state,
                "weights": "published" if place.entry.weights else "card only",
                "run": place.run.id if place.run else None,
                "command": train_command(place.entry.recipe),
            }
            for place in survey_zoo(entries)
        ]
        print_rows(rows, ["name", "state", "weights", "command"], options)
        return 0
    rows, failed = [], False
    for entry in entries:
        (place,) = survey_zoo([entry])  # anew each time: training takes hours
        try:
            status = _do(place, options.device)
        except CnnvizError as error:
            print(f"cnnviz: {entry.name}: {error}", file=sys.stderr)
            failed, status = True, 1
        if status == _STOPPED:
            return status
        rows.append({"name": entry.name, "state": survey_zoo([entry])[0].state})
    print_rows(rows, ["name", "state"], options)
    return int(failed)


def _do(place: Place, device: str) -> int:
    """Bring one network to its publication; 143 if the training was told to stop."""
    from cnnviz.runs import create_run
    from cnnviz.runs.zoo import publish_entry

    if place.state == "published":
        return 0
    if place.state == "training":
        which = place.run.id if place.run else ""
        print(f"cnnviz: {place.entry.name}: the run {which} trains elsewhere.", file=sys.stderr)
        return 0
    run = place.run or create_run(place.entry.recipe)
    if place.state != "trained":
        print(f"{place.entry.name}: {run.path}", file=sys.stderr)
        if status := execute_here(run, device):
            return status
    publish_entry(place.entry, run)
    return 0


def _rewrite_readme() -> int:
    from cnnviz.cli.readme import rewritten

    path = ROOT / "README.md"
    path.write_text(rewritten(path.read_text()))
    return 0
