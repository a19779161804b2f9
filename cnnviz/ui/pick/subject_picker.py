"""Pickers that the pages Filters and Deconvnet share: network and weights, layer.

The URL has them as ``model`` (a subject's name) and ``layer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import registry
from cnnviz.anatomy import Layer, format_shape
from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject, published_subject, random_subject, trained_subject
from cnnviz.prediction import survey_models
from cnnviz.registry import Variant
from cnnviz.ui.cache import scans
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import links, url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

#: The kinds of operators whose outputs are looked at.
KINDS = ("conv", "activation", "pool", "norm", "merge")


def pick_subject(notes: DeltaGenerator, families: Sequence[str] = ()) -> Subject:
    """Write the pickers of the network and of its weights, and return what they say.

    All networks are offered, the trained ones first, the most accurate on photos at the top. The
    first visit begins with the first of `families` that is trained on photos, else with the top.
    What a link asks for and is not there is said in `notes`.
    """
    trained, problems = _trained()
    for problem in problems:
        notes.warning(problem)
    groups: dict[str, list[Subject]] = {}
    for subject in trained:
        groups.setdefault(subject.variant.name, []).append(subject)
    for variant in registry.list_variants():
        groups.setdefault(variant.name, []).extend(_untrained(variant))
    named = {subject.name: subject for group in groups.values() for subject in group}
    # The URL has one name for both pickers.
    first = _begin_with(families, trained) or next(iter(named))
    asked = url.read("model")
    if asked not in named and asked is not None:
        base = asked.partition("@")[0]
        if base in groups:  # a variant's name without trained weights
            asked = groups[base][0].name
        else:
            missing = f"There is no model called {url.quoted(asked)}."
            notes.warning(f"{missing} Showing {named[first].title}.")
            asked = first
    state = st.session_state
    for key in ("subject-network", "subject-weights"):
        url.chosen_by(key)
    if asked in named and asked != url.seen().get("model"):
        state["subject-network"] = named[asked].variant.name
        state["subject-weights"] = asked
    elif state.get("subject-last") in named:  # back from another page
        state.setdefault("subject-network", named[state["subject-last"]].variant.name)
        state.setdefault("subject-weights", state["subject-last"])
    state.setdefault("subject-network", named[first].variant.name)
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


def first_weights(variant: Variant) -> str:
    """Return what the URL calls the first weights of a variant that the picker offers."""
    trained = [subject for subject in _trained()[0] if subject.variant == variant]
    return [*trained, *_untrained(variant)][0].name


def _trained() -> tuple[list[Subject], list[str]]:
    models, problems = survey_models()
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


def link_to_explore(subject: Subject, layer: str) -> None:
    """Link to a layer of the subject's network, with its knobs and sizes, as Explore draws it."""
    network = Selection(
        subject.variant, dict(subject.knobs), subject.input_size, subject.num_classes
    )
    links.link(
        "explore", "This layer in Explore →", **network.to_query(), view="drawing", layer=layer
    )


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
                links.link("train", "Train it →", variant=subject.variant.name)
    elif subject.weights == "imagenet" and not subject.is_here:
        st.info(
            f"The published weights of {subject.variant.title} ({subject.megabytes:.0f} MB) are "
            "not on this machine yet. They come from torchvision and are kept in its cache."
        )
        if st.button("Download them", icon=":material/download:", type="primary"):
            try:
                with st.spinner(f"Downloading {subject.megabytes:.0f} MB …"):
                    scans.model_of(subject)
            except CnnvizError as error:
                st.error(str(error))
            else:
                url.rerun()
        url.stop()


def maps_of(subject: Subject) -> dict[str, Layer]:
    """Return the operators of a subject whose outputs are feature maps, by their paths."""
    return {
        layer.path: layer
        for layer in scans.trace_of(subject).layers
        if len(layer.output_shape) == 4 and min(layer.output_shape[2:]) > 1 and layer.kind in KINDS
    }


def maps_or_say(subject: Subject) -> dict[str, Layer]:
    """Return the same, and say so where there are none."""
    layers = maps_of(subject)
    if not layers:
        st.info("This network has no feature maps: no layer keeps rows and columns.")
    return layers


def first_layer(layers: dict[str, Layer]) -> str:
    """Return the layer to begin with: a rectified one in the middle of the network."""
    rectified = [path for path, layer in layers.items() if layer.kind == "activation"]
    return (rectified or list(layers))[len(rectified or layers) // 2]


def pick_layer(layers: dict[str, Layer], default: str, notes: DeltaGenerator | None = None) -> str:
    """Write the picker of one of `layers` and return its path.

    Where a link names another layer, `notes`, or the place of the picker, says what is shown.
    """
    asked = url.read("layer")
    # A name left over from another network is no mistake of the visitor's.
    if asked is not None and asked not in layers and asked != url.seen().get("layer"):
        (notes or st).warning(
            f"{url.quoted(asked)} gives no feature maps in this network. Showing {default} instead."
        )
    url.keep_choice("layer", layers, default)
    return st.selectbox(
        "Layer",
        list(layers),
        key="layer",
        format_func=lambda path: f"{path} · {format_shape(layers[path].output_shape)}",
    )
