"""What the views of the Deconvnet page share: rule, unit, cautions."""

from __future__ import annotations

import hashlib

import streamlit as st

from cnnviz.networks.subjects import Subject
from cnnviz.sight.backward.rules import Rule
from cnnviz.ui.cache import subjects
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.pick.choices import pick_one
from cnnviz.ui.state import automatic, url

RULES: dict[Rule, str] = {"deconvnet": "Deconvnet", "guided": "Guided", "gradient": "Gradient"}
#: The unit that was chosen, an int or None; `keep_unit` holds it and the URL together.
UNIT = "deconv_unit"
_UNIT_OF = "deconv_unit_of"
# Operators for which the paper has no rule.
_EXTENDED = {
    "gelu": "GELU",
    "silu": "SiLU",
    "relu6": "ReLU6",
    "hardswish": "hard swish",
    "sigmoid": "the sigmoid",
    "tanh": "tanh",
    "layer_norm": "layer normalisation",
}


def pick_rule() -> Rule:
    """Write the picker of how the signal passes a rectifier on its way back."""
    return pick_one(
        "Rule",
        "rule",
        RULES,
        "deconvnet",
        "How the signal passes a rectifier on its way back. Deconvnet passes what is positive on "
        "the way back, the gradient what was positive on the way up, guided backpropagation what "
        "is both.",
    )


def keep_unit(
    subject: Subject, layer: str, total: int, default: int | None, photo: bytes = b""
) -> str:
    """Let the URL's ``unit`` and the chosen one say the same; call it before the picker.

    A choice ends with its layer: units of two layers have nothing in common but a number. What the
    page chose, the `default`, ends with the `photo` (a file's bytes), too. Returns
    a sentence where the URL asks for a unit that is not there, else "".
    """
    url.chosen_by(UNIT)
    state, asked = st.session_state, url.read("unit") or ""
    problem = ""
    moved = state.get(_UNIT_OF) not in (None, (subject.name, layer))
    state[_UNIT_OF] = (subject.name, layer)
    fresh = asked != url.seen().get(UNIT, "")  # a link, or the browser's back button
    given = asked.isdecimal() and int(asked) < total
    if moved:
        automatic.forget(UNIT)
    if default is not None:
        of = hashlib.sha256(photo).digest()
        automatic.begin(UNIT, default, of, linked=fresh and given)
    returned = UNIT not in state and not moved  # from a view or a page without its picker
    if (fresh or returned) and given:
        state[UNIT] = int(asked)
    elif moved or fresh or state.get(UNIT) not in range(total):
        state[UNIT] = default
        if fresh and asked:
            problem = f"{layer} has no unit {quoted(asked)}: its units are 0 to {total - 1}."
    if state[UNIT] is None:
        state[UNIT] = default
    # Assigned in any case: Streamlit forgets a picker's value with the view that it stood in.
    state[UNIT] = state[UNIT]
    text = "" if state[UNIT] is None else str(state[UNIT])
    url.write("unit", text)
    url.seen()[UNIT] = text  # not as "unit", which is what Filters has seen
    return problem


def choose(unit: int) -> None:
    """Choose a unit, before a rerun."""
    st.session_state[UNIT] = unit
    automatic.chosen(UNIT)


def caution(subject: Subject, shows: str) -> None:
    """Say what the view's pictures show, and what they do not."""
    st.subheader("How to read it", anchor=False)
    st.markdown(
        f"{shows} A deconvnet keeps one activation, sets all others to zero and runs the network "
        "backwards: pools put the signal where the maximum was, rectifiers pass what is positive, "
        "convolutions are transposed (Zeiler and Fergus 2013, section 2.1). **It is no evidence "
        "for a class:** deconvnet and guided backpropagation partly recover the image whatever "
        "the weights (Nie et al. 2018, "
        "[arXiv 1805.07039](https://arxiv.org/abs/1805.07039))."
    )
    extended = extensions(subject)
    if extended:
        st.caption(
            f"This network has {' and '.join(extended)}, for which the paper has no rule. The "
            "rules used here are this project's own extension: an activation function passes what "
            "is positive on the way back (tanh all of it), and layer normalisation keeps the "
            "deviation of each position fixed."
        )


def extensions(subject: Subject) -> list[str]:
    """Return what the network has that the paper has no rule for."""
    ops = {layer.op.rstrip("_") for layer in subjects.trace_of(subject).layers}
    return [words for op, words in _EXTENDED.items() if op in ops]
