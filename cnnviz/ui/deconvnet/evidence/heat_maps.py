"""Occlusion and Grad-CAM: which parts of a photo the answer depends on.

The maps of occlusion are those of figure 7 of Zeiler and Fergus (arXiv 1311.2901v3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.anatomy import Layer
from cnnviz.charts import evidence as charts
from cnnviz.errors import CnnvizError
from cnnviz.images import Pixels, encode_png
from cnnviz.networks.subjects import Subject
from cnnviz.sight import Occlusion
from cnnviz.training.data import LUMA
from cnnviz.ui.cache import experiments, scans
from cnnviz.ui.cache.experiments import Asked
from cnnviz.ui.deconvnet import controls, render
from cnnviz.ui.deconvnet.evidence.samples import share
from cnnviz.ui.look import panels, theme
from cnnviz.ui.pick import photo_picker, subject_picker
from cnnviz.ui.state import url

#: The side of the square, of the photo's side, and its step; the paper's squares are as large.
_SQUARE, _STEP = 4, 16
#: Work that begins only when asked for, in seconds.
PATIENCE = 20.0
_NETWORKS_OWN, _CLASS_OF = "answer", "class_of"


@dataclass(frozen=True, eq=False)
class _View:
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


def show(subject: Subject) -> None:
    """Write the view: pickers, the three maps of occlusion, Grad-CAM, and how to read them."""
    _view(subject)


@url.fragment
def _view(subject: Subject) -> None:
    layers = subject_picker.maps_or_say(subject)
    if not layers:
        return
    try:
        view = _pick(subject, layers)
        if view is None:
            return
        found = _slide(view)
        if found is not None:
            _occlusion(view, found)
        _grad_cam(view)
    except CnnvizError as error:
        st.error(str(error))
        return
    _caution(subject)


def _pick(subject: Subject, layers: dict[str, Layer]) -> _View | None:
    notes = st.container()
    rectified = [path for path, layer in layers.items() if layer.kind == "activation"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = subject_picker.pick_layer(layers, (rectified or list(layers))[-1], notes)
        data = photo_picker.pick_photo(subject, notes)
        if data is None:
            return None
        asked = experiments.ask(subject, data)
        target = _pick_class(subject, asked)
        size, stride = _pick_square(min(subject.input_size[1:]))
    return _View(subject, layers[path], data, asked, target, size, stride)


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


def _slide(view: _View) -> Occlusion | None:
    """Return the maps; where they take long, only once that is asked for."""
    side = min(view.subject.input_size[1:])
    places = len({*range(0, side - view.size + 1, view.stride), side - view.size}) ** 2
    seconds = places * experiments.seconds_of_pass(view.subject)
    if seconds > PATIENCE:
        key = f"hide-{view.subject.name}-{view.size}-{view.stride}"
        st.session_state[key] = st.session_state.get(key, False) or st.button(
            f"Hide {places} places, about {_duration(seconds)}",
            icon=":material/play_arrow:",
            type="primary",
        )
        if not st.session_state[key]:
            st.caption("Occlusion asks the network once for every place of the square.")
            return None
    return experiments.occlusion_of(
        view.subject, view.layer.path, view.data, view.target, view.size, view.stride
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _occlusion(view: _View, found: Occlusion) -> None:
    """The photo, the strongest map and its reconstruction; below them the three maps."""
    probability = found.probability.numpy()
    row, column = np.unravel_index(int(probability.argmin()), probability.shape)
    whole = float(view.asked.probabilities[view.target])
    name = view.name(view.target)
    lowest = float(probability.min())
    st.subheader(_headline(name, whole, lowest), anchor=False)
    if _is_robust(whole, lowest):
        st.caption("A larger square hides more: choose its side above.")
    figures, sheet = _pictures(view, found, (found.rows[row], found.columns[column]))
    st.html(f'{render.STYLE}<div class="pictures">{"".join(figures)}</div>')
    places = charts.Places(found.rows, found.columns, found.size)
    dark = theme.is_dark()
    left, middle, right = st.columns(3, gap="medium")
    with left:
        activity = found.activity.numpy()
        figure = charts.occlusion_map(activity, places, f"unit {found.unit}: sum", dark)
        strongest = scans.maps_on(view.subject, view.layer.path, view.data)
        before = float(strongest.maps[found.unit].sum())
        panels.chart(figure, _activity_sentence(found, activity, before), "evidence_activity")
    with middle:
        figure = charts.occlusion_map(probability, places, f"p({name})", dark, percent=True)
        panels.chart(
            figure,
            f"{name[:1].upper()}{name[1:]}: {share(lowest)} to {share(float(probability.max()))}",
            "evidence_probability",
        )
    with right:
        _answers(view, found, places, dark)
    st.caption(
        f"Each point of a map is the middle of a grey square of {found.size} × {found.size} px, in "
        f"{len(found.rows)} × {len(found.columns)} places. First: the sum over the feature map "
        f"that the photo excites most. Second: the probability of {name}. Third: the most probable "
        "class."
    )
    controls.downloads(
        f"{view.subject.name}-{view.layer.path}-occlusion", sheet, lambda: _arrays(found)
    )


def _is_robust(whole: float, lowest: float) -> bool:
    return lowest > 0.9 * whole


def _headline(name: str, whole: float, lowest: float) -> str:
    if _is_robust(whole, lowest):
        return f"No single square hides {name}: {share(whole)} falls to {share(lowest)}"
    return f"One square takes {name} from {share(whole)} to {share(lowest)}"


def _activity_sentence(found: Occlusion, activity: NDArray[np.floating], before: float) -> str:
    if before <= 0:
        return f"Activity of unit {found.unit}"
    lost = 1 - float(activity.min()) / before
    if lost <= 0.005:
        return f"Unit {found.unit} loses nothing to any square"
    return f"Unit {found.unit} loses up to {share(min(lost, 1.0))} of its activity"


def _pictures(
    view: _View, found: Occlusion, worst: tuple[int, int]
) -> tuple[list[str], Callable[[], bytes]]:
    """The row of pictures as HTML, and what makes them and the maps one PNG."""
    seen, unit = view.asked.seen, found.unit
    name = view.name(view.target)
    hidden = seen.copy()
    row, column = worst
    grey = np.rint(np.array(view.subject.mean) * 255).astype(np.uint8)
    hidden[row : row + found.size, column : column + found.size] = grey
    looked = scans.maps_on(view.subject, view.layer.path, view.data)
    carried = scans.carried_back(view.subject, view.layer.path, (unit,), "deconvnet", view.data)
    feature = render.grey_map(looked.maps[unit])
    (picture,) = render.signed_tiles([carried.pixels[0]], shared=None)
    large = render.LARGE
    cells = [
        (seen, "what the network sees", "The photo as the network sees it"),
        (hidden, f"hidden here, {name} is least probable", "The photo with a grey square"),
        (feature, f"unit {unit}, the strongest map of {view.layer.path}", f"Map of unit {unit}"),
        (picture, f"what unit {unit} saw, by deconvnet", f"Reconstruction of unit {unit}"),
    ]
    figures = [
        render.figure(render.image(render.to_side(pixels, large), alt), caption)
        for pixels, caption, alt in cells
    ]

    def sheet() -> bytes:
        top = float(found.activity.max())
        maps = [
            (f"activity of unit {unit}, 0 to {top:.3g}", found.activity.numpy() / (top or 1.0)),
            (f"probability of {name}, 0 to 1", found.probability.numpy()),
        ]
        titles = ("seen", f"{name} is least probable", f"strongest: unit {unit}", "deconvnet")
        blocks = [
            (title, [render.to_side(pixels, large)])
            for title, (pixels, _, _) in zip(titles, cells, strict=True)
        ]
        for caption, values in maps:
            shade = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)[..., None]
            blocks.append((caption, [render.to_side(shade, large)]))
        return render.sheet(blocks, columns=2)

    return figures, sheet


def _answers(view: _View, found: Occlusion, places: charts.Places, dark: bool) -> None:
    best = found.best.numpy()
    answer = view.asked.answer
    shares = charts.answer_shares(best)
    names = [view.name(number) for number in range(len(view.asked.probabilities))]
    kept = shares.get(answer, 0.0)
    sentence = (
        f"The answer is {names[answer]} everywhere"
        if kept == 1
        else f"Answer: {names[answer]} in {share(kept)} of places"
    )
    listed = ", ".join(f"{names[n]} {share(part)}" for n, part in [*shares.items()][:5])
    figure = charts.answer_map(best, places, names, answer, dark)
    panels.chart(figure, sentence, "evidence_answers", f"Answers by their share: {listed}")
    if kept < 1:
        st.caption(f"{listed}{' …' if len(shares) > 5 else ''}")


def _arrays(found: Occlusion) -> dict[str, object]:
    return {
        "activity": found.activity.numpy(),
        "probability": found.probability.numpy(),
        "best": found.best.numpy(),
        "rows": found.rows,
        "columns": found.columns,
        "size": found.size,
        "unit": found.unit,
        "target": found.target,
    }


def _grad_cam(view: _View) -> None:
    """The heat map over the photo, and how much of the photo holds half of it."""
    heat = experiments.heat_of(view.subject, view.layer.path, view.data, view.target)
    name, path = view.name(view.target), view.layer.path
    half = charts.half_area(heat)
    picture, words = st.columns([1, 1.2], gap="large", vertical_alignment="center")
    if half == 0:
        st.subheader(f"Grad-CAM: nothing at {path} speaks for {name}", anchor=False)
        st.caption("Its maps, weighted by how they change the class's logit, sum to 0 or less.")
        return
    side = max(448, *view.asked.seen.shape[:2])
    photo = encode_png(render.to_side(_grey(view.asked.seen), side))
    with picture:
        panels.chart(
            charts.heat_on_photo(photo, heat, theme.is_dark()),
            f"Grad-CAM: half of the evidence for {name} lies in {share(half)} of the photo",
            "evidence_heat",
        )
    with words:
        height, width = view.layer.output_shape[2:]
        st.markdown(
            f"Every feature map of **{path}** is weighted by how much it raises the logit of "
            f"**{name}**, and what is positive in their sum is laid over the photo (in grey; "
            f"Selvaraju et al. 2017). The maps have {height} × {width} positions, and the picture "
            "can be no finer than that. Early layers have fine maps that know little of classes; "
            "the last ones know most."
        )
        arrays = {"heat": heat, "seen": view.asked.seen, "target": view.target}
        controls.downloads(
            f"{view.subject.name}-{path}-gradcam", lambda: _heated(view, heat), lambda: arrays
        )


def _grey(seen: Pixels) -> Pixels:
    """A photo (H, W, C) without colours (H, W, 1), so that those of the heat stand out."""
    if seen.shape[2] == 1:
        return seen
    grey: Pixels = np.rint(seen @ np.array(LUMA))[..., None].astype(np.uint8)
    return grey


def _heated(view: _View, heat: NDArray[np.float32]) -> bytes:
    """The photo with the heat on it as a PNG."""
    strength = (heat / (float(heat.max()) or 1.0))[..., None] * 0.7
    base = np.broadcast_to(_grey(view.asked.seen), (*heat.shape, 3)).astype(np.float32)
    mixed = base * (1 - strength) + np.array([255.0, 106.0, 0.0]) * strength
    return encode_png(render.to_side(np.rint(mixed).astype(np.uint8), render.LARGE))


def _caution(subject: Subject) -> None:
    st.subheader("How to read it", anchor=False)
    words = (
        "Occlusion is an experiment on the answer itself: where the probability falls, the network "
        "used what was hidden (Zeiler and Fergus 2013, section 4.2). But a grey square has edges "
        "of its own, no training image had one, and two parts that can stand in for each other "
        "both look unimportant, since one is hidden at a time. Grad-CAM is a first-order estimate "
        "from one layer's maps; it changes when the weights are randomised, as it should (Adebayo "
        "et al. 2018, [arXiv 1810.03292](https://arxiv.org/abs/1810.03292)). The reconstruction is "
        "no evidence for a class: deconvnet partly recovers the image whatever the weights (Nie "
        "et al. 2018, [arXiv 1805.07039](https://arxiv.org/abs/1805.07039))."
    )
    st.markdown(words)
    if subject.weights == "random":
        st.caption("These weights are random: any pattern here is one of the architecture alone.")
