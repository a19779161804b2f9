"""The controls of a recipe's settings and of a network's knobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.registry import Knob
from cnnviz.training.recipe import Setting
from cnnviz.ui.look.recipe_words import knob_text, setting_label, value_text
from cnnviz.ui.train.request import recipe_form
from cnnviz.ui.train.request.recipe_form import KNOB, control_key


def write_settings(
    items: Sequence[Setting], own: dict[str, list[Any]], scope: str, changes: dict[str, Any]
) -> None:
    """Write the controls of settings, four in a row."""
    for start in range(0, len(items), 4):
        columns = st.columns(4)
        for place, item in zip(columns, items[start : start + 4], strict=False):
            _setting(place, item, own[item.name], scope, changes)


def _setting(
    where: DeltaGenerator, item: Setting, own: list[Any], scope: str, changes: dict[str, Any]
) -> None:
    """Write the control that fits a setting; empty where each network has its own value."""
    if item.kind is bool or item.choices:
        choices = [True, False] if item.kind is bool else list(item.choices)
        _choice(where, item.name, item.help, choices, own, scope, changes)
    elif item.kind is str:
        key = _begin(item.name, own, scope, changes)
        placeholder = _own_text(own)
        label = setting_label(item.name)
        where.text_input(label, None, key=key, help=item.help, placeholder=placeholder)
    else:
        write_number(where, item, own, scope, changes)


def _begin(name: str, own: list[Any], scope: str, changes: dict[str, Any]) -> str:
    """Return the key of a control that holds what was changed, or what the networks share."""
    key = control_key(name, scope)
    if key not in st.session_state:
        st.session_state[key] = changes.get(name, recipe_form.common(own))
    return key


def _own_text(own: list[Any]) -> str:
    if recipe_form.common(own) is not None:
        return value_text(own[0])
    return "own: " + ", ".join(dict.fromkeys(map(value_text, own)))


def write_number(
    where: DeltaGenerator, item: Setting, own: list[Any], scope: str, changes: dict[str, Any]
) -> None:
    """Write the control of a number. What is out of its limits is refused with the costs.

    With limits of its own the control would keep such a number to itself, in red, and the run
    would start with the one before.
    """
    number = int if item.kind is int else float
    where.number_input(
        setting_label(item.name),
        value=None,
        step=1 if number is int else None,
        key=_begin(item.name, own, scope, changes),
        help=f"{item.help}; from {item.low:,g} to {item.high:,g}",
        format="%d" if number is int else "%g",
        placeholder=_own_text(own),
    )


def _choice(
    where: DeltaGenerator,
    name: str,
    explained: str,
    choices: list[Any],
    own: list[Any],
    scope: str,
    changes: dict[str, Any],
) -> None:
    where.selectbox(
        setting_label(name.removeprefix(KNOB)),
        choices,
        index=None if recipe_form.common(own) is None else 0,
        key=_begin(name, own, scope, changes),
        help=explained,
        format_func=value_text,
        placeholder=_own_text(own),
    )


def write_knobs(knobs: Sequence[Knob], scope: str, changes: dict[str, Any]) -> None:
    """Write the controls of what the network itself offers, such as a width."""
    columns = st.columns(4)
    for place, knob in enumerate(knobs):
        where, name = columns[place % 4], f"{KNOB}{knob.name}"
        if isinstance(knob.default, bool) or knob.choices:
            choices = list(knob.choices) or [True, False]
            _choice(where, name, knob.help, choices, [knob.default], scope, changes)
            continue
        number = int if isinstance(knob.default, int) else float
        where.number_input(
            knob_text(knob),
            value=None,
            key=_begin(name, [knob.default], scope, changes),
            step=number(1) if number is int else 0.25,
            help=knob.help,
            placeholder=value_text(knob.default),
        )
