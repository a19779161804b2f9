"""What the Explore page shows, and its place in the URL: read, picked, written back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import Knob, KnobValue, Variant
from cnnviz.ui import caches, url
from cnnviz.ui.caches import Arguments
from cnnviz.ui.format import plain
from cnnviz.ui.format import size as format_size

MAX_SIDE = 1024
MAX_CLASSES = 100_000
#: What a view of the page keeps in the URL beside the selection.
VIEW_KEYS = (
    *("view", "layer", "other", "cost", "photo", "weights"),
    *("level", "open", "colour", "find", "sort", "same", "code"),
)
# In `url.seen`:
_SEEN = "explore_seen"  # the query that the URL is expected to have at the next run
_MEANT = "explore_meant"  # what that query stands for, as `Selection.to_query` writes it
_BARE = "explore_bare"  # what a URL without a query stands for
# In the session's state:
_LAST = "explore_last"  # what was shown last, kept while the visitor is on another page
_POSSIBLE = "explore_possible"  # the last selection that was a network
_FAMILY, _VARIANT = "explore_family", "explore_variant"


@dataclass(frozen=True)
class Selection:
    """A variant with the settings that the visitor changed."""

    variant: Variant
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)
    input_size: tuple[int, int, int] | None = None
    num_classes: int | None = None

    @property
    def arguments(self) -> Arguments:
        """The arguments of the functions in `cnnviz.ui.caches`, with every default filled in."""
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

    def to_query(self) -> dict[str, str]:
        """Return the query of this selection: the variant and whatever is not its default."""
        _, knobs, size, classes = self.arguments
        query = {"variant": self.variant.name}
        defaults = {knob.name: knob.default for knob in self.variant.knobs}
        query |= {name: _text(value) for name, value in knobs if value != defaults[name]}
        if size != self.variant.input_for(**dict(knobs)):
            query["input"] = "x".join(map(str, size))
        if classes != self.variant.num_classes:
            query["classes"] = str(classes)
        return query


def from_query(query: Mapping[str, str]) -> tuple[Selection, list[str]]:
    """Read a selection; what cannot be is left at its default and named in the second result."""
    problems: list[str] = []
    variant = registry.list_variants()[0]
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
        try:
            knobs[knob.name] = knob.check(query.get(knob.name, knob.default))
        except CnnvizError as error:
            problems.append(f"{error} Showing {_text(knob.default)} instead.")
    foreign = _all_knobs() & query.keys() - {knob.name for knob in variant.knobs}
    problems += [f"{variant.title} has no setting called {name}." for name in sorted(foreign)]
    size, classes = variant.input_for(**knobs), variant.num_classes
    try:
        size = _read_size(query["input"], variant) if "input" in query else size
    except CnnvizError as error:
        problems.append(f"{error} Showing {format_size(size)} instead.")
    text = query.get("classes", str(classes))
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_CLASSES:
        classes = int(text)
    else:
        problems.append(
            f"classes must be a whole number from 1 to {MAX_CLASSES:,}, not {text[:60]!r}. "
            f"Showing {classes:,} instead."
        )
    asked = Selection(variant, knobs, size, classes)
    nearest, reason = _nearest(asked)
    if reason:
        problems.append(f"{reason} Showing {nearest.title} instead.")
    return nearest, problems


def _nearest(asked: Selection) -> tuple[Selection, str]:
    """Return what is `asked` for, or with fewer of its settings, and why: "" where it can be."""
    reason = ""
    for fewer in (asked, Selection(asked.variant, asked.knobs), Selection(asked.variant)):
        try:
            caches.traced(*fewer.arguments)  # kept: the page shows this very trace
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
            f"not {text!r}."
        )
    if found[1] and int(found[1]) != channels:
        noun = "channel" if channels == 1 else "channels"
        raise CnnvizError(f"{variant.name} reads {channels} {noun}, not {found[1]}.")
    return channels, *sides


def _text(value: KnobValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def pick() -> tuple[Selection, list[str]]:
    """Write the pickers in one row and return what they say, and what in the URL could not be.

    The URL wins where it is not what was seen here last: a deep link, the browser's back button.
    It is written only where it means something else than what is picked: an entry of the history
    that is rewritten as soon as it is visited would keep Back from ever leaving the page.
    """
    state, seen = st.session_state, url.seen()
    query = {key: value for key, value in url.query().items() if key not in VIEW_KEYS}
    arrived = _FAMILY not in state  # the pickers are forgotten while another page is shown
    if arrived or query != seen.get(_SEEN):
        _follow(query, arrived)
    problems = from_query(query)[1]
    selection = _row()
    written = state[_LAST] = selection.to_query()
    with url.collected():
        if written != seen[_MEANT]:
            for key, value in {**dict.fromkeys(query, ""), **written}.items():
                url.write(key, value)
            query = seen[_MEANT] = written
            problems = []
        seen[_SEEN] = query
    return selection, problems


def _follow(query: Mapping[str, str], arrived: bool) -> None:
    """Put what the URL means into the pickers; `arrived`: from another page, or for the first time.

    Without a query that is what was shown last, and the URL is to say so. Where Back has led to
    such a URL it is what it stood for, and it stays as it is.
    """
    seen = url.seen()
    if not query and arrived:
        seen[_BARE] = st.session_state.get(_LAST, {})
    meant = from_query(query or seen.get(_BARE, {}))[0]
    _seed(meant)
    seen[_MEANT] = {} if not query and arrived else meant.to_query()


def _seed(selection: Selection) -> None:
    """Put `selection` into the pickers."""
    name, knobs, (_, height, width), classes = selection.arguments
    picked: dict[str, object] = {_FAMILY: selection.variant.architecture, _VARIANT: name}
    settings = {"classes": classes, "input_height": height, "input_width": width, **dict(knobs)}
    picked |= {_key(name, setting): value for setting, value in settings.items()}
    for key, value in picked.items():
        st.session_state[key] = value
        url.chosen_by(key)


def _key(variant: str, name: str) -> str:
    return f"explore_{variant}_{name}"


def _first_of_family() -> None:
    first = registry.list_variants(st.session_state[_FAMILY])[0]
    _seed(Selection(first))


def _own_settings() -> None:
    _seed(Selection(registry.get(st.session_state[_VARIANT])))


def _row() -> Selection:
    families = {item.name: item for item in registry.list_architectures()}
    with st.container(horizontal=True, vertical_alignment="bottom", key="explore_pickers"):
        family = st.selectbox(
            "Family",
            list(families),
            key=_FAMILY,
            format_func=lambda name: f"{families[name].title} · {families[name].year}",
            on_change=_first_of_family,
        )
        variants = {item.name: item for item in registry.list_variants(family)}
        name = st.selectbox(
            "Variant",
            list(variants),
            key=_VARIANT,
            format_func=lambda name: variants[name].title,
            on_change=_own_settings,
        )
        with st.popover("Adjust", icon=":material/tune:"):
            asked, refused = _settings(variants[name])
            shown, impossible = _possible(asked)
    if refused or impossible:  # the reason stands beside the field, which may be closed
        st.caption(
            f":material/warning: **Adjust** holds a setting that cannot be; {shown.title} is shown."
        )
    return shown


def _possible(asked: Selection) -> tuple[Selection, bool]:
    """Return what is `asked` for or, where no such network can be, the one before, and say so.

    The second is whether that is so.
    """
    nearest, reason = _nearest(asked)
    before: Selection | None = st.session_state.get(_POSSIBLE)
    if reason and before is not None and before.variant == asked.variant:
        nearest = before
    if reason:
        st.error(f"{plain(reason)} {nearest.title} is shown.")
    st.session_state[_POSSIBLE] = nearest
    return nearest, bool(reason)


def _settings(variant: Variant) -> tuple[Selection, bool]:
    """Write the controls; return what they say, and whether a number of them was refused."""
    knobs = {knob.name: _knob(variant, knob) for knob in variant.knobs}
    tall, wide = st.columns(2)
    with tall:
        height = _whole("Input height", (1, MAX_SIDE), _key(variant.name, "input_height"))
    with wide:
        width = _whole("Input width", (1, MAX_SIDE), _key(variant.name, "input_width"))
    classes = _whole("Classes", (1, MAX_CLASSES), _key(variant.name, "classes"))
    selection = Selection(variant, knobs, (variant.input_size[0], height, width), classes)
    fields = [_key(variant.name, name) for name in ("input_height", "input_width", "classes")]
    fields += [_key(variant.name, name) for name in knobs]
    state = st.session_state
    refused = [key for key in fields if state.get(f"{key}_accepted", state[key]) != state[key]]
    return selection, bool(refused)


def _whole(label: str, limits: tuple[int, int], key: str, tip: str = "") -> int:
    """Write the control of a whole number.

    One of whole numbers alone would read 1e9 as 1, and say nothing.
    """
    return int(_number(label, limits, 1, key, tip, whole=True))


def _number(
    label: str,
    limits: tuple[float, float],
    step: float,
    key: str,
    tip: str = "",
    whole: bool = False,
) -> float:
    """Write the control of a number, and why one that is out of its `limits` is not shown.

    With limits of its own the control would turn red and keep the number, and the reason, to
    itself. Returns what it says, or the last number that could be.
    """
    state, accepted = st.session_state, f"{key}_accepted"
    state[key] = float(state[key])
    # By default a width of 0.125 would read 0.13.
    said = st.number_input(label, step=float(step), key=key, help=tip or None, format="%g")
    low, high = limits
    if low <= said <= high and not (whole and said % 1):
        state[accepted] = said
        return said
    kept: float = state[accepted]
    must = f"{label} must be a whole number" if whole and said % 1 else f"{label} must lie"
    st.error(f"{must} between {low:,g} and {high:,g}: {kept:,g} is shown.")
    return kept


def _resize(variant: Variant) -> None:
    """Set the input's height and width to the resolution that was picked."""
    side = st.session_state[_key(variant.name, "resolution")]
    for name in ("input_height", "input_width"):
        st.session_state[_key(variant.name, name)] = side


def _knob(variant: Variant, knob: Knob) -> KnobValue:
    """Write the control that fits a knob: a switch, a choice or a number."""
    key, label = _key(variant.name, knob.name), knob.name.replace("_", " ").capitalize()
    label = {"lrn": "LRN", "aux": "Auxiliary classifiers"}.get(knob.name, label)
    value: KnobValue
    if isinstance(knob.default, bool):
        value = st.toggle(label, key=key, help=knob.help)
    elif knob.choices:
        value = st.selectbox(
            label,
            knob.choices,
            key=key,
            help=knob.help,
            format_func=_text,
            on_change=_resize if knob.name == "resolution" else None,
            args=(variant,),
        )
    elif isinstance(knob.default, int):
        limits = int(knob.low or 0), int(knob.high or MAX_SIDE)
        value = _whole(label, limits, key, knob.help)
    elif isinstance(knob.default, float):
        bounds = float(knob.low or 0), float(knob.high or 8)
        value = _number(label, bounds, 0.25, key, knob.help)
    else:
        value = st.text_input(label, key=key, help=knob.help)
    return value
