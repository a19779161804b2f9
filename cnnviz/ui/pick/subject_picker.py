"""The pickers of a network and of its weights, which the pages Filters and Deconvnet share.

The URL has both as ``model``, a subject's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject, published_subject, random_subject, trained_subject
from cnnviz.prediction import survey_models
from cnnviz.registry import Variant
from cnnviz.ui.cache import subjects
from cnnviz.ui.look.refusals import quoted
from cnnviz.ui.state import links, url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def pick_subject(notes: DeltaGenerator, families: Sequence[str] = ()) -> Subject:
    """Write the pickers of the network and of its weights, and return what they say.

    All networks are offered, the trained ones first, the most accurate on photos at the top. The
    first visit begins with the first of `families` that is trained on photos, else with the top.
    What a link asks for and is not there is said in `notes`.
    """
    trained, problems = _trained()
    for problem in problems:
        notes.warning(problem)
    groups = _by_network(trained)
    named = {subject.name: subject for group in groups.values() for subject in group}
    # The URL has one name for both pickers.
    first = _begin_with(families, trained) or next(iter(named))
    asked = url.read("model")
    if asked not in named and asked is not None:
        base = asked.partition("@")[0]
        if base in groups:  # a variant's name without trained weights
            asked = groups[base][0].name
        else:
            missing = f"There is no model called {quoted(asked)}."
            notes.warning(f"{missing} Showing {named[first].title}.")
            asked = first
    _keep(named, asked, first)
    state = st.session_state
    network = st.selectbox(
        "Network",
        list(groups),
        key="subject-network",
        format_func=lambda name: _network_label(groups[name]),
    )
    options = [subject.name for subject in groups[network]]
    if state.get("subject-weights") not in options:
        state["subject-weights"] = options[0]
    name = st.selectbox(
        "Weights",
        options,
        key="subject-weights",
        format_func=lambda name: _weights_label(named[name]),
    )
    state["subject-last"] = name
    url.remember("model", name)
    return named[name]


def _keep(named: Mapping[str, Subject], asked: str | None, first: str) -> None:
    """Let the pickers hold what the URL asks for, else what they held last, else the `first`."""
    state = st.session_state
    for key in ("subject-network", "subject-weights"):
        url.chosen_by(key)
    if asked is not None and asked in named and asked != url.seen().get("model"):
        state["subject-network"] = named[asked].variant.name
        state["subject-weights"] = asked
    elif state.get("subject-last") in named:  # back from another page
        state.setdefault("subject-network", named[state["subject-last"]].variant.name)
        state.setdefault("subject-weights", state["subject-last"])
    state.setdefault("subject-network", named[first].variant.name)


def _by_network(trained: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Return all subjects by the names of their variants, those of trained ones first."""
    groups: dict[str, list[Subject]] = {}
    for subject in trained:
        groups.setdefault(subject.variant.name, []).append(subject)
    for variant in registry.list_variants():
        groups.setdefault(variant.name, []).extend(_untrained(variant))
    return groups


def first_weights(variant: Variant) -> str:
    """Return what the URL calls the first weights of a variant that the picker offers."""
    trained = [subject for subject in _trained()[0] if subject.variant == variant]
    return [*trained, *_untrained(variant)][0].name


def _trained() -> tuple[list[Subject], list[str]]:
    models, problems, _ = survey_models()
    subjects = [trained_subject(name, model) for name, model in models.items()]
    return sorted(subjects, key=_rank), list(problems.values())


def _begin_with(families: Sequence[str], trained: Sequence[Subject]) -> str | None:
    on_photos = [subject for subject in trained if subject.dataset == "cifar10"]
    by_family = {subject.variant.architecture: subject.name for subject in reversed(on_photos)}
    return next((by_family[family] for family in families if family in by_family), None)


def _rank(subject: Subject) -> tuple[bool, float]:
    accuracy = subject.checkpoint.card.accuracy if subject.checkpoint else None
    return subject.dataset != "cifar10", -(accuracy or 0.0)


def _untrained(variant: Variant) -> list[Subject]:
    published = [published_subject(variant)] if variant.weights else []
    return [*published, random_subject(variant)]


def _network_label(group: list[Subject]) -> str:
    kinds = {subject.weights for subject in group}
    mark = "trained" if "trained" in kinds else "ImageNet" if "imagenet" in kinds else "untrained"
    return f"{group[0].variant.title} · {mark}"


def _weights_label(subject: Subject) -> str:
    if subject.weights == "imagenet" and not subject.is_here:
        return f"ImageNet (to download, {subject.megabytes:.0f} MB)"
    turned = subject.variant.titled(dict(subject.knobs)).removeprefix(subject.variant.title)
    return subject.weights_title + turned


def say_weights(subject: Subject) -> None:
    """Say what the weights are where that is not a trained network's; call it below the pickers.

    Offers to train an untrained network of a size that fits the data sets here, and to download
    published weights that are not here yet: the page stops there until they are.
    """
    if subject.weights == "random":
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(
                f"**These weights are random.** {subject.variant.title} is shown before any "
                "training: what you see comes from its layers alone, not from anything learnt."
            )
            if max(subject.input_size[1:]) <= links.TRAINABLE_SIDE:
                links.train_link(subject.variant, "Train it →")
    elif subject.weights == "imagenet" and not subject.is_here:
        st.info(
            f"The published weights of {subject.variant.title} ({subject.megabytes:.0f} MB) are "
            "not on this machine yet. They come from torchvision and are kept in its cache."
        )
        if st.button("Download them", icon=":material/download:", type="primary"):
            try:
                with st.spinner(f"Downloading {subject.megabytes:.0f} MB …"):
                    subjects.model_of(subject)
            except CnnvizError as error:
                st.error(str(error))
            else:
                url.rerun()
        url.stop()
