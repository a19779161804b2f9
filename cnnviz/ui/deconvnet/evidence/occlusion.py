"""Occlusion: how the answer changes where a grey square hides the photo.

The maps are those of figure 7 of Zeiler and Fergus (arXiv 1311.2901v3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.charts import evidence as charts
from cnnviz.sight import Occlusion
from cnnviz.ui.cache.sight import experiments, photo_maps
from cnnviz.ui.deconvnet import render
from cnnviz.ui.deconvnet.evidence.question import Question
from cnnviz.ui.deconvnet.evidence.samples import share
from cnnviz.ui.look import downloads, panels, theme

#: Work that begins only when asked for, in seconds.
PATIENCE = 20.0


def slide(view: Question) -> Occlusion | None:
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


def show_maps(view: Question, found: Occlusion) -> None:
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
        strongest = photo_maps.maps_on(view.subject, view.layer.path, view.data)
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
    downloads.offer(
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
    view: Question, found: Occlusion, worst: tuple[int, int]
) -> tuple[list[str], Callable[[], bytes]]:
    """The row of pictures as HTML, and what makes them and the maps one PNG."""
    seen, unit = view.asked.seen, found.unit
    name = view.name(view.target)
    hidden = seen.copy()
    row, column = worst
    grey = np.rint(np.array(view.subject.mean) * 255).astype(np.uint8)
    hidden[row : row + found.size, column : column + found.size] = grey
    looked = photo_maps.maps_on(view.subject, view.layer.path, view.data)
    carried = photo_maps.carried_back(
        view.subject, view.layer.path, (unit,), "deconvnet", view.data
    )
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


def _answers(view: Question, found: Occlusion, places: charts.Places, dark: bool) -> None:
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
