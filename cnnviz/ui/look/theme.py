"""The look of the app beyond `.streamlit/config.toml`: families' colours and shared styles.

`FAMILY_COLOURS` and the other colours are defined once, in `cnnviz.charts.style`.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.charts import style
from cnnviz.registry import Architecture

# light-dark() follows the color-scheme that Streamlit sets with its theme, without a rerun.
_NAMED = {
    "muted": style.MUTED,
    "line": style.LINE,
    "accent": style.ACCENT,
    "on-accent": style.ON_ACCENT,
    "ink": style.TEXT,
}


def is_dark() -> bool:
    """Tell whether this visitor's theme is dark (light where it is not known)."""
    return st.context.theme.type == "dark"


def family_variable(name: str) -> str:
    """Return the CSS value of a family's colour, for a style attribute; grey if unknown."""
    return f"var(--family-{name}, var(--muted))"


def badge(family: Architecture) -> str:
    """Return the family's name with its colour, as inline HTML."""
    return (
        f'<span class="badge" style="--family:{family_variable(family.name)}">'
        f"{escape(family.title)} · {family.year}</span>"
    )


def drawing(html: str) -> None:
    """Write HTML that holds SVG, which `st.html` would strip. `html` must be escaped already."""
    st.markdown(html, unsafe_allow_html=True)


def style_sheet() -> str:
    """Return the shared styles as a ``<style>`` element for `st.html`."""
    colours = {**_NAMED, **style.LINE_COLOURS}
    variables = "".join(
        f"--{name}:light-dark({pair.light},{pair.dark});" for name, pair in colours.items()
    )
    return f"<style>.stApp{{{variables}}}{_RULES}</style>"


_RULES = """
.stMainBlockContainer { max-width: 1200px; padding: 4.5rem 2rem 6rem; }
.lead { font-size: 1.2rem; line-height: 1.55; color: var(--muted); max-width: 44rem; margin: 0; }
[data-testid="stCaptionContainer"] { opacity: 1; }
[data-testid="stCaptionContainer"] p { color: var(--muted); }
[data-testid^="stBaseButton-primary"], [data-testid^="stBaseButton-primary"] p {
  color: var(--on-accent); }
[data-testid="stMultiSelectTagsContainer"] [data-tag],
[data-testid="stMultiSelectTagsContainer"] [data-tag] * { color: var(--on-accent); }
[data-variant="segmented_control"] { height: 2.5rem; }  /* as its neighbours */
.muted { color: var(--muted); }
.badge { white-space: nowrap; color: var(--muted); font-size: .9rem; }
.badge::before { content: ""; display: inline-block; width: .7em; height: .7em;
  margin-right: .5em; border-radius: 2px; background: var(--family); }
[data-testid="stPageLink"] a { padding-left: 0; background: none; }
[data-testid="stPageLink"] a p { color: var(--accent); font-size: 1rem; font-weight: 600; }
[data-testid="stPageLink"] a:hover p { text-decoration: underline; text-underline-offset: .2em; }
.st-key-explore_row p { color: var(--accent); font-weight: 600; }  /* as the links beside it */
.st-key-url_address { position: absolute; }  /* of the URL: nothing to see */
.glyph { display: block; width: 100%; max-width: 120px; height: auto; overflow: visible; }
.glyph * { stroke: var(--family); stroke-width: 1.4; stroke-linejoin: round; fill: none;
  vector-effect: non-scaling-stroke; }
.glyph .tint { fill: color-mix(in srgb, var(--family) 16%, transparent); }
.glyph .solid { fill: var(--family); }
.glyph .strong { stroke-width: 2.4; }
.glyph .dashed { stroke-dasharray: 4 3; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 1.4rem 1.5rem; margin: .4rem 0 0;
  border-top: 1px solid var(--line); padding: 1.2rem 0 0 !important; }
.facts dt { font-size: .85rem; color: var(--muted); margin: 0; }
.facts dd { margin: .1rem 0 0; font-size: 1.6rem; line-height: 1.25; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.facts dd small { display: block; font-size: .8rem; line-height: 1.4; color: var(--muted);
  white-space: normal; margin-top: .15rem; }
.portrait { display: flex; gap: 2.2rem; align-items: flex-start; margin: 1.2rem 0; }
.portrait .glyph { flex: 0 0 150px; max-width: 150px; margin-top: .5rem; }
.portrait h2 { padding: 0; margin: 0 0 .3rem; }
.portrait p { max-width: 46rem; margin: 0 0 .5rem; }
.changes { margin: 0; padding: 0 !important; }
.changes dt { font-weight: 600; margin: 0; }
.changes dd { color: var(--muted); margin: .1rem 0 .9rem; padding: 0; }
@media (max-width: 640px) {
  .portrait { flex-direction: column; gap: .8rem; }
  .portrait .glyph { flex-basis: auto; width: 120px; }
  .stMainBlockContainer { padding: 4rem 1rem 4rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .facts dd { font-size: 1.35rem; }
  .lead { font-size: 1.08rem; }
}
"""
