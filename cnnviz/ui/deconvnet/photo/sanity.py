"""The sanity check as a button: whether a reconstruction depends on what was learnt."""

from __future__ import annotations

import hashlib

import streamlit as st

from cnnviz.networks.subjects import Subject
from cnnviz.sight import signed_picture
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.evidence.sanity import SanityStep
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.controls import RULES
from cnnviz.ui.deconvnet.render import figure, image, to_side
from cnnviz.ui.state import url

#: The most steps that are shown, evenly taken from all.
SHOWN = 18
_OF, _URL = "deconv_check_of", "deconv_check_url"


def offer(
    subject: Subject, layer: str, unit: int, rule: Rule, data: bytes, *, active: bool
) -> None:
    """Write the button and, once it was pressed, what came of the check.

    A unit that is not `active` on the photo has no picture to compare.
    """
    now = (subject.name, layer, unit, rule, hashlib.sha256(data).hexdigest())
    st.subheader("Does the picture depend on the weights?", anchor=False)
    st.markdown(
        "Randomise the weights layer by layer, from this unit down to the image, and carry its "
        "strongest position in this photo back each time. A picture that stays shows the photo's "
        "edges rather than what was learnt (Adebayo et al. 2018, [arXiv 1810.03292](https://arxiv.org/abs/1810.03292))."
    )
    state = st.session_state
    asked = url.read("check") or ""
    if asked != state.get(_URL, ""):  # a link, or the browser's back button
        state[_OF] = now if asked else None
    if st.button("Randomise the weights", icon=":material/shuffle:", disabled=not active):
        state[_OF] = now
    wanted = state.get(_OF) == now and active
    state[_URL] = text = "1" if wanted else ""
    url.write("check", text)
    if wanted:
        _steps(photo_maps.sanity_of(subject, layer, unit, rule, data), rule)


def _steps(steps: list[SanityStep], rule: Rule) -> None:
    st.markdown(f"**{_sentence(steps, rule)}**")
    chosen = [steps[round(i * (len(steps) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
    shown = steps if len(steps) <= SHOWN else chosen
    cells = []
    for step in shown:
        where = "as it is" if step.randomised is None else f"down to {step.randomised}"
        pixels = to_side(signed_picture(step.projection.pixels[0, 0]), 128)
        cells.append(
            figure(
                image(pixels, f"Reconstruction, {where}"),
                f"{where} · {_two_digits(step.similarity)}",
            )
        )
    st.html(f'{render.STYLE}<div class="pictures small">{"".join(cells)}</div>')
    part = "" if shown is steps else f" {SHOWN} of {len(steps)} steps are shown."
    st.caption(
        "Below each: the module down to which the weights are random, and the rank correlation of "
        "the picture with the first, in the receptive field: 1 is the same picture, 0 another "
        f"one. Random weights are normal with the mean and deviation of those they replace.{part}"
    )


def _sentence(steps: list[SanityStep], rule: Rule) -> str:
    """Say what the check showed."""
    last = steps[-1].similarity
    verdict = (
        "so the picture depends on the weights"
        if abs(last) < 0.3
        else "so part of the picture comes from the photo, whatever the weights"
    )
    return (
        f"{RULES[rule]}: with all {len(steps) - 1} modules random the rank correlation with the "
        f"first picture is {_two_digits(last)}, {verdict}."
    )


def _two_digits(value: float) -> str:
    """Write a correlation; what rounds to nothing has no sign."""
    return f"{round(value, 2) + 0.0:.2f}"
