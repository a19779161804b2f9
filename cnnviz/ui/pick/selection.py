"""A network with its settings, as the Explore page shows it and as a URL says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import KnobValue, Variant
from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.cache.anatomy.networks import Arguments
from cnnviz.ui.look.format import size as format_size
from cnnviz.ui.state import url

MAX_SIDE = 1024
MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Selection:
    """A variant with the settings that the visitor changed."""

    variant: Variant
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)
    input_size: tuple[int, int, int] | None = None
    num_classes: int | None = None

    @property
    def arguments(self) -> Arguments:
        """The arguments of `cnnviz.ui.cache.anatomy.networks`, with every default filled in."""
        knobs = self.variant.check_knobs(dict(self.knobs))
        size = self.input_size or self.variant.input_for(**knobs)
        classes = self.num_classes or self.variant.num_classes
        return self.variant.name, tuple(sorted(knobs.items())), size, classes

    @property
    def title(self) -> str:
        """The variant's title with whatever is not its default: "VGG-16, width 0.5, 9 classes"."""
        _, _, size, classes = self.arguments
        knobs = self.variant.check_knobs(dict(self.knobs))  # in the variant's order
        parts = [self.variant.titled(knobs)]
        if size != self.variant.input_for(**knobs):
            parts.append(f"input {format_size(size)}")
        if classes != self.variant.num_classes:
            parts.append(f"{classes:,} {'class' if classes == 1 else 'classes'}")
        return ", ".join(parts)

    @property
    def file_name(self) -> str:
        """The name of a file about this network, without an ending: ``vgg16_cifar-width-0.5``."""
        variant, *settings = self.to_query().items()
        return "-".join([variant[1], *(f"{key}-{value}" for key, value in settings)])

    @property
    def is_default(self) -> bool:
        """Tell whether the variant stands as it is, with no setting changed."""
        return self.arguments == Selection(self.variant).arguments

    @property
    def has_own_layers(self) -> bool:
        """Tell whether the layers are the variant's own, read at whichever size."""
        _, knobs, _, classes = self.arguments
        own = self.variant.check_knobs({})
        return dict(knobs) == own and classes == self.variant.num_classes

    def to_text(self) -> str:
        """Return the selection as one word of a query: ``mobilenet_v1~width~0.5``."""
        (_, name), *settings = self.to_query().items()
        return url.BETWEEN.join([name, *(part for setting in settings for part in setting)])

    def to_query(self) -> dict[str, str]:
        """Return the query of this selection: the variant and whatever is not its default."""
        _, knobs, size, classes = self.arguments
        query = {"variant": self.variant.name}
        defaults = {knob.name: knob.default for knob in self.variant.knobs}
        query |= {name: text_of(value) for name, value in knobs if value != defaults[name]}
        if size != self.variant.input_for(**dict(knobs)):
            query["input"] = "x".join(map(str, size))
        if classes != self.variant.num_classes:
            query["classes"] = str(classes)
        return query


def from_query(
    query: Mapping[str, str], default: Variant | None = None
) -> tuple[Selection, list[str]]:
    """Read a selection; what cannot be is left at its default and named in the second result.

    Where the query names no variant and no family that exist, it is of `default`, or of the first
    of all variants.
    """
    problems: list[str] = []
    variant = default or registry.list_variants()[0]
    try:
        if "variant" in query:
            variant = registry.get(query["variant"][:60])
        elif "family" in query:
            family = registry.get_architecture(query["family"][:60])
            variant = registry.list_variants(family.name)[0]
    except CnnvizError as error:
        reason, _, hint = str(error).partition("; ")
        if hint.startswith("did you mean"):  # other hints list what the pickers list too
            reason = f"{reason}; {hint}"
        end = "" if reason.endswith((".", "?")) else "."
        return Selection(variant), [f"{reason}{end} Showing {variant.title} instead."]
    knobs: dict[str, KnobValue] = {}
    for knob in variant.knobs:
        said = query[knob.name][:60] if knob.name in query else knob.default
        try:
            knobs[knob.name] = knob.check(said)
        except CnnvizError as error:
            problems.append(f"{error} Showing {text_of(knob.default)} instead.")
    foreign = _all_knobs() & query.keys() - {knob.name for knob in variant.knobs}
    problems += [f"{variant.title} has no setting called {name}." for name in sorted(foreign)]
    size, classes = variant.input_for(**knobs), variant.num_classes
    try:
        size = _read_size(query["input"], variant) if "input" in query else size
    except CnnvizError as error:
        problems.append(f"{error} Showing {format_size(size)} instead.")
    text = query.get("classes", str(classes))
    if re.fullmatch(r"0*[0-9]{1,9}", text) and 1 <= int(text.lstrip("0") or 0) <= MAX_CLASSES:
        classes = int(text)
    else:
        problems.append(
            f"classes must be a whole number from 1 to {MAX_CLASSES:,}, not {text[:60]!r}. "
            f"Showing {classes:,} instead."
        )
    asked = Selection(variant, knobs, size, classes)
    found, reason = nearest(asked)
    if reason:
        problems.append(f"{reason} Showing {found.title} instead.")
    return found, problems


def from_text(text: str, default: Variant) -> tuple[Selection, list[str]]:
    """Read what `Selection.to_text` wrote, as `from_query` reads a query."""
    name, *rest = text.split(url.BETWEEN)
    settings = dict(zip_longest(rest[::2], rest[1::2], fillvalue=""))
    selection, problems = from_query({**settings, "variant": name}, default)
    unknown = settings.keys() - _all_knobs() - {"input", "classes"}
    if unknown and selection.variant.name == name:
        called = ", ".join(sorted(unknown))[:60]
        problems.append(f"{selection.variant.title} has no setting called {called!r}.")
    return selection, problems


def nearest(asked: Selection) -> tuple[Selection, str]:
    """Return what is `asked` for, or with fewer of its settings, and why: "" where it can be."""
    reason = ""
    for fewer in (asked, Selection(asked.variant, asked.knobs), Selection(asked.variant)):
        try:
            networks.traced(*fewer.arguments)  # kept: the page shows this very trace
        except CnnvizError as error:
            reason = reason or str(error)
        else:
            return fewer, reason
    raise AssertionError(f"{asked.variant.name} cannot be built as it stands: {reason}")


def _all_knobs() -> set[str]:
    """Return the names of the knobs of every variant: what else a URL has may be anybody's."""
    return {knob.name for variant in registry.list_variants() for knob in variant.knobs}


def _read_size(text: str, variant: Variant) -> tuple[int, int, int]:
    channels, height, width = variant.input_size
    found = re.fullmatch(r"(?:(\d{1,4})x)?(\d{1,4})x(\d{1,4})", text)
    sides = (int(found[2]), int(found[3])) if found else (0, 0)
    if not found or not all(1 <= side <= MAX_SIDE for side in sides):
        raise CnnvizError(
            f"input must look like {channels}x{height}x{width}, sides from 1 to {MAX_SIDE}, "
            f"not {text[:60]!r}."
        )
    if found[1] and int(found[1]) != channels:
        noun = "channel" if channels == 1 else "channels"
        raise CnnvizError(f"{variant.name} reads {channels} {noun}, not {found[1]}.")
    return channels, *sides


def text_of(value: KnobValue) -> str:
    """Write the value of a knob as a URL has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
