"""How fast each layer runs on this machine, beside what the machine could do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.anatomy.roofline import Peaks, Roofline
from cnnviz.charts.costs import roofline as charts
from cnnviz.errors import CnnvizError
from cnnviz.ui.cache.anatomy import measured
from cnnviz.ui.explore.measured import agreed
from cnnviz.ui.look import panels, theme
from cnnviz.ui.look.format import milliseconds, si
from cnnviz.ui.look.panels import Fact
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import url

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

_PASSES = 12  # of a large network: to warm up, watched and unwatched
_ROWS = 12  # of the table are seen at once


def speed(selection: Selection, trace: Trace) -> None:
    """Draw the roofline of the network on this machine, and list its operators by their time."""
    if not agreed(selection, trace, "speed", "Measure it on this machine", _PASSES):
        return
    try:
        found = measured.speed(*selection.arguments)
    except CnnvizError as error:
        st.error(str(error))
        return
    frame = found.to_frame()
    peaks = found.peaks
    panels.chart(
        charts.roofline(frame, peaks.flops, peaks.bandwidth, theme.is_dark()),
        charts.speed_sentence(frame),
        key="explore_roofline",
        alt=f"{int(frame['achieved'].notna().sum())} operators by FLOPs per byte and FLOP/s under "
        "the machine's roof; the table below has their numbers.",
    )
    st.caption(
        "The larger a mark, the larger its share of the time. On the roof an operator does all "
        "that the machine can; far below it, starting the operator takes most of the time; above "
        "the slope, its data came from the cache; above the flat part, the machine was freer than "
        "when its peak was measured, or multiplied fewer times than the formula. FLOPs are here "
        "two for each multiply–accumulate and one for each other operation, which the headline "
        "leaves out; bytes are the inputs, weights and outputs."
    )
    _facts(found, peaks)
    _slowest(frame)
    if st.button("Measure again", key="explore_speed_again", icon=":material/refresh:"):
        measured.forget_speed(*selection.arguments)
        url.rerun()


def _facts(found: Roofline, peaks: Peaks) -> None:
    threads = f"{peaks.threads} thread{'s' if peaks.threads != 1 else ''}"
    panels.facts(
        [
            Fact(
                "One image",
                milliseconds(1000 * found.pass_seconds),
                f"median of {found.passes} passes, with random weights",
            ),
            Fact(
                "In operators",
                milliseconds(1000 * found.seconds),
                "sum of each one's median, timed one by one",
            ),
            Fact(
                "Peak arithmetic",
                si(peaks.flops, "FLOP/s"),
                "a large matrix product in 32-bit floats, the best so far",
            ),
            Fact(
                "Peak memory",
                si(peaks.bandwidth, "B/s"),
                "a large copy, read and written, the best so far",
            ),
            Fact(
                "Measured on",
                threads,
                f"of {peaks.device}; other work on it lowers every figure",
            ),
        ]
    )


def _slowest(frame: pd.DataFrame) -> None:
    rows = charts.slowest(frame, len(frame))
    first = min(_ROWS, len(rows))
    held = rows["share"].iloc[:first].sum()
    st.header("The slowest first", anchor=False)
    table = pd.DataFrame(
        {
            "path": rows["path"],
            "ms": rows["seconds"] * 1000,
            "share": 100 * rows["share"],
            "achieved": rows["achieved"] / 1e9,
            "of_roof": 100 * rows["achieved"] / rows["roof"],
            "intensity": rows["intensity"],
            "limit": charts.limits_of(rows),
            "op": rows["op"],
            "output_shape": rows["output_shape"],
        }
    )
    st.dataframe(
        table,
        column_config=_columns(float(table["share"].max())),
        hide_index=True,
        height=38 + 35 * first,
        key="explore_slowest",
        placeholder="–",
        alt=f"{len(rows)} operators, the slowest first, with time, share and FLOP/s",
    )
    if first < len(rows):
        st.caption(
            f"The first {first} of {len(rows)} operators take {held * 100:.0f} % of the time; "
            "scroll for the others."
        )


def _columns(highest: float) -> dict[str, ColumnConfig]:
    columns = st.column_config
    return {
        "path": columns.TextColumn("Layer", width=190, pinned=True),
        "ms": columns.NumberColumn("Time", format="%.3f ms", width=95),
        "share": panels.share_column("of the time", 115, highest),
        "achieved": columns.NumberColumn("GFLOP/s", format="%.3g", width=85),
        "of_roof": columns.NumberColumn(
            "of the roof",
            format="%.0f %%",
            width=95,
            help="FLOP/s reached, of those that the machine allows at this intensity",
        ),
        "intensity": columns.NumberColumn("FLOPs per byte", format="%.3g", width=115),
        "limit": columns.TextColumn(
            "Limited by", width=95, help="The part of the roof above it, if it comes near"
        ),
        "op": columns.TextColumn("Operator", width=120),
        "output_shape": columns.TextColumn("Output", width=105),
    }
