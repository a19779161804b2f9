"""The road from the oldest family to the newest: years to scale, one milestone for each family."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz import registry
from cnnviz.registry import Architecture
from cnnviz.ui.look.glyphs import glyph
from cnnviz.ui.look.theme import drawing, family_variable
from cnnviz.ui.state import links


def road() -> None:
    """Write the milestones of every registered family, each a link into Explore."""
    families = registry.list_architectures()
    st.html(f"<style>{_rules(len(families))}</style>")
    with st.container(key="road", gap=None):
        drawing(f'<div class="axis">{_axis(families)}</div>')
        with st.container(key="milestones", gap=None):
            for family in families:
                _milestone(family)


def _milestone(family: Architecture) -> None:
    with st.container(key=f"milestone-{family.name}", gap=None):
        drawing(
            f'<div class="milestone" style="--family:{family_variable(family.name)}">'
            f'{glyph(family.name)}<span class="year">{family.year}</span></div>'
        )
        links.link("explore", family.title, variant=family.first)
        st.html(f'<p class="motto">{escape(family.motto)}</p>')


def _axis(families: list[Architecture]) -> str:
    """Draw the years to scale and a line from each family's year to its column, as SVG."""
    years = [family.year for family in families]
    first, span = min(years), max(max(years) - min(years), 1)
    columns = [(2 * i + 1) * 50 / len(families) for i in range(len(families))]
    left, width = columns[0], columns[-1] - columns[0]

    def place(year: int) -> float:
        return left + width * (year - first) / span

    parts = [_stroke(left, 26, left + width, 26, "scale")]
    parts += [_stroke(place(y), 22, place(y), 30, "scale") for y in range(first, first + span + 1)]
    for family, column in zip(families, columns, strict=True):
        colour = f"--family:{family_variable(family.name)}"
        parts.append(
            f'<g style="{colour}">{_stroke(place(family.year), 26, column, 84, "way")}'
            f'<circle cx="{place(family.year):.2f}%" cy="26" r="5"/></g>'
        )
    parts += [f'<text x="{place(year):.2f}%" y="12">{year}</text>' for year in sorted(set(years))]
    label = "The years of the families to scale: " + ", ".join(
        f"{family.title} {family.year}" for family in families
    )
    return f'<svg role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.2f}%" y1="{y1}" x2="{x2:.2f}%" y2="{y2}"/>'


def _rules(columns: int) -> str:
    """Return the styles of the road; `columns` milestones side by side where there is room."""
    return f"""
.st-key-road [data-testid="stMarkdownContainer"] {{ margin-bottom: 0; }}
.axis svg {{ display: block; width: 100%; height: 88px; overflow: visible; }}
.axis .scale {{ stroke: var(--line); stroke-width: 1; }}
.axis .way {{ stroke: var(--family); stroke-width: 1.2; opacity: .75; }}
.axis circle {{ fill: var(--family); }}
.axis text {{ fill: var(--muted); font-size: 12px; text-anchor: middle;
  font-variant-numeric: tabular-nums; }}
.st-key-milestones {{ display: grid !important; gap: 0 .5rem !important;
  margin: 0 -.7rem; width: auto !important;
  grid-template-columns: repeat({columns}, minmax(0, 1fr)); }}
.st-key-milestones > * {{ min-width: 0; height: 100%; }}
[class*="st-key-milestone-"] {{ position: relative; height: 100%; padding: .9rem .7rem 1rem;
  border-radius: 8px; transition: background-color .15s; }}
[class*="st-key-milestone-"]:hover {{
  background: color-mix(in srgb, var(--accent) 7%, transparent); }}
[class*="st-key-milestone-"] a {{ padding: 0 !important; background: none !important;
  justify-content: flex-start; width: auto; }}
[class*="st-key-milestone-"] a::after {{ content: ""; position: absolute; inset: 0;
  border-radius: 8px; }}
[class*="st-key-milestone-"] a:focus-visible::after {{ outline: 2px solid var(--accent); }}
[class*="st-key-milestone-"] [data-testid="stPageLink"],
[class*="st-key-milestone-"] [data-testid="stPageLink"] *,
[class*="st-key-milestone-"] [data-testid="stElementContainer"] {{ position: static; }}
[class*="st-key-milestone-"] a p {{ font-size: 1.1rem; font-weight: 600; color: var(--ink); }}
.milestone .year {{ display: block; margin-top: .8rem; font-size: .85rem; color: var(--muted);
  font-variant-numeric: tabular-nums; }}
.motto {{ margin: .1rem 0 0; font-size: .9rem; line-height: 1.4; color: var(--muted); }}
@media (max-width: 1000px) {{
  .axis {{ display: none; }}
  .st-key-milestones {{ grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); }}
}}
@media (max-width: 640px) {{
  .st-key-milestones {{ grid-template-columns: 1fr; margin: 0;
    border-left: 2px solid var(--line); }}
  [class*="st-key-milestone-"] {{ padding: .8rem 0 .8rem 8.2rem; min-height: 5.6rem; }}
  .milestone .glyph {{ position: absolute; left: 1rem; top: 1rem; width: 6.2rem; }}
  .milestone .year {{ margin: 0; }}
}}
"""
