"""Tiles of pictures that can be pressed: one component, so that a press does not load the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from cnnviz.images import Pixels
from cnnviz.ui.deconvnet.render import image

_CSS = """
.units { display: grid; gap: 1.1rem; align-items: start; font-family: var(--st-font);
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 252px), 1fr)); }
@media (max-width: 640px) {
  .units.small { grid-template-columns: 1fr 1fr; gap: .4rem; }
  .units.small .title { flex-direction: column; gap: 0; }
}
button { all: unset; box-sizing: border-box; cursor: pointer; padding: 6px; border-radius: 8px;
  border: 1px solid transparent; color: var(--st-text-color); display: block; }
button:hover { border-color: var(--st-border-color);
  background: var(--st-secondary-background-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
button[aria-pressed=true] { border-color: var(--st-primary-color);
  box-shadow: inset 0 0 0 1px var(--st-primary-color); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.pair img { width: 100%; display: block; border-radius: 2px; }
.pair.blocks img { image-rendering: pixelated; }
.title { display: flex; justify-content: space-between; gap: .5rem; font-size: .85rem;
  margin: 0 0 .3rem; font-variant-numeric: tabular-nums; }
.title span { color: var(--muted); }
.title b { font-weight: 600; }
.dead { display: grid; place-items: center; aspect-ratio: 2; font-size: .85rem; padding: 1rem;
  text-align: center; color: var(--muted); border: 1px dashed var(--st-border-color);
  border-radius: 3px; }
"""

# After a press the page below grows a section on that unit; the reader is brought to it.
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector('.units');
  grid.classList.toggle('small', data.small);
  if (grid.shown !== data.html) { grid.innerHTML = data.html; grid.shown = data.html; }
  for (const button of grid.querySelectorAll('button'))
    button.setAttribute('aria-pressed', button.dataset.unit === data.chosen);
  grid.onclick = (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    setTriggerValue('pressed', button.dataset.unit);
    reveal(button.dataset.unit, performance.now() + 6000);
  };
}

function reveal(unit, until) {
  const section = document.querySelector(`[data-unit-section="${unit}"]`);
  if (section) {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    section.scrollIntoView({ behavior: still ? 'auto' : 'smooth', block: 'start' });
  } else if (performance.now() < until) {
    setTimeout(reveal, 80, unit, until);
  }
}
"""

_component = st.components.v2.component(
    "cnnviz_units", html='<div class="units"></div>', css=_CSS, js=_JS
)


@dataclass(frozen=True, eq=False)
class Tile:
    """One unit: its title, what is said beside it, and two pictures with their alt texts.

    Without pictures, `note` stands in their place.
    """

    unit: int
    title: str
    note: str
    pictures: tuple[tuple[Pixels, str], ...] = ()


def show(
    tiles: Sequence[Tile],
    chosen: int | None,
    key: str,
    press: Callable[[int], None],
    *,
    small: bool = False,
) -> None:
    """Write the tiles; `press` is called, before the rerun, with the unit that was pressed.

    Pictures of one thing each can be `small`: two tiles stand side by side on a phone.
    """

    def pressed() -> None:
        unit = st.session_state[key].pressed
        if unit is not None and str(unit).isdecimal():
            press(int(unit))

    html = "".join(_tile(tile) for tile in tiles)
    _component(
        key=key,
        data={"html": html, "chosen": "" if chosen is None else str(chosen), "small": small},
        on_pressed_change=pressed,
    )


def section(unit: int) -> None:
    """Mark the place where what is said of `unit` begins; a press on its tile scrolls here."""
    st.html(f'<div data-unit-section="{unit}" style="scroll-margin-top: 5rem"></div>')


def _tile(tile: Tile) -> str:
    title = f"<b>{escape(tile.title)}</b>"
    if not tile.pictures:
        body = f'<div class="title">{title}</div><div class="dead">{escape(tile.note)}</div>'
    else:
        pair = "".join(image(pixels, alt) for pixels, alt in tile.pictures)
        body = (
            f'<div class="title">{title}<span>{escape(tile.note)}</span></div>'
            f'<div class="pair">{pair}</div>'
        )
    return f'<button type="button" data-unit="{tile.unit}">{body}</button>'
