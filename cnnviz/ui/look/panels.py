"""Pieces that pages share: the head of a page, the few numbers that matter, a chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import streamlit as st

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

#: The format of a table's whole numbers, with a column's `step` of 1: "25,557,032". For
#: "localized", "percent", "compact" and "bytes" the browser makes a formatter anew for each cell.
GROUPED = "accounting"

_QUIET = {"displayModeBar": False, "scrollZoom": False}


@dataclass(frozen=True)
class Fact:
    """A number that matters: its label, itself, what it means, and its exact form on hover."""

    label: str
    value: str
    note: str = ""
    exact: str = ""


def head(title: str, purpose: str) -> None:
    """Write a page's title and the one sentence that says what it is for."""
    st.title(title, anchor=False)
    st.html(f'<p class="lead">{escape(purpose)}</p>')


def facts(items: Iterable[Fact]) -> None:
    """Write numbers side by side, as many in a row as there is room for."""
    cells = (
        f"<div><dt>{escape(item.label)}</dt><dd><span title='{escape(item.exact)}'>"
        f"{escape(item.value)}</span><small>{escape(item.note)}</small></dd></div>"
        for item in items
    )
    st.html(f'<dl class="facts">{"".join(cells)}</dl>')


def share_column(title: str, width: int, highest: float) -> ColumnConfig:
    """Return a table's column of shares in per cent: a bar and two decimals.

    The `highest` share's bar fills the cell.
    """
    return st.column_config.ProgressColumn(
        title, format="%.2f %%", width=width, min_value=0, max_value=highest or 1
    )


def chart(
    figure: go.Figure, sentence: str, key: str, alt: str = "", *, select: bool = False
) -> dict[str, Any]:
    """Write a chart under the sentence that it shows; `alt` says more to who cannot see it.

    With `select`, a click on a point reruns the page and what is chosen is returned.
    """
    st.subheader(sentence, anchor=False)
    event: Any = st.plotly_chart(
        figure,
        key=key,
        config=_QUIET,
        alt=f"{sentence}. {alt}".strip(),
        on_select="rerun" if select else "ignore",
        selection_mode="points",
    )
    return dict(event) if select else {}
