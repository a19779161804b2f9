"""What two other tools count for the same network, and why it differs where it does."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.anatomy import Opinion, Trace
from cnnviz.errors import CnnvizError
from cnnviz.ui.cache.anatomy import measured
from cnnviz.ui.explore.measured import agreed
from cnnviz.ui.look.format import count, si
from cnnviz.ui.pick.selection import Selection

_PASSES = 4  # torchinfo's, and fvcore's two

_STYLE = """<style>
.opinions { width: 100%; border-collapse: collapse; margin-top: .4rem; }
.opinions th, .opinions td { text-align: left; vertical-align: top; padding: .7rem 1.4rem .7rem 0;
  border: 0; border-bottom: 1px solid var(--line); }
.opinions thead th { font-size: .85rem; font-weight: 400; color: var(--muted); }
.opinions .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.opinions small { display: block; color: var(--muted); font-size: .85rem; }
.opinions .why { width: 46%; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  .opinions thead { display: none; }
  .opinions tr { display: grid; grid-template-columns: 1fr 1fr; padding: .8rem 0;
    border-bottom: 1px solid var(--line); }
  .opinions th, .opinions td { border: 0; padding: .15rem 0; }
  .opinions th, .opinions .why { grid-column: 1 / -1; width: auto; }
  .opinions .number::before { content: attr(data-label); display: block; font-size: .8rem;
    color: var(--muted); }
}
</style>"""


def opinion(selection: Selection, trace: Trace) -> None:
    """Set the counts of this trace, torchinfo and fvcore side by side, with their differences."""
    if not agreed(selection, trace, "opinion", "Ask torchinfo and fvcore", _PASSES):
        return
    try:
        found = measured.opinions(*selection.arguments)
    except CnnvizError as error:
        st.error(str(error))
        return
    st.subheader(verdict(found), anchor=False)
    rows = "".join(_row(item, found[0]) for item in found)
    st.html(
        f"{_STYLE}<table class='opinions'><thead><tr><th scope='col'>Counted by</th>"
        "<th scope='col'>Parameters</th><th scope='col'>MACs, one image</th>"
        f"<th scope='col'>How it counts</th></tr></thead><tbody>{rows}</tbody></table>"
    )
    st.caption(
        "MACs are multiply–accumulates; all three tools count these, not FLOPs, which are twice "
        "as many. Each tool counts a copy of the network."
    )


def verdict(found: list[Opinion]) -> str:
    """Say in one sentence where the tools agree and by how much they differ at most."""
    own, others = found[0], found[1:]
    parts = []
    for noun, key in (("parameters", "params"), ("MACs", "macs")):
        mine = getattr(own, key)
        counted = [(item.tool, getattr(item, key)) for item in others]
        off = [(tool, value) for tool, value in counted if value is not None and value != mine]
        silent = [tool for tool, value in counted if value is None]
        if silent:
            parts.append(f"{' and '.join(silent)} cannot count the {noun}")
        if not off and len(silent) < len(others):
            parts.append(f"{'all' if not silent else 'the others'} agree on the {noun}")
        elif off:
            told = " and ".join(f"{tool} counts {_difference(value, mine)}" for tool, value in off)
            parts.append(f"{told} {noun}{' than this app' if mine else ''}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}" if not text.startswith(("torch", "fvcore")) else text


def _difference(value: int, reference: int) -> str:
    """Say how far a count is off, without hiding a small difference in rounding."""
    if not reference:
        return f"{count(value)} instead of 0"
    percent = 100 * abs(value - reference) / reference
    digits = f"{percent:.2g}" if percent < 10 else f"{percent:.0f}"
    return f"{digits} % {'more' if value > reference else 'fewer'}"


def _row(item: Opinion, own: Opinion) -> str:
    cells = "".join(
        _cell(label, getattr(item, key), getattr(own, key), item is own)
        for label, key in (("Parameters", "params"), ("MACs, one image", "macs"))
    )
    name = "This app" if item is own else item.tool
    why = f"<td class='why'>{escape(item.note)}</td>"
    return f"<tr><th scope='row'>{escape(name)}</th>{cells}{why}</tr>"


def _cell(label: str, value: int | None, reference: int | None, is_own: bool) -> str:
    if value is None:
        shown, note = "–", "failed"
    else:
        shown = f"<span title='{si(value)}'>{count(value)}</span>"
        note = si(value)
        if not is_own and reference is not None:
            same = value == reference
            note = "the same" if same else _difference(value, reference)
    return f"<td class='number' data-label='{label}'>{shown}<small>{escape(note)}</small></td>"
