"""Correspondence: whether hiding the same part of several images changes their features alike."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.charts import evidence as charts
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels
from cnnviz.networks.subjects import Subject
from cnnviz.sight import Correspondence
from cnnviz.sight.evidence.correspondence import Box, score
from cnnviz.ui.cache.sight import experiments, image_sets
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.evidence import marking, samples
from cnnviz.ui.deconvnet.evidence.samples import Images
from cnnviz.ui.look import downloads, panels, theme
from cnnviz.ui.state import url

_PHOTOS = "photos"
_PLACES, _PLACES_URL, _PLACES_OF = "parts_places", "parts_url", "parts_of"
_ANYWHERE, _SHARED = "random places", "one random place"


def show(subject: Subject) -> None:
    """Write the study: five images with a box on each, and what hiding the boxes does."""
    _view(subject)


@url.fragment
def _view(subject: Subject) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        images, of = _pick_images(subject)
        side = _pick_side(min(subject.input_size[1:]))
        layers = samples.pick_two(subject)
    boxes = _keep_boxes(images, (subject.input_size, *of), side)
    st.subheader("Put the box on the same part of every picture", anchor=False)
    fill = ",".join(str(value) for value in np.broadcast_to(_grey(subject), 3))
    marking.show(list(images.seen), images.names, boxes, f"rgb({fill})", "parts", _place)
    st.caption(
        "Press a picture to move its box there, or use the arrow keys. Choose a part that all five "
        "have: the eyes, a wheel, the nose, the loop of a digit."
    )
    try:
        found = experiments.correspondence_of(subject, images.inputs, boxes, layers)
    except CnnvizError as error:
        st.error(str(error))
        return
    _charts(found, layers)
    downloads.offer(
        f"{subject.name}-correspondence",
        lambda: _png(subject, images, boxes),
        lambda: _arrays(found, layers),
    )
    _caution(subject, found)


def _pick_images(subject: Subject) -> tuple[Images, tuple[str, int]]:
    """Write the pickers of the images; the URL has their class as ``of``."""
    test = image_sets.images_for(subject)
    options = [*map(str, range(len(test.images.classes))), _PHOTOS]
    animal = {"cifar10": 5}.get(test.images.name, 0)  # dogs, as in the paper
    url.keep_choice("of", options, str(animal) if test.own else _PHOTOS)
    names = test.images.classes
    chosen = st.selectbox(
        "Images",
        options,
        key="of",
        format_func=lambda key: "sample photos" if key == _PHOTOS else f"five of {names[int(key)]}",
    )
    if chosen == _PHOTOS:
        return samples.photos(subject), (_PHOTOS, 0)
    first = samples.pick_number(
        "From number", "from", 500, "The first of the five among the test images of this class"
    )
    return samples.of_one_class(subject, int(chosen), first - 1), (chosen, first)


def _pick_side(side: int) -> int:
    """Write the picker of the boxes' side; the URL has it as ``box``."""
    sizes = sorted({max(1, side * part // 16) for part in (2, 3, 4, 5, 6, 8)})
    url.keep_choice("box", [str(n) for n in sizes], str(max(1, side // 4)))
    chosen = st.selectbox(
        "Box", [str(n) for n in sizes], key="box", format_func=lambda n: f"{n} px", width=110
    )
    return int(chosen)


def _keep_boxes(images: Images, of: tuple[object, ...], side: int) -> list[Box]:
    """Return the boxes, in the middle at first; the URL has their corners as ``parts``.

    They stay for another network, as long as `of` says that the images are the same.
    """
    state = st.session_state
    height, width = images.seen.shape[1:3]
    asked = url.read("parts") or ""
    given = _read(asked, len(images.names))
    if given and asked != state.get(_PLACES_URL):
        state[_PLACES] = given
    elif state.get(_PLACES_OF) != of or _PLACES not in state:
        state[_PLACES] = [((height - side) // 2, (width - side) // 2)] * len(images.names)
    state[_PLACES_OF] = of
    places = [
        (min(max(row, 0), height - side), min(max(column, 0), width - side))
        for row, column in state[_PLACES]
    ]
    state[_PLACES] = places
    state[_PLACES_URL] = text = "_".join(f"{row}.{column}" for row, column in places)
    url.write("parts", text)
    return [Box(row, column, side, side) for row, column in places]


def _read(text: str, count: int) -> list[tuple[int, int]]:
    """Read ``12.8_10.10_…``; nothing where it is not `count` pairs of whole numbers."""
    pairs = [part.split(".") for part in text.split("_")]
    if len(pairs) != count or not all(
        len(pair) == 2 and all(n.isdecimal() and len(n) <= 4 for n in pair) for pair in pairs
    ):
        return []
    return [(int(row), int(column)) for row, column in pairs]


def _place(places: list[tuple[int, int]]) -> None:
    """Take over where the visitor put the boxes, before the rerun."""
    st.session_state[_PLACES] = places


def _charts(found: Correspondence, layers: tuple[str, str]) -> None:
    dark = theme.is_dark()
    columns = st.columns(2, gap="large")
    for column, layer in zip(columns, dict.fromkeys(layers), strict=False):
        pairs = found.part[layer].numpy()
        each = pairs[np.triu_indices(len(pairs), 1)].tolist()
        groups = {
            _ANYWHERE: score(found.anywhere[layer]).tolist(),
            _SHARED: score(found.same_place[layer]).tolist(),
        }
        with column:
            panels.chart(
                charts.correspondence_strip(each, groups, dark),
                _sentence(layer, float(np.mean(each)), groups),
                f"correspondence_{'upper' if layer == layers[1] else 'lower'}",
                "The part's mean over all pairs of images, and every random draw.",
            )
    st.caption(
        "Δ is the share of the layer's features whose change, when the box hides a part, has "
        "another sign in one image than in the other (the paper's Hamming distance, over all pairs "
        f"of images). Lower is more alike. Bars are one standard deviation: over the pairs for the "
        f"part, over {len(found.random_boxes)} draws for random boxes."
    )


def _sentence(layer: str, part: float, groups: dict[str, list[float]]) -> str:
    """Say how the part compares with both kinds of random boxes."""
    beaten = {name: sum(part < value for value in values) for name, values in groups.items()}
    total = len(groups[_ANYWHERE])
    return (
        f"{layer}: more alike than {beaten[_ANYWHERE]} of {total} boxes anywhere, and than "
        f"{beaten[_SHARED]} of {total} at one place"
    )


def _grey(subject: Subject) -> Pixels:
    """The colour of what is hidden, uint8 (C,): the mean of the training images."""
    grey: Pixels = np.rint(np.array(subject.mean) * 255).astype(np.uint8)
    return grey


def _png(subject: Subject, images: Images, boxes: list[Box]) -> bytes:
    grey, blocks = _grey(subject), []
    for picture, name, box in zip(images.seen, images.names, boxes, strict=True):
        hidden = picture.copy()
        hidden[box.row : box.row + box.height, box.column : box.column + box.width] = grey
        sides = [render.to_side(p, render.LARGE) for p in (picture, hidden)]
        blocks.append((name, sides))
    return render.sheet(blocks, columns=1)


def _arrays(found: Correspondence, layers: tuple[str, str]) -> dict[str, object]:
    named = list(dict.fromkeys(layers))
    return {
        "layers": named,
        "part": np.stack([found.part[layer].numpy() for layer in named]),
        "anywhere": np.stack([found.anywhere[layer].numpy() for layer in named]),
        "same_place": np.stack([found.same_place[layer].numpy() for layer in named]),
        "boxes": found.boxes,
        "random_boxes": found.random_boxes,
    }


def _caution(subject: Subject, found: Correspondence) -> None:
    st.subheader("How to read it", anchor=False)
    st.markdown(
        "If a network treats a part, such as a dog's nose, as the same thing in every picture, "
        "hiding it changes the features alike; in the paper's table 1 the eyes and the nose of "
        "five dogs did so at layer 5 more than random boxes (Δ of 0.067 to 0.079 against 0.107), "
        f"and at layer 7 hardly. **{_ANYWHERE.capitalize()}** are the paper's comparison: a box "
        f"anywhere in each image. **{_SHARED.capitalize()}** is ours: the same spot in all images. "
        "Where layers have positions, features are compared spot by spot, so boxes at like places "
        "are alike for that reason alone; a part says something only where it also beats one "
        f"random place. Five images and {len(found.random_boxes)} draws are few: take small "
        "differences for chance."
    )
    if subject.weights == "random":
        st.caption("These weights are random: no part can mean anything to them.")
