"""Two networks at once: their costs side by side, and layer by layer with what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import registry
from cnnviz.anatomy import Trace, format_shape
from cnnviz.anatomy.compare_traces import Pair, Step, describe_ratio
from cnnviz.networks.catalogue import predecessor
from cnnviz.registry import Variant
from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.explore.settings import Settings
from cnnviz.ui.look.format import count, plain, si
from cnnviz.ui.pick.selection import Selection, from_text
from cnnviz.ui.state import url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_KEY = "explore_other"
_SETTINGS = Settings(_KEY, "Adjust it")


def two(selection: Selection, trace: Trace) -> None:
    """Write the chosen network beside a second one, by default the one that it came from."""
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other, refused = _pick(selection.variant, notes)
        all_layers = url.follow("same", "explore_two_all", {"": True, "no": False})
        st.toggle("Layers that are the same too", key="explore_two_all")
    if refused:
        _SETTINGS.say_refused(other)
    reference = networks.traced(*other.arguments)
    pairs = networks.pairs(other.arguments, selection.arguments)
    titles = (other.title, selection.title)
    st.subheader(_sentence(pairs, *titles), anchor=False)
    st.html(_STYLE + _numbers(reference, trace, titles))
    st.html(_layers([p for p in pairs if all_layers or p.state != "same"], titles))
    st.caption(
        "Layers are paired by kind and by how often the map was halved, in the order of "
        "execution; a 1 × 1 convolution never with a wider one, a shortcut's projection with "
        "another one alone. Operators that only rearrange numbers, pools that leave the map as it "
        "is, and dropout, are left out. The same layer does the same to maps of any size."
    )


def _pick(chosen: Variant, notes: DeltaGenerator) -> tuple[Selection, bool]:
    """Write the pickers of the second network; the URL has it as ``other``.

    The URL wins where it is not what was seen here last, as in `url.follow`; what it asks for and
    cannot be is said in `notes`. The second value is that of `Settings.pick`.
    """
    state, seen = st.session_state, url.seen()
    default = Selection(registry.get(_before(chosen)))
    asked = url.read("other") or ""
    meant, problems = from_text(asked, default.variant) if asked else (default, [])
    if _KEY not in state or (asked, meant.arguments) != seen.get("other"):
        _seed(meant)
    name = st.selectbox(
        "Compare with",
        [variant.name for variant in registry.list_variants()],
        key=_KEY,
        format_func=lambda name: registry.get(name).title,
        on_change=_own_settings,
        width=320,
    )
    shown, refused = _SETTINGS.pick(registry.get(name))
    with url.collected():
        if shown.arguments != meant.arguments:
            asked = "" if shown.arguments == default.arguments else shown.to_text()
            problems = []
            url.write("other", asked)
        seen["other"] = asked, shown.arguments  # what "" means changes with `chosen`
    for problem in problems:
        notes.warning(plain(problem))
    return shown, refused


def _seed(selection: Selection) -> None:
    """Put `selection` into the pickers."""
    st.session_state[_KEY] = selection.variant.name
    url.chosen_by(_KEY)
    _SETTINGS.seed(selection)


def _own_settings() -> None:
    _seed(Selection(registry.get(st.session_state[_KEY])))


def left() -> None:
    """Let the pickers begin with what the URL says, another view having been shown."""
    url.seen().pop("other", None)


def _before(chosen: Variant) -> str:
    """Return what stands beside `chosen` unasked: its predecessor, or one of its own family."""
    before = predecessor(chosen)
    if before is not None:
        return before.name
    family = [variant.name for variant in registry.list_variants(chosen.architecture)]
    return family[0] if chosen.name != family[0] else family[1]


def _sentence(pairs: Sequence[Pair], left: str, right: str) -> str:
    found = Counter(pair.state for pair in pairs)
    states = {"differs": "changed", "only left": "gone", "only right": "new"}
    told = [f"{found[state]} {word}" for state, word in states.items() if found[state]]
    if not told:
        return f"{left} and {right} have the same layers"
    number, _, word = told[0].partition(" ")
    first = f"{number} layer{'' if number == '1' else 's'} {word}"
    return f"From {left} to {right}: {', '.join([first, *told[1:]])}"


def _numbers(left: Trace, right: Trace, titles: tuple[str, str]) -> str:
    """Return the costs of both and how many times the left one's the right one's are."""
    rows = []
    for label, name, unit in (
        ("Layers in a row", "depth", ""),
        ("Parameters", "params", ""),
        ("Multiply–accumulates", "macs", "MACs"),
        ("FLOPs, two for each", "flops", "FLOPs"),
        ("Weights", "weight_bytes", "B"),
        ("Activations held in inference", "peak_bytes", "B"),
        ("Activations kept for training", "training_bytes", "B"),
    ):
        values = getattr(left, name), getattr(right, name)
        cells = "".join(
            "<td>–</td>"
            if value is None
            else f'<td title="{count(value)}">{escape(si(value, unit))}</td>'
            for value in values
        )
        ratio = "–" if None in values else describe_ratio(values[1], values[0])
        rows.append(f'<tr><th scope="row">{label}</th>{cells}<td>{ratio}</td></tr>')
    fields = [trace.receptive_field for trace in (left, right)]
    seen = "".join(f"<td>{'–' if field is None else f'{field[0]:,} px'}</td>" for field in fields)
    known = [field[0] for field in fields if field is not None]
    ratio = describe_ratio(known[1], known[0]) if len(known) == 2 else "–"
    rows.append(f'<tr><th scope="row">Receptive field</th>{seen}<td>{ratio}</td></tr>')
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    return (
        '<table class="two-numbers"><thead><tr><td></td>'
        f'{head}<th scope="col">Ratio</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _layers(pairs: Sequence[Pair], titles: tuple[str, str]) -> str:
    if not pairs:
        return '<p class="muted">Every layer of one has its equal in the other.</p>'
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        f'<tr class="{pair.state.replace(" ", "-")}">{_cell(pair.left)}{_cell(pair.right)}'
        f"<td>{_difference(pair, titles)}</td></tr>"
        for pair in pairs
    )
    return (
        '<div class="two-scroll" tabindex="0" role="region" aria-label="Layer by layer">'
        f'<table class="two-layers"><thead><tr>{head}<th scope="col">What differs</th></tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def _cell(step: Step | None) -> str:
    if step is None:
        return '<td class="none">–</td>'
    weights = f", {si(step.params)} parameters" if step.params else ""
    return (
        f"<td><b>{escape(step.path)}</b> {escape(step.words)}"
        f"<small>→ {format_shape(step.output_shape)}{weights}</small></td>"
    )


def _difference(pair: Pair, titles: tuple[str, str]) -> str:
    if pair.state == "differs":
        return "<br>".join(
            f"{escape(name)} {escape(before)} → {escape(after)}"
            for name, before, after in pair.differences
        )
    only = {"only left": f"only in {titles[0]}", "only right": f"only in {titles[1]}"}
    return escape(only.get(pair.state, "the same"))


_STYLE = """<style>
.two-numbers, .two-layers { border-collapse: collapse; width: 100%; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
.two-numbers { max-width: 46rem; margin-bottom: 1.2rem; }
.two-numbers td, .two-numbers th { border: 0; border-bottom: 1px solid var(--line);
  padding: .4rem .6rem; text-align: right; font-weight: 400; }
.two-numbers td { white-space: nowrap; }
.two-numbers th[scope=row] { text-align: left; color: var(--muted); padding-left: 0; }
.two-numbers th[scope=col], .two-layers th { font-weight: 600; }
.two-scroll { max-height: 40rem; overflow: auto; border-top: 1px solid var(--line); }
.two-layers th { position: sticky; top: 0; background: var(--two-ground); text-align: left; }
.two-layers td, .two-layers th { border: 0; border-bottom: 1px solid var(--line);
  padding: .45rem .6rem; vertical-align: top; width: 37%; }
.two-layers td:last-child, .two-layers th:last-child { width: 26%; }
.two-layers small { display: block; color: var(--muted); }
.two-layers .none, .two-layers .same td { color: var(--muted); }
.two-layers .differs td:last-child { color: var(--two-differs); font-weight: 600; }
.two-layers .only-left td:last-child { color: var(--two-left); font-weight: 600; }
.two-layers .only-right td:last-child { color: var(--two-right); font-weight: 600; }
.two-layers .differs td:first-child { box-shadow: inset 3px 0 var(--two-differs); }
.two-layers .only-left td:first-child { box-shadow: inset 3px 0 var(--two-left); }
.two-layers .only-right td:first-child { box-shadow: inset 3px 0 var(--two-right); }
.stApp { --two-differs: light-dark(#8a5200, #e8b15c); --two-left: light-dark(#a3333d, #f09a9f);
  --two-right: light-dark(#1f5aa8, #8ab8f5); --two-ground: light-dark(#fcfcfb, #14161a); }
@media (max-width: 640px) {
  .two-layers thead { position: sticky; top: 0; z-index: 1; background: var(--two-ground); }
  .two-layers th { position: static; border: 0; width: auto; padding: .2rem .5rem; }
  .two-layers th:last-child { display: none; }
  .two-layers tr { display: grid; grid-template-columns: 1fr 1fr; padding: .3rem 0;
    border-bottom: 1px solid var(--line); }
  .two-layers td { width: auto !important; border: 0; padding: .2rem .5rem;
    overflow-wrap: anywhere; }
  .two-layers td:last-child { grid-column: 1 / -1; }
  .two-numbers td, .two-numbers th { padding: .4rem .3rem; }
}
</style>"""
