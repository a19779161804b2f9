"""The networks that come trained with this project: which, and by what recipe each.

All of CIFAR-10's training images (or the digits') are trained on and nothing is held out, since
every recipe was fixed beforehand: nothing is chosen by a result.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue
from cnnviz.training.recipe import RESULT_FREE, Recipe, default_recipe


@dataclass(frozen=True)
class Entry:
    """A network of the zoo: its published name, and what its recipe changes in its variant's own.

    `weights`: whether its weights are published, or only its card. Of several seeds of a recipe one
    is enough to look into; the others say how much chance there is in its accuracy.
    """

    name: str
    variant: str
    dataset: str = "cifar10"
    epochs: int | None = None
    seed: int = 0
    knobs: dict[str, KnobValue] = field(default_factory=dict)
    weights: bool = True

    @property
    def recipe(self) -> Recipe:
        """Everything that decides its training."""
        return default_recipe(
            self.variant,
            self.dataset,
            knobs=self.knobs or None,
            epochs=self.epochs,
            seed=self.seed,
            holdout=0,
        )


def _trained(
    variant: str,
    *,
    width: float | None = None,
    epochs: int | None = None,
    seeds: int = 1,
    name: str = "",
    dataset: str = "cifar10",
) -> list[Entry]:
    """A network trained with the seeds 0 … `seeds` − 1; the weights of the first are published."""
    knobs: dict[str, KnobValue] = {} if width is None else {"width": width}
    first = name or variant
    return [
        Entry(f"{first}-seed{s}" if s else first, variant, dataset, epochs, s, knobs, not s)
        for s in range(seeds)
    ]


ZOO: tuple[Entry, ...] = (
    *_trained("lenet5", dataset="digits"),
    *_trained("lenet5_cifar", seeds=3),
    *_trained("lenet_modern"),
    *_trained("alexnet_cifar", width=0.5),
    *_trained("zfnet_cifar", width=0.5),
    *_trained("vgg11_bn_cifar", width=0.5),
    *_trained("vgg16_bn_cifar", width=0.5),
    *_trained("googlenet_slim_cifar", epochs=30),
    *_trained("resnet20_cifar", seeds=3),
    *_trained("resnet56_cifar", epochs=40),
    *_trained("plain20_cifar", seeds=3),
    *_trained("plain56_cifar", epochs=40),
    *_trained("mobilenet_v1_cifar", width=0.25, name="mobilenet_v1_cifar-025"),
    *_trained("mobilenet_v1_cifar", width=0.5, seeds=3),
    *_trained("mobilenet_v1_cifar", width=1.0, name="mobilenet_v1_cifar-100"),
    *_trained("convnext_atto_cifar", epochs=18),
)


def find_entries(names: list[str]) -> list[Entry]:
    """Return the entries called `names`, in the zoo's order; all of them where none is named.

    Raises `CnnvizError` for a name that is none.
    """
    known = {entry.name: entry for entry in ZOO}
    for name in names:
        if name not in known:
            raise CnnvizError(f"The zoo has no {name!r}; it has: {', '.join(known)}.")
    return [entry for entry in ZOO if not names or entry.name in names]


def same_training(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes decide the same training."""
    fields = [recipe.model_dump(exclude=set(RESULT_FREE)) for recipe in (one, other)]
    return fields[0] == fields[1]


def train_command(recipe: Recipe) -> str:
    """The shortest command that trains `recipe`: ``train resnet20_cifar --holdout 0``."""
    own = default_recipe(recipe.variant, recipe.dataset)
    words = ["train", recipe.variant]
    if recipe.dataset != "cifar10":
        words += ["--dataset", recipe.dataset]
    for name, value in recipe.knobs.items():
        if value != own.knobs.get(name):
            words += ["--width", f"{value}"] if name == "width" else ["--set", f"{name}={value}"]
    for name, value in recipe.model_dump(exclude={"variant", "dataset", "knobs"}).items():
        if name in RESULT_FREE or value == getattr(own, name):
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", f"{value}"]
    return shlex.join(words)
