"""The controls of a network's settings: its knobs, the size of its input, its classes."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cnnviz.registry import Knob, KnobValue, Variant
from cnnviz.ui.look.format import plain
from cnnviz.ui.pick.selection import MAX_CLASSES, MAX_SIDE, Selection, nearest, text_of
from cnnviz.ui.state import url


@dataclass(frozen=True)
class Settings:
    """The controls under one button; `place` begins their keys in the session's state."""

    place: str
    label: str = "Adjust"

    def key(self, variant: Variant, name: str) -> str:
        """Return the key of a variant's control: of a knob, or of "input_height" and the like."""
        return f"{self.place}_{variant.name}_{name}"

    def _keys(self, variant: Variant) -> dict[str, str]:
        """Return the keys of all controls of a variant by their names."""
        knobs = [knob.name for knob in variant.knobs]
        names = [*knobs, "input_height", "input_width", "classes"]
        return {name: self.key(variant, name) for name in names}

    def seed(self, selection: Selection) -> None:
        """Put the settings of `selection` into the controls."""
        _, knobs, (_, height, width), classes = selection.arguments
        # Floats, as the controls have them: converted in each run, a quick press of "+" was lost.
        numbers = {"classes": classes, "input_height": height, "input_width": width}
        settings = {name: float(value) for name, value in numbers.items()} | dict(knobs)
        for name, value in settings.items():
            key = self.key(selection.variant, name)
            st.session_state[key] = value
            url.chosen_by(key)

    def pick(self, variant: Variant) -> tuple[Selection, bool]:
        """Write the controls; return what is to be shown, and whether that is not what they say.

        Where they hold a network that cannot be, the one before is shown. They begin with the
        variant's own settings where nobody has seeded them, as where a run that was to do it was
        cut short.
        """
        if any(key not in st.session_state for key in self._keys(variant).values()):
            self.seed(Selection(variant))
        with st.popover(self.label, icon=":material/tune:"):
            asked, refused = self._controls(variant)
            shown, impossible = self._possible(asked)
        return shown, refused or impossible

    def say_refused(self, shown: Selection) -> None:
        """Say that the controls hold what is not shown: the reason is in a popover, maybe shut."""
        st.caption(
            f":material/warning: **{self.label}** holds a setting that cannot be; {shown.title} is "
            "shown."
        )

    def _possible(self, asked: Selection) -> tuple[Selection, bool]:
        """Return what is `asked` for or, where no such network can be, the one before, and say so.

        The second is whether that is so.
        """
        shown, reason = nearest(asked)
        last = f"{self.place}_possible"
        before: Selection | None = st.session_state.get(last)
        if reason and before is not None and before.variant == asked.variant:
            shown = before
        if reason:
            st.error(f"{plain(reason)} {shown.title} is shown.")
        st.session_state[last] = shown
        return shown, bool(reason)

    def _controls(self, variant: Variant) -> tuple[Selection, bool]:
        """Return what the controls say, and whether a number of them was refused."""
        keys = self._keys(variant)
        knobs = {knob.name: self._knob(variant, knob) for knob in variant.knobs}
        tall, wide = st.columns(2)
        with tall:
            height = _whole("Input height", (1, MAX_SIDE), keys["input_height"])
        with wide:
            width = _whole("Input width", (1, MAX_SIDE), keys["input_width"])
        classes = _whole("Classes", (1, MAX_CLASSES), keys["classes"])
        selection = Selection(variant, knobs, (variant.input_size[0], height, width), classes)
        state = st.session_state
        said = [(state[key], state.get(_accepted(key), state[key])) for key in keys.values()]
        return selection, any(value != accepted for value, accepted in said)

    def _knob(self, variant: Variant, knob: Knob) -> KnobValue:
        """Write the control that fits a knob: a switch, a choice or a number."""
        key, label = self.key(variant, knob.name), knob.name.replace("_", " ").capitalize()
        label = {"lrn": "LRN", "aux": "Auxiliary classifiers"}.get(knob.name, label)
        value: KnobValue
        if isinstance(knob.default, bool):
            value = st.toggle(label, key=key, help=knob.help)
        elif knob.low is not None and knob.high is not None:
            value = _number(label, (knob.low, knob.high), 0.25, key, knob.help)
        else:
            value = st.selectbox(
                label,
                knob.choices,
                key=key,
                help=knob.help,
                format_func=text_of,
                on_change=self._resize if knob.name == "resolution" else None,
                args=(variant,),
            )
        return value

    def _resize(self, variant: Variant) -> None:
        """Set the input's height and width to the resolution that was picked."""
        side = st.session_state[self.key(variant, "resolution")]
        for name in ("input_height", "input_width"):
            st.session_state[self.key(variant, name)] = float(side)


def _accepted(key: str) -> str:
    return f"{key}_accepted"


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
    state, accepted = st.session_state, _accepted(key)
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
