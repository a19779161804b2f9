"""What the networks see of a photo: one small picture for each way in which they take it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import streamlit as st

from cnnviz.images import encode_png, enlarge
from cnnviz.prediction import Prediction
from cnnviz.ui.look.format import counted
from cnnviz.ui.look.words import data_name, without_data

#: Networks named below a picture; of more their number is said.
_NAMED = 3


def seen(found: Sequence[Prediction], notes: Sequence[str] = ()) -> None:
    """Write what is left of the photo at the networks' input sizes, pixel by pixel, for whom.

    `notes` says how the file was read; what was done to the photo for networks is said with them.
    """
    shown: dict[bytes, list[Prediction]] = {}
    for prediction in found:
        shape = repr(prediction.seen.shape).encode()
        shown.setdefault(shape + prediction.seen.tobytes(), []).append(prediction)
    if not shown:
        return
    st.caption("What the networks see of it")
    cells = []
    for group in shown.values():
        picture = group[0].seen
        side = picture.shape[0]
        source = base64.b64encode(encode_png(enlarge(picture, max(1, 192 // side)))).decode()
        kind = "grey" if picture.shape[2] == 1 else "colour"
        whose = escape(for_whom(group, found))
        cells.append(
            f'<figure><img src="data:image/png;base64,{source}" alt="The photo at {side} by {side} '
            f'pixels, {kind}, {whose}"><figcaption>{side} × {side}, {kind}<br>{whose}</figcaption>'
            "</figure>"
        )
    st.html(f'<div class="seen">{"".join(cells)}</div>')
    for note in dict.fromkeys(notes):
        st.caption(f"Note: {note}.")
    own = [note for p in found for note in p.notes if note not in notes]
    for note in dict.fromkeys(own):
        concerned = [p for p in found if note in p.notes]
        st.caption(f"Note {for_whom(concerned, found)}: {note}.")


def for_whom(group: Sequence[Prediction], every: Sequence[Prediction]) -> str:
    """Say for which of the networks in `every` those in `group` stand."""
    if len(group) == len(every):
        return "for all networks" if len(every) > 1 else f"for {group[0].title}"
    sets = dict.fromkeys(p.dataset for p in group)
    if len(group) == sum(p.dataset in sets for p in every):  # all networks of some data sets
        return f"for networks of {' and '.join(_images(dataset) for dataset in sets)}"
    titles = list(dict.fromkeys(p.title for p in group))
    if len(sets) == 1:
        titles = without_data(titles, group[0].dataset)
    named = ", ".join(titles[:_NAMED])
    more = len(titles) - _NAMED
    words = named if more <= 0 else f"{named} and {counted(more, 'other')}"
    return f"for {words}" if len(sets) > 1 else f"for {words}, of {_images(next(iter(sets)))}"


def _images(dataset: str) -> str:
    return {"digits": "handwritten digits"}.get(dataset, data_name(dataset))
