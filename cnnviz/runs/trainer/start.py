"""Building the trainer of a run: its device, its first weights, and the processes that share it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cnnviz import registry
from cnnviz.architectures import build
from cnnviz.errors import CnnvizError
from cnnviz.prediction import choose_models
from cnnviz.runs.folder import LAST, RECIPE, Run
from cnnviz.settings import cpu_threads, runs_dir
from cnnviz.training import data
from cnnviz.training.devices.choice import is_out_of_memory
from cnnviz.training.devices.distributed import World
from cnnviz.training.initial import refuse_input
from cnnviz.training.loop import Trainer, pick_device
from cnnviz.training.recipe import Recipe, parse_recipe


def prepare(run: Run, device: str, world: World) -> tuple[Trainer, str]:
    """Return the trainer, at the step of the last checkpoint, and what the user should know of it.

    Raises `CnnvizError` where device, data or weights are not to be had. The other processes of
    `world`, where there are any, are told what to do; see `follow`.
    """
    recipe, notice = run.recipe, ""
    last = (run.path / LAST).read_bytes() if (run.path / LAST).exists() else None
    try:
        chosen = pick_device(device)
    except CnnvizError:
        if last is None:
            raise
        chosen, notice = torch.device("cpu"), f"{device} is gone; training goes on on the CPU."
    images = data.load(recipe.dataset)
    start = None if last else starting_weights(recipe)
    task = {"recipe": recipe.model_dump(), "device": chosen.type, "last": last}
    world.from_first(task)
    return _trainer(recipe, images, world.own_device(chosen), last, world, start), notice


def follow(world: World) -> Trainer:
    """Return the trainer of a process that is not the first of `world`, as that one's is.

    It needs the data set on its machine, and nothing else.
    """
    task: dict[str, Any] = world.from_first(None)
    recipe = parse_recipe(task["recipe"])
    device = world.own_device(torch.device(task["device"]))
    images = data.load(recipe.dataset, download=False)
    return _trainer(recipe, images, device, task["last"], world, None)


def _trainer(
    recipe: Recipe,
    images: data.ImageSet,
    device: torch.device,
    last: bytes | None,
    world: World,
    start: dict[str, Tensor] | None,
) -> Trainer:
    if device.type == "cpu":
        torch.set_num_threads(cpu_threads())
    trainer = Trainer(recipe, images, device, start=start, world=world)
    if last is not None:
        trainer.load_state_dict(_state(last))
    return trainer


def _state(last: bytes) -> dict[str, Any]:
    """What `LAST` holds, on the CPU; raises `CnnvizError` where it is damaged."""
    try:
        # A GPU has no need of a second copy, and AdamW's counts of steps may belong on the CPU.
        state: dict[str, Any] = torch.load(io.BytesIO(last), "cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise CnnvizError(
            f"Its {LAST} is damaged, so that it cannot go on: clone the run, or delete that file "
            "from its folder and resume it to begin again."
        ) from error
    return state


def starting_weights(recipe: Recipe) -> dict[str, Tensor] | None:
    """Return the state that `recipe.weights` names, None for random weights.

    Published weights are downloaded once. Raises `CnnvizError` where there is no such model, and
    where it is another network.
    """
    if recipe.weights == "random":
        return None
    if recipe.weights == "imagenet":
        return build(recipe.variant, weights="imagenet").state_dict()
    checkpoint = choose_models([recipe.weights])[recipe.weights]
    card = checkpoint.card
    if (card.variant, card.knobs) != (recipe.variant, recipe.knobs):
        raise CnnvizError(
            f"The model {recipe.weights!r} is {_described(card.variant, card.knobs)} and cannot be "
            f"where {_described(recipe.variant, recipe.knobs)} begins: train that variant."
        )
    return checkpoint.load_model().state_dict()


def check_start(recipe: Recipe) -> None:
    """Raise `CnnvizError` if a run with `recipe` would fail as soon as it starts.

    The network cannot take images of that size, or the model that it begins with is not there and
    will not be: a run that has not ended may be done when this one's turn comes.
    """
    variant = registry.get(recipe.variant)
    if recipe.input_size != tuple(variant.input_size[1:]):
        with torch.device("meta"):  # shapes alone, in no time
            model = variant.build(None, **recipe.knobs)
            refuse_input(model, (variant.input_size[0], *recipe.input_size), variant.name)
    is_run = (runs_dir() / recipe.weights / RECIPE).is_file()
    if recipe.weights not in ("random", "imagenet") and not is_run:
        choose_models([recipe.weights])


def different(recipes: Sequence[Recipe]) -> list[Recipe]:
    """One of all `recipes` that start alike."""
    return list(
        {
            (r.variant, tuple(sorted(r.knobs.items())), r.input_size, r.weights): r for r in recipes
        }.values()
    )


def _described(variant: str, knobs: dict[str, Any]) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in knobs.items())
    return f"{variant} ({chosen})" if chosen else variant
