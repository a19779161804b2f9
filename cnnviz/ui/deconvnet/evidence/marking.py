"""Pictures with a box on each, which a press or the arrow keys move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from cnnviz.images import Pixels
from cnnviz.sight.evidence.correspondence import Box
from cnnviz.ui.deconvnet import render

_CSS = """
.boxes { display: grid; gap: 12px; font-family: var(--st-font);
  grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); }
button { all: unset; box-sizing: border-box; position: relative; display: block; width: 100%;
  cursor: crosshair; overflow: hidden; border-radius: 3px; touch-action: manipulation; }
button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
button img { width: 100%; display: block; pointer-events: none; }
button img.blocks { image-rendering: pixelated; }
button i { position: absolute; box-sizing: border-box; pointer-events: none;
  border: 2px solid #fff; outline: 1.5px solid #000; }
"""

# A press centres the box there; the picture shows it at once, and Python is told.
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector('.boxes');
  if (grid.shown !== data.html) { grid.innerHTML = data.html; grid.shown = data.html; }
  const buttons = [...grid.querySelectorAll('button')];
  const clip = (value, most) => Math.max(0, Math.min(most, Math.round(value)));
  const draw = (place, row, column) => {
    const box = buttons[place].querySelector('i');
    box.style.top = `${100 * row / data.height}%`;
    box.style.left = `${100 * column / data.width}%`;
    buttons[place].place = [row, column];
  };
  const send = () => setTriggerValue('placed', buttons.map((button) => button.place));
  buttons.forEach((button, place) => {
    draw(place, ...data.places[place]);
    const move = (row, column) => {
      draw(place, clip(row, data.height - data.side), clip(column, data.width - data.side));
      send();
    };
    button.onclick = (event) => {
      if (event.detail === 0) return;  // the keyboard's Enter has no place
      const area = button.getBoundingClientRect();
      move((event.clientY - area.top) / area.height * data.height - data.side / 2,
        (event.clientX - area.left) / area.width * data.width - data.side / 2);
    };
    button.onkeydown = (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1],
        ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      move(button.place[0] + step[0], button.place[1] + step[1]);
    };
  });
}
"""

_component = st.components.v2.component(
    "cnnviz_boxes", html='<div class="boxes"></div>', css=_CSS, js=_JS
)


def show(
    pictures: Sequence[Pixels],
    names: Sequence[str],
    boxes: Sequence[Box],
    fill: str,
    key: str,
    place: Callable[[list[tuple[int, int]]], None],
) -> None:
    """Write the pictures (H, W, C), each with its box; all boxes are squares of one size.

    `fill` is the colour that hides a part, as CSS.

    `place` is called, before the rerun, with the new first row and column of every box.
    """
    height, width = pictures[0].shape[:2]
    side = boxes[0].height

    def placed() -> None:
        places = st.session_state[key].placed
        if isinstance(places, list) and len(places) == len(boxes):
            place([(int(row), int(column)) for row, column in places])

    blocks = " class='blocks'" if height < render.LARGE else ""
    cells = []
    for picture, name in zip(pictures, names, strict=True):
        shown = render.to_side(picture, render.LARGE)
        image = render.image(shown, name).replace("<img", f"<img{blocks}", 1)
        form = f"width:{100 * side / width:.3f}%;height:{100 * side / height:.3f}%"
        form += f";background:{fill}"
        cells.append(
            f'<button type="button" aria-label="The box on {escape(name)}: press, or use the '
            f'arrow keys, to move it">{image}'
            f'<i style="{form}"></i></button>'
        )
    data = {
        "html": "".join(cells),
        "places": [[box.row, box.column] for box in boxes],
        "height": height,
        "width": width,
        "side": side,
    }
    _component(key=key, data=data, on_placed_change=placed)
