"""The form of new runs: what its pickers say, kept while they change, as recipes.

A setting that the visitor left alone is each network's own. So the form holds changes, not
recipes: another network beside the first keeps them, another one in its place begins anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry, runs
from cnnviz.errors import CnnvizError
from cnnviz.registry import Knob, Variant
from cnnviz.runs import Run
from cnnviz.runs.requests import parse_seeds, parse_vary
from cnnviz.training.data import DATASETS
from cnnviz.training.recipe import Recipe, default_recipe, named_recipes, settings
from cnnviz.training.saved.files import safe_name
from cnnviz.ui.state import url

#: Networks of one request.
MOST_NETWORKS = 40
FIRST = "lenet5"
#: What the form changes in the recipes, by field; a knob is "knob width".
_CHANGES = "train-changes"
#: Networks, data set and named recipe that the changes were made for.
_MADE_FOR = "train-made-for"
#: The run whose recipe the form holds, where it was cloned.
CLONED = "train-cloned"
KNOB = "knob "
EVERY_GPU = "every GPU in turn"


@dataclass(frozen=True)
class Form:
    """What the pickers say. `changes` are the settings that are not each network's own."""

    names: tuple[str, ...]
    dataset: str
    named: str = "default"
    changes: dict[str, Any] = field(default_factory=dict)
    seeds: int = 1
    vary: str = ""
    title: str = ""
    device: str = "auto"
    launcher: str = "local"
    address: str = ""

    @property
    def scope(self) -> str:
        """What the keys of the recipe's controls end in: another network has other controls."""
        end = "" if self.named == "default" else f"-{self.named}"
        return f"{'+'.join(self.names)}-{self.dataset}{end}"

    @property
    def varied(self) -> dict[str, list[str]]:
        """The values to try of each setting or knob; raises `CnnvizError` for what is none."""
        parts = re.split(r"[;\n]|\s+(?=[\w-]+\s*=)", self.vary)
        return parse_vary([part for part in map(str.strip, parts) if part])

    def recipes(self) -> list[Recipe]:
        """Every combination; raises `CnnvizError` for the first that cannot be."""
        if not self.names:
            raise CnnvizError("Choose a network to train.")
        fields = {k: v for k, v in self.changes.items() if not k.startswith(KNOB)}
        knobs = {k.removeprefix(KNOB): v for k, v in self.changes.items() if k.startswith(KNOB)}
        first = fields.get("seed", 0)
        count = len(parse_seeds([self.seeds]))
        seeds = range(first, first + count) if count > 1 else None
        if self.title:
            safe_name(self.title)
        return runs.grid(
            self.names,
            self.dataset,
            seeds,
            self.varied,
            knobs or None,
            recipe=self.named,
            **fields,
        )


def networks() -> dict[str, Variant]:
    """The variants by name: those made for small images first; the others train more slowly."""
    road = sorted(registry.list_variants(), key=lambda variant: variant.input_size[1] > 32)
    return {variant.name: variant for variant in road}


def keep_names(key: str, options: Sequence[str], first: list[str], most: int) -> list[str]:
    """Let the URL's parameter `key`, names with commas, and the picker with that key say the same.

    The URL wins where it is not what `say_names` wrote last. Returns the names that it asks for and
    that are no options.
    """
    url.chosen_by(key)
    state, asked, written = st.session_state, url.read(key), url.seen().get(key, "")
    names = url.read_all(key)
    given = [name for name in names if name in options]
    if given and asked != written:
        state[key] = given[:most]
    elif key not in state:  # the first visit, or back from another page
        kept = [name for name in written.split(",") if name in options]
        state[key] = kept or first
    state[key] = [name for name in state[key] if name in options]
    return [name for name in names if name not in options] if asked != written else []


def say_names(key: str, chosen: Sequence[str]) -> None:
    """Put what the picker `key` says into the URL."""
    url.remember(key, ",".join(chosen))


def own_values(form: Form) -> dict[str, list[Any]]:
    """Each setting's value in the recipe that each of the networks has."""
    recipes = [default_recipe(n, form.dataset, recipe=form.named) for n in form.names]
    return {item.name: [getattr(recipe, item.name) for recipe in recipes] for item in settings()}


def shared_knobs(names: Sequence[str]) -> list[Knob]:
    """The knobs that all of the networks have, with the same default and limits."""
    first, *others = [registry.get(name).knobs for name in names]
    return [knob for knob in first if all(knob in other for other in others)]


def shared_recipes(names: Sequence[str], dataset: str) -> list[str]:
    """The named recipes that all of the networks have on a data set."""
    found = [list(named_recipes(name, dataset)) for name in names]
    return [name for name in found[0] if all(name in other for other in found)]


def settle(names: tuple[str, ...], dataset: str, named: str) -> None:
    """Drop the changes that no longer hold, now that the pickers say this.

    They end with another data set, another named recipe, and with the last of the networks for
    which they were made.
    """
    now = (names, dataset, named)
    before = st.session_state.get(_MADE_FOR, now)
    if before[1:] != now[1:] or not set(before[0]) & set(names):
        forget()
    st.session_state[_MADE_FOR] = now


def take_knobs(form: Form) -> list[str]:
    """Change the knobs that a link names, as Explore's does; the URL then forgets them.

    Returns a sentence for each whose value is impossible. Call it after `settle`.
    """
    state, problems = st.session_state, []
    for knob in shared_knobs(form.names):
        asked = url.read(knob.name)
        if asked is None:
            continue
        url.write(knob.name, "")
        name = f"{KNOB}{knob.name}"
        state.pop(control_key(name, form.scope), None)
        try:
            state[_CHANGES] = state.get(_CHANGES, {}) | {name: knob.check(asked)}
        except CnnvizError as error:
            problems.append(f"{error} Training {registry.get(form.names[0]).title} without it.")
    return problems


def forget() -> None:
    """Go back to each network's own recipe."""
    st.session_state[_CHANGES] = {}
    st.session_state.pop(CLONED, None)
    _forget_controls()


def _forget_controls() -> None:
    """Let the controls of the recipe begin with the changes, not with what they say."""
    state = st.session_state
    names, dataset, named = state.get(_MADE_FOR, ((), "", ""))
    scope = f"-{Form(names, dataset, named).scope}"
    for key in [key for key in state if str(key).endswith(scope)]:
        del state[key]


def control_key(name: str, scope: str) -> str:
    """The key of the control of a setting or, with `KNOB` before its name, of a knob."""
    return f"{name}-{scope}"


def common(values: Sequence[Any]) -> Any:  # noqa: ANN401 - of any setting
    """The value that all have, or None."""
    return values[0] if all(value == values[0] for value in values) else None


def read_changes(form: Form) -> dict[str, Any]:
    """Return what the controls say now beside each network's own, and keep it.

    They are asked for themselves: a number typed just before a click is not yet known to the
    script that drew the button.
    """
    state = st.session_state
    own = {name: common(values) for name, values in own_values(form).items()}
    own |= {f"{KNOB}{knob.name}": knob.default for knob in shared_knobs(form.names)}
    before = state.get(_CHANGES, {})
    changes = {}
    for name, value in own.items():
        said = state.get(control_key(name, form.scope), before.get(name))
        if said is not None and said != value:
            changes[name] = said
    state[_CHANGES] = changes
    return changes


def fill_from(run: Run) -> None:
    """Put the recipe of `run` into the form, to be changed and started."""
    state, recipe = st.session_state, run.recipe
    own = default_recipe(recipe.variant, recipe.dataset)
    fields = [item.name for item in settings()]
    changes = {n: v for n in fields if (v := getattr(recipe, n)) != getattr(own, n)}
    changes |= {f"{KNOB}{n}": v for n, v in recipe.knobs.items() if v != own.knobs.get(n)}
    state["variant"] = [recipe.variant]
    state["dataset"] = recipe.dataset
    state["named"] = "default"
    state["seeds"], state["vary"] = 1, ""
    state[_MADE_FOR] = ((recipe.variant,), recipe.dataset, "default")
    _forget_controls()
    state[_CHANGES] = changes
    state[CLONED] = run.id


def device_name(said: str | None) -> str:
    """Return the device that its picker means.

    The picker's labels say the free memory, which changes; of a label that is none any more
    Streamlit gives the text: "auto: cpu · 16 GB free".
    """
    if not said or said == EVERY_GPU:
        return said or "auto"
    return said.split()[0].rstrip(":")


def form_now() -> Form:
    """Return what the pickers say at this moment; for callbacks."""
    state = st.session_state
    names = tuple(state["variant"])
    form = Form(
        names,
        state["dataset"] if state["dataset"] in DATASETS else "digits",
        named=state.get("named") or "default",
        seeds=1 if state.get("seeds") is None else int(state["seeds"]),
        vary=state.get("vary") or "",
        title=(state.get("title") or "").strip(),
        device=device_name(state.get("device")),
        launcher=state.get("launcher") or "local",
        address=(state.get("address") or "").strip(),
    )
    if not names:
        return form
    return Form(**{**form.__dict__, "changes": read_changes(form)})
