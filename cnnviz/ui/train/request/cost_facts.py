"""The few numbers that new runs will cost, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cnnviz.runs.costs.estimate import Device
from cnnviz.runs.costs.plan import STEP
from cnnviz.training.recipe import Recipe
from cnnviz.ui.look.format import count, counted, si
from cnnviz.ui.look.panels import Fact
from cnnviz.ui.look.recipe_words import setting_label, value_text, within
from cnnviz.ui.train.request.costs import Cost
from cnnviz.ui.train.request.recipe_form import Form
from cnnviz.ui.train.words import duration


def count_sentence(form: Form, recipes: Sequence[Recipe]) -> str:
    """Say how many runs that makes, and of what."""
    factors = []
    if len(form.names) > 1:
        factors.append(f"{len(form.names)} networks")
    for name, values in form.varied.items():
        listed = ", ".join(value_text(value) for value in values)
        factors.append(f"{within(setting_label(name))} {listed}")
    if form.seeds > 1:
        factors.append(f"{form.seeds} seeds")
    return f"**{len(recipes)} runs**: {' × '.join(factors)}, one after the other on each device."


def facts_of(costs: Sequence[Cost], device: Device | None) -> list[Fact]:
    """Return parameters, work, memory and time of all runs together."""
    return [
        _parameters(costs),
        _work(costs),
        _memory(costs, device),
        _time(costs, device),
    ]


def _parameters(costs: Sequence[Cost]) -> Fact:
    low, high = min(c.params for c in costs), max(c.params for c in costs)
    macs = sorted({cost.macs for cost in costs})
    an_image = f"{si(macs[0], 'MACs')} an image"
    if low == high:
        return Fact("Parameters", si(low), an_image, count(low))
    an_image = f"{si(macs[0])} to {si(macs[-1], 'MACs')} an image"
    return Fact("Parameters", f"{si(low)} – {si(high)}", an_image, f"{count(low)} – {count(high)}")


def _work(costs: Sequence[Cost]) -> Fact:
    total = sum(cost.work for cost in costs)
    note = "forward, and twice that backward, of all runs"
    if len(costs) == 1:
        (cost,) = costs
        passes = 1 if cost.recipe.freeze else STEP
        note = (
            f"{passes} × {si(cost.macs, 'MACs')} × {counted(cost.images, 'image')} × "
            f"{counted(cost.recipe.epochs, 'epoch')}"
        )
    return Fact("Work", si(total, "MACs"), note, f"{count(total)} multiply-accumulates")


def _memory(costs: Sequence[Cost], device: Device | None) -> Fact:
    known = [cost.memory for cost in costs if cost.memory is not None]
    free = f"of {si(device.free_bytes, 'B')} free" if device else "on the cluster's device"
    if not known:
        return Fact("Memory", "–", free)
    largest = max(costs, key=lambda cost: cost.memory or 0)
    about = "" if largest.estimate else "≈ "
    several = "the largest, " if len(costs) > 1 else ""
    batch = f"with {counted(min(largest.recipe.batch_size, largest.images), 'image')} in a batch"
    return Fact("Memory", f"{about}{si(max(known), 'B')}", f"{several}{free}, {batch}")


def _time(costs: Sequence[Cost], device: Device | None) -> Fact:
    known = [cost.seconds for cost in costs if cost.seconds is not None]
    if device is None:
        return Fact("Time", "–", "is not known for a cluster")
    if len(known) < len(costs):
        part = f"{len(known)} of {len(costs)} runs are known" if known else "not measured yet"
        return Fact("Time", "–", part)
    sources = Counter(cost.source for cost in costs)
    if len(costs) == 1 and (estimate := costs[0].estimate) and estimate.seconds:
        _, low, high = estimate.seconds
        note = f"measured: {duration(low)} to {duration(high)} on {device.name}"
    else:
        note = next(iter(sources)) if len(sources) == 1 else "measured, or as runs before"
        note += f" on {device.name}"
        note += ", all runs one after the other" if len(costs) > 1 else ""
    return Fact("Time", f"≈ {duration(sum(known))}", note)
