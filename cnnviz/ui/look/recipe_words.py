"""What the app calls the settings of a recipe, and their values."""

from __future__ import annotations

from typing import Any

from cnnviz.registry import Knob
from cnnviz.runs import changes_of
from cnnviz.training.recipe import Recipe

_LABELS = {
    "lr": "Learning rate",
    "vary": "Values to try",
    "ema": "Weight averaging",
    "grad_clip": "Gradient clip",
    "holdout": "Held-out images",
    "compile": "torch.compile",
    "tensorboard": "TensorBoard files",
    "snapshots": "Keep epochs",
    "weights": "Begin with",
    "freeze": "Last layer only",
    "resize": "Resize to",
    "crop": "Crop to",
    "warmup_epochs": "Warm-up epochs",
}


def setting_label(name: str) -> str:
    """The name of a setting or a knob for people: "batch_size" -> "Batch size"."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def refusal(error: Exception) -> str:
    """What an error says of a setting, by the name that it has on the page."""
    name, colon, reason = str(error).partition(": ")
    known = name in (*Recipe.model_fields, "vary", "seeds")
    return f"{setting_label(name)}{colon}{reason}" if colon and known else str(error)


def within(label: str) -> str:
    """A label as it stands within a sentence: "Learning rate" -> "learning rate"."""
    return label if label[1:2].isupper() else f"{label[0].lower()}{label[1:]}"


def value_text(value: Any) -> str:  # noqa: ANN401 - of any setting
    """The value of a setting: True -> "yes", 0.05 -> "0.05"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def knob_text(knob: Knob) -> str:
    """The name of a knob in words."""
    return knob.name.replace("_", " ").capitalize()


def changes_text(recipe: Recipe) -> str:
    """What was asked for beside the network's own recipe, its knobs and epochs: "cutout 8"."""
    changes = changes_of(recipe).items()
    elsewhere = ("epochs", *recipe.knobs)  # in columns of their own, and in the title
    return ", ".join(
        f"{within(setting_label(name))} {value_text(value)}"
        for name, value in changes
        if name not in elsewhere
    )
