"""Which images, and which two layers, the studies of invariance and correspondence look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.anatomy import Layer, format_shape
from cnnviz.images import Pixels, sample_photos
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import image_sets, photo_maps
from cnnviz.ui.look.format import percent
from cnnviz.ui.state import url

#: Images in a study, as many as in the paper's figure 5 and table 1.
COUNT = 5
#: Kinds of layers whose features are compared.
KINDS = ("conv", "activation", "pool", "norm", "merge", "linear")


@dataclass(frozen=True, eq=False)
class Images:
    """Some images in a network.

    Attributes:
        inputs: normalised, (N, C, H, W).
        seen: as the network sees them, uint8 (N, H, W, C).
        names: what each one is, all different.
        targets: the class whose probability is followed: the true one, or the network's answer.
        true: whether the targets are true labels.
        probabilities: the answers to them as they are, (N, classes).

    """

    inputs: Tensor
    seen: Pixels
    names: tuple[str, ...]
    targets: tuple[int, ...]
    true: bool
    probabilities: NDArray[np.float64]


def share(fraction: float) -> str:
    """Write a fraction of one as a percentage that no line break tears: "13 %", "0.21 %"."""
    digits = 2 if 0 < fraction < 0.01 else 0
    return percent(fraction, digits).replace(" ", "\u00a0")


def pick_number(label: str, key: str, most: int, tip: str) -> int:
    """Write the picker of a number from 1 to `most`; the URL has it as `key`."""
    state, asked = st.session_state, url.read(key) or ""
    given = asked.isdecimal() and 1 <= int(asked) <= most
    if given and (key not in state or asked != url.seen().get(key)):
        state[key] = int(asked)
    # Assigned in any case: Streamlit forgets a picker's value with the view that it stood in.
    state[key] = state.get(key, 1)
    number = st.number_input(label, 1, most, key=key, width=120, help=tip)
    url.remember(key, str(number))
    return number


def one_of_each_class(subject: Subject, number: int) -> Images:
    """Return test images, image `number` of each of five classes spread over all."""
    test = image_sets.images_for(subject)
    labels = test.images.test_labels
    count = len(test.images.classes)
    chosen = [round(place * (count - 1) / (COUNT - 1)) for place in range(COUNT)]
    numbers = [_nth(labels, label, number) for label in chosen]
    names = tuple(test.images.classes[label] for label in chosen)
    return _images(subject, test.images.test_images[numbers], names, chosen if test.own else None)


def of_one_class(subject: Subject, label: int, number: int) -> Images:
    """Return five test images of one class, from its image `number` on."""
    test = image_sets.images_for(subject)
    name = test.images.classes[label]
    numbers = [_nth(test.images.test_labels, label, number + i) for i in range(COUNT)]
    names = tuple(f"{name} {number + i + 1}" for i in range(COUNT))
    targets = [label] * COUNT if test.own else None
    return _images(subject, test.images.test_images[numbers], names, targets)


def photos(subject: Subject) -> Images:
    """Return the first five sample photos; the class of each is the network's answer."""
    samples = list(sample_photos().items())[:COUNT]
    asked = [photo_maps.ask(subject, data) for _, data in samples]
    return Images(
        torch.cat([one.inputs for one in asked]),
        np.stack([one.seen for one in asked]),
        tuple(name for name, _ in samples),
        tuple(one.answer for one in asked),
        False,
        np.stack([one.probabilities for one in asked]),
    )


def one_photo(subject: Subject, data: bytes) -> Images:
    """Return one photo, given as the bytes of its file; its class is the network's answer."""
    asked = photo_maps.ask(subject, data)
    return Images(
        asked.inputs,
        asked.seen[None],
        ("the photo",),
        (asked.answer,),
        False,
        asked.probabilities[None],
    )


def _nth(labels: Tensor, label: int, number: int) -> int:
    """The place of the image `number` of a class; counting begins again behind the last."""
    places = (labels == label).nonzero()[:, 0]
    return int(places[number % len(places)])


def _images(
    subject: Subject, images: Tensor, names: tuple[str, ...], targets: list[int] | None
) -> Images:
    inputs, seen = image_sets.prepared(subject, images)
    probabilities = photo_maps.answers_of(subject, inputs)
    chosen = probabilities.argmax(1).tolist() if targets is None else targets
    return Images(inputs, seen, names, tuple(chosen), targets is not None, probabilities)


def layers_of(subject: Subject) -> dict[str, Layer]:
    """Return the operators whose outputs are features of single images, by their paths."""
    return {
        layer.path: layer
        for layer in subjects.trace_of(subject).layers
        if len(layer.output_shape) in (2, 4) and layer.kind in KINDS
    }


def pick_two(subject: Subject) -> tuple[str, str]:
    """Write the pickers of a low and of a high layer; the URL has ``lower`` and ``upper``.

    At first they are the first activations and the last features before the classes.
    """
    layers = layers_of(subject)
    paths = list(layers)
    first = next((path for path in paths if layers[path].kind == "activation"), paths[0])
    features = [path for path in paths if layers[path].output_shape[1] != subject.num_classes]
    defaults = {"lower": first, "upper": (features or paths)[-1]}
    words = {"lower": "Lower layer", "upper": "Upper layer"}
    chosen = []
    for key, default in defaults.items():
        url.keep_choice(key, paths, default)
        chosen.append(
            st.selectbox(
                words[key],
                paths,
                key=key,
                format_func=lambda path: f"{path} · {format_shape(layers[path].output_shape)}",
            )
        )
    return chosen[0], chosen[1]
