"""`train --dry-run`: what a run would cost, and nothing started."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cnnviz.cli.output import print_json

if TYPE_CHECKING:
    from cnnviz.runs.costs.estimate import Estimate
    from cnnviz.training.recipe import Recipe


def dry_run(recipe: Recipe, options: argparse.Namespace) -> int:
    """Print the estimate of a run: a line for each figure, or one JSON document."""
    from cnnviz.runs.costs.estimate import estimate

    found = estimate(recipe, options.device)
    if options.json:
        print_json(found.to_dict())
        return 0
    rows = {
        "network": f"{found.params:,} parameters, {found.macs:,} MACs for an image",
        "work": f"{found.work:.3g} MACs: {found.images:,} images × {recipe.epochs} epochs",
        "memory": _memory(found),
        "device": f"{found.device.title}, {_size(found.device.free_bytes)} free of "
        f"{_size(found.device.total_bytes)}",
        **_times(found),
    }
    for name, text in rows.items():
        print(f"{name:8}{text}")
    return 0


def _memory(found: Estimate) -> str:
    """The sum, and its largest parts first."""
    sizes = {name: size for name, size in vars(found.memory).items() if size}
    parts = sorted(sizes.items(), key=lambda item: item[1], reverse=True)
    listed = ", ".join(f"{name} {_size(size)}" for name, size in parts)
    return f"about {_size(found.memory.total)} ({listed})"


def _times(found: Estimate) -> dict[str, str]:
    if found.speed is None or found.seconds is None:
        return {"fits": found.notice or "No: memory ran out while it was measured."}
    speed = found.speed
    likely, shortest, longest = map(duration, found.seconds)
    smaller = ""
    if speed.batch_size < found.recipe.batch_size:
        smaller = f", in batches of {speed.batch_size}"
    return {
        "speed": f"{speed.training:,.0f} images/s, measured in {speed.steps} steps{smaller}",
        "time": f"about {likely} ({shortest} to {longest})",
    }


def _size(size: int) -> str:
    """Bytes as people read them, a thousand to the step."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**power:
            return f"{size / 10**power:.3g} {unit}"
    return f"{size} bytes"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 90:
        return f"{seconds:.2g} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
