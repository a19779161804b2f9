"""What cnnviz can build: families of networks, their variants and the variants' knobs, as data.

`cnnviz.families` registers the families, and `cnnviz.architectures` their variants, one paper per
file. Nothing here and in the families imports torch, so both can be read where only data matters.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from torch import nn

Edition = Literal["paper", "cifar"]
KnobValue = int | float | str | bool


@dataclass(frozen=True)
class Knob:
    """A choice that a variant offers, such as a width multiplier.

    Either `choices` lists every allowed value, or `low` and `high` bound a number (both included).
    """

    name: str
    default: KnobValue
    help: str
    choices: tuple[KnobValue, ...] = ()
    low: float | None = None
    high: float | None = None

    def check(self, value: KnobValue) -> KnobValue:
        """Return `value` in the type of the default, or raise `CnnvizError` with the reason."""
        kind = type(self.default)
        try:
            converted = _convert(value, kind)
        except (ValueError, OverflowError):
            raise CnnvizError(f"{self.name} must be {_kind_name(kind)}, not {value!r}.") from None
        if self.choices and converted not in self.choices:
            allowed = ", ".join(str(choice) for choice in self.choices)
            raise CnnvizError(f"{self.name} must be one of {allowed}, not {converted!r}.")
        if self.low is not None and self.high is not None:
            number = float(converted)
            if not self.low <= number <= self.high:
                raise CnnvizError(
                    f"{self.name} must lie between {self.low:g} and {self.high:g}, not {number:g}."
                )
        return converted


def _setting(name: str, value: KnobValue) -> str:
    """Write a knob and its value: "width 0.5", "with LRN", "without overlap"."""
    word = {"lrn": "LRN", "aux": "auxiliary classifiers"}.get(name, name)
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {word}"
    return f"{word} {value:g}" if isinstance(value, float) else f"{word} {value}"


def _convert(value: object, kind: type) -> KnobValue:
    """Return `value` as `kind`, from its text too; raise `ValueError` where that would guess."""
    if kind is bool:
        named = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if (text := str(value).lower()) in named:
            return named[text]
    elif kind is str:
        if isinstance(value, str):
            return value
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and (kind is float or number == int(number)):
            return int(number) if kind is int else number
    raise ValueError(value)


def _kind_name(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "a word")


@dataclass(frozen=True)
class Architecture:
    """A family of networks and the paper it comes from.

    `idea` is the paper's idea in two sentences; `changed` says what it changed against the family
    before it on the road; `motto` is the idea in a handful of words, for pictures. `first` is the
    name of the variant that a link to the family opens. `against` is the network that stands for
    that earlier family, a variant's name for each edition; the first family has none.
    """

    name: str
    title: str
    year: int
    authors: str
    citation: str
    url: str
    motto: str
    idea: str
    changed: str
    first: str = ""
    against: Mapping[Edition, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One departure of a variant from its paper, and the reason.

    `only` names the knobs, with their values, at which it is one; at any by default.
    """

    what: str
    why: str
    only: Mapping[str, KnobValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A network that can be built by name.

    `input_size` is (channels, height, width); `builder(num_classes, **knobs)` returns the network
    with random weights. `changes` lists each departure from the paper or, where the
    network is itself a step of a paper, what that step changed against the network named by
    `step_from` ("" for all others). A knob called `resolution`
    changes the input, not the network: it sets height and width, and the builder never sees it.
    `weights` names torchvision's published weights for the network as it stands, such as
    ``"ResNet50_Weights.IMAGENET1K_V1"``; "" where there are none.
    """

    name: str
    architecture: str
    title: str
    edition: Edition
    input_size: tuple[int, int, int]
    num_classes: int
    builder: Callable[..., nn.Module]
    knobs: tuple[Knob, ...] = ()
    changes: tuple[Change, ...] = ()
    summary: str = ""
    weights: str = ""
    step_from: str = ""

    @property
    def family(self) -> Architecture:
        """The architecture that this variant belongs to."""
        return get_architecture(self.architecture)

    def titled(self, knobs: Mapping[str, KnobValue]) -> str:
        """Return the title with those of `knobs` that are not as the variant has them.

        "VGG-16" with a width of 0.5 is "VGG-16, width 0.5"; with lrn switched on, "…, with LRN".
        """
        own = {knob.name: knob.default for knob in self.knobs}
        turned = {name: value for name, value in knobs.items() if value != own.get(name)}
        return ", ".join([self.title, *(_setting(*item) for item in turned.items())])

    def changes_with(self, knobs: Mapping[str, KnobValue]) -> list[Change]:
        """Return those of `changes` that hold with these values of every knob.

        What the values themselves set otherwise than the paper is not among them.
        """
        return [
            change
            for change in self.changes
            if all(knobs[name] == value for name, value in change.only.items())
        ]

    def check_knobs(self, knobs: dict[str, Any]) -> dict[str, KnobValue]:
        """Return every knob with its checked value, the default where `knobs` has none."""
        known = {knob.name: knob for knob in self.knobs}
        for name in knobs:
            if name not in known:
                offered = ", ".join(known) or "none"
                raise CnnvizError(f"{self.name} has no knob {name!r}; its knobs: {offered}.")
        return {name: knob.check(knobs.get(name, knob.default)) for name, knob in known.items()}

    def build(self, num_classes: int | None = None, **knobs: KnobValue) -> nn.Module:
        """Build the network with random weights, for `num_classes` (its own number if None)."""
        classes = self.num_classes if num_classes is None else num_classes
        if isinstance(classes, bool) or not isinstance(classes, int) or not 1 <= classes <= 100_000:
            raise CnnvizError(
                f"num_classes must be a whole number from 1 to 100000, not {classes}."
            )
        checked = self.check_knobs(knobs)
        checked.pop("resolution", None)
        return self.builder(num_classes=classes, **checked)

    def input_for(self, **knobs: KnobValue) -> tuple[int, int, int]:
        """Return the input size with these knobs: `input_size`, or the knob `resolution` squared.

        Raises `CnnvizError` for a knob that does not exist or an impossible value.
        """
        channels, height, width = self.input_size
        checked = self.check_knobs(knobs)
        if "resolution" in checked:
            height = width = int(checked["resolution"])
        return channels, height, width


#: More names than this are not listed in a message.
_MOST_LISTED = 12

_architectures: dict[str, Architecture] = {}
_variants: dict[str, Variant] = {}


def register_architecture(architecture: Architecture) -> Architecture:
    """Add a family. Raises `ValueError` if the name is taken."""
    if architecture.name in _architectures:
        raise ValueError(f"the architecture {architecture.name!r} is registered twice")
    _architectures[architecture.name] = architecture
    return architecture


def register(variants: Iterable[Variant]) -> None:
    """Add variants. Raises `ValueError` if a name is taken or the family is not registered."""
    for variant in variants:
        if variant.name in _variants:
            raise ValueError(f"the variant {variant.name!r} is registered twice")
        if variant.architecture not in _architectures:
            raise ValueError(f"{variant.name!r} belongs to no registered architecture")
        _variants[variant.name] = variant


def _look_up(kind: str, name: str, table: dict[str, Any]) -> Any:  # noqa: ANN401
    if name in table:
        return table[name]
    close = difflib.get_close_matches(str(name).lower(), table, n=1)
    if close:
        hint = f"did you mean {close[0]!r}?"
    elif len(table) <= _MOST_LISTED:
        hint = f"known: {', '.join(table)}."
    else:
        hint = "`python -m cnnviz list` shows all."
    raise CnnvizError(f"There is no {kind} called {name!r}; {hint}")


def get(name: str) -> Variant:
    """Return the variant called `name`, or raise `CnnvizError` naming the nearest one."""
    variant: Variant = _look_up("variant", name, _variants)
    return variant


def get_architecture(name: str) -> Architecture:
    """Return the family called `name`, or raise `CnnvizError` naming the nearest one."""
    architecture: Architecture = _look_up("architecture", name, _architectures)
    return architecture


def list_variants(architecture: str | None = None) -> list[Variant]:
    """Return the variants in the order of the road, those of one family if it is named.

    Raises `CnnvizError` for a family that does not exist.
    """
    if architecture is not None:
        get_architecture(architecture)
    road = [item.name for item in list_architectures()]
    chosen = [v for v in _variants.values() if architecture in (None, v.architecture)]
    return sorted(chosen, key=lambda v: road.index(v.architecture))  # stable: keeps file order


def list_architectures() -> list[Architecture]:
    """Return the families, oldest first (VGG before GoogLeNet, as in the chapter)."""
    return sorted(_architectures.values(), key=lambda item: item.year)
