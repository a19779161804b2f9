"""What the view of occlusion and Grad-CAM asks: a photo, a layer, a class, a square."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cnnviz.anatomy import Layer
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache.sight import photo_maps
from cnnviz.ui.cache.sight.photo_maps import Asked
from cnnviz.ui.pick import layer_picker, photo_picker
from cnnviz.ui.state import url

#: The side of the square, of the photo's side, and its step; the paper's squares are as large.
_SQUARE, _STEP = 4, 16
_NETWORKS_OWN, _CLASS_OF = "answer", "class_of"


@dataclass(frozen=True, eq=False)
class Question:
    """What was picked."""

    subject: Subject
    layer: Layer
    data: bytes
    asked: Asked
    target: int
    size: int
    stride: int

    def name(self, number: int) -> str:
        """What a class is called."""
        return class_name(self.subject, number)


def class_name(subject: Subject, number: int) -> str:
    """Return what a class is called, by its number where it has no name."""
    return subject.classes[number] if subject.classes else f"class {number}"


def pick(subject: Subject, layers: dict[str, Layer]) -> Question | None:
    """Write the pickers and return what they say; None where there is no photo."""
    notes = st.container()
    rectified = [path for path, layer in layers.items() if layer.kind == "activation"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = layer_picker.pick_layer(layers, (rectified or list(layers))[-1], notes)
        data = photo_picker.pick_photo(subject, notes)
        if data is None:
            return None
        asked = photo_maps.ask(subject, data)
        target = _pick_class(subject, asked)
        size, stride = _pick_square(min(subject.input_size[1:]))
    return Question(subject, layers[path], data, asked, target, size, stride)


def _pick_class(subject: Subject, asked: Asked) -> int:
    """Write the picker of the class that is asked about; the URL has its number as ``class``."""
    count = len(asked.probabilities)
    options = [_NETWORKS_OWN, *map(str, range(count))]
    state = st.session_state
    if state.get(_CLASS_OF) not in (None, subject.classes):
        state["class"] = _NETWORKS_OWN  # a number means another thing in another data set
    state[_CLASS_OF] = subject.classes
    url.keep_choice("class", options, _NETWORKS_OWN)
    own = f"the answer: {class_name(subject, asked.answer)}"
    chosen = st.selectbox(
        "Class",
        options,
        key="class",
        format_func=lambda key: own if key == _NETWORKS_OWN else class_name(subject, int(key)),
        help="The class whose probability is followed. At first it is the network's own answer to "
        "the whole photo.",
    )
    return asked.answer if chosen == _NETWORKS_OWN else int(chosen)


def _pick_square(side: int) -> tuple[int, int]:
    """Write the pickers of the square's side and step, folded; the URL has both."""
    sizes = sorted({max(1, side * part // 16) for part in (1, 2, 3, 4, 6, 8)})
    steps = sorted({max(1, side // part) for part in (64, 32, 16, 8)})
    url.keep_choice("square", [str(n) for n in sizes], str(max(1, side // _SQUARE)))
    url.keep_choice("step", [str(n) for n in steps], str(max(1, side // _STEP)))
    with st.popover(f"Square of {st.session_state['square']} px", icon=":material/crop_square:"):
        size = st.selectbox(
            "Side of the square",
            [str(n) for n in sizes],
            key="square",
            format_func=lambda text: f"{text} px",
        )
        step = st.selectbox(
            "From one place to the next",
            [str(n) for n in steps],
            key="step",
            format_func=lambda text: f"{text} px",
            help="Small steps make finer maps and take longer.",
        )
    return int(size), int(step)
