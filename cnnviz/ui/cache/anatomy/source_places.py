"""Where a module of a variant stands in the source: its class, and the lines that use it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cnnviz import registry
from cnnviz.registry import KnobValue

_MOST_LINES = 6

Knobs = tuple[tuple[str, KnobValue], ...]


@dataclass(frozen=True)
class Place:
    """Where a node is written.

    Attributes:
        cls: the class of the module itself, with its package: ``nn.Conv2d``.
        owner: the class whose code builds and calls it, the first around it outside `torch.nn`.
        place: the owner's file, from its package on.
        line: the owner's first line.
        mentions: (line number, text) of the owner's lines that name the module or operator.
        text: the owner's source.

    """

    cls: str
    owner: str
    place: str
    line: int
    mentions: tuple[tuple[int, str], ...]
    text: str

    @property
    def sentence(self) -> str:
        """What it is and where it is written, as half a sentence."""
        name = self.cls.rpartition(".")[2]
        used = "" if name == self.owner else f" in {self.owner}"
        return f"{self.cls}{used}, {self.place}"


def classes(variant: str, knobs: Knobs) -> dict[str, type]:
    """Return the class of each module by its path, built without weights."""
    with torch.device("meta"):
        model = registry.get(variant).build(None, **dict(knobs))
    return {path: type(module) for path, module in model.named_modules(remove_duplicate=False)}


def find(known: Mapping[str, type], module: str, op: str = "") -> Place | None:
    """Find the source of the module at the dotted path `module`, where `known` are the `classes`.

    Lines that name the module's attribute count as mentions; where there are none, or the module's
    own code calls `op`, the lines with that operator. None where there is no such module.
    """
    if module not in known:
        return None
    around = module
    while around and known[around].__module__.startswith("torch.nn"):
        around = around.rpartition(".")[0]
    owner = known[around]
    lines, first = inspect.getsourcelines(owner)
    attribute = module[len(around) :].lstrip(".").split(".")[0]
    word = rf"self\.{re.escape(attribute)}\b" if attribute else rf"\b{re.escape(op.rstrip('_'))}\("
    wanted = re.compile(word)
    mentions = [
        (first + index, line.strip())
        for index, line in enumerate(lines)
        if (attribute or op) and wanted.search(line) and not line.lstrip().startswith("#")
    ]
    file = Path(inspect.getsourcefile(owner) or "")
    package = _package(owner)
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    return Place(
        cls=f"{_package(known[module])}.{known[module].__name__}",
        owner=owner.__name__,
        place="/".join(parts),
        line=first,
        mentions=tuple(mentions[:_MOST_LINES]),
        text="".join(lines),
    )


def _package(cls: type) -> str:
    name = cls.__module__
    return "nn" if name.startswith("torch.nn") else name.split(".")[0]
