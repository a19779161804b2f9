"""The browser's half of the network drawing: it zooms, moves and says which node was pressed."""

HTML = """
<div class="drawing">
  <div class="bar">
    <div class="legend"></div>
    <div class="zoom">
      <button type="button" data-zoom="out" aria-label="Zoom out" title="Zoom out">−</button>
      <button type="button" data-zoom="in" aria-label="Zoom in" title="Zoom in">+</button>
      <button type="button" data-zoom="fit" aria-label="Fit the width">Fit</button>
    </div>
  </div>
  <div class="view"></div>
</div>
"""

CSS = """
.drawing { border: 1px solid var(--st-border-color); border-radius: 6px; overflow: hidden;
  font-family: var(--st-font); color: var(--st-text-color); }
.bar { display: flex; gap: .8rem; align-items: center; justify-content: space-between;
  padding: .45rem .6rem; border-bottom: 1px solid var(--st-border-color); }
.legend { display: flex; flex-wrap: wrap; gap: .15rem .9rem; font-size: .8rem; }
.legend span { white-space: nowrap; }
.legend i { display: inline-block; width: .75em; height: .75em; border-radius: 3px;
  margin-right: .4em; border: 1px solid var(--st-border-color); }
.zoom { display: flex; gap: .3rem; flex: none; }
.zoom button { min-width: 2rem; height: 2rem; padding: 0 .5rem; font: inherit; font-size: .9rem;
  color: inherit; background: var(--st-background-color); cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: 6px; }
.zoom button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.zoom button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.view { overflow: auto; max-height: min(78vh, 780px); touch-action: pan-x pan-y; cursor: grab; }
@media (max-width: 640px) { .view { max-height: 60vh; } }
.view.moving { cursor: grabbing; user-select: none; }
.view svg { display: block; margin: 0 auto; }
.view [data-node] { cursor: pointer; outline: none; }
.view .node:hover > .body, .view .frame:hover > .header { filter: brightness(.96); }
.view [data-node]:focus-visible > .body { stroke: var(--st-primary-color); stroke-width: 3; }
"""

JS = """
const LOWEST = 0.15, HIGHEST = 3, READABLE = 0.85;

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.drawing');
  const view = root.querySelector('.view');
  const state = (root.state ??= { zoom: 1, fits: true, pressed: null, chosen: null });
  state.press = (id) => { state.pressed = id; setTriggerValue('pressed', id); };
  root.querySelector('.legend').innerHTML = data.legend;
  const before = place(view, state.pressed);
  const focused = view.contains(parentElement.activeElement ?? document.activeElement);
  view.innerHTML = data.svg;
  if (state.fits) fit(view, state); else scale(view, state, state.zoom);
  const node = find(view, data.chosen);
  const after = place(view, state.pressed);
  if (before && after) {
    view.scrollTop += after.y - before.y;
    view.scrollLeft += after.x - before.x;
  } else if (node && data.chosen !== state.chosen) {
    centre(view, node);
  }
  if (focused) find(view, state.pressed)?.focus({ preventScroll: true });
  state.chosen = data.chosen;
  state.pressed = null;
  if (!state.ready) { state.ready = true; listen(root, view, state); }
}

const find = (view, id) =>
  id ? [...view.querySelectorAll('[data-node]')].find((node) => node.dataset.node === id) : null;

function place(view, id) {
  const box = find(view, id)?.querySelector('.body').getBoundingClientRect();
  return box && { x: box.left + box.width / 2, y: box.top };
}

function centre(view, node) {
  const box = node.querySelector('.body').getBoundingClientRect();
  const frame = view.getBoundingClientRect();
  view.scrollTop += box.top - frame.top - Math.max((frame.height - box.height) / 2, 40);
  view.scrollLeft += box.left - frame.left - (frame.width - box.width) / 2;
}

function scale(view, state, zoom) {
  const svg = view.querySelector('svg');
  if (!svg) return;
  state.zoom = Math.min(Math.max(zoom, LOWEST), HIGHEST);
  svg.style.width = `${svg.viewBox.baseVal.width * state.zoom}px`;
  svg.style.height = `${svg.viewBox.baseVal.height * state.zoom}px`;
}

function fit(view, state) {
  const width = view.querySelector('svg')?.viewBox.baseVal.width;
  if (!width || !view.clientWidth) return;
  state.fits = true;
  scale(view, state, Math.min(Math.max(view.clientWidth / width, READABLE), 1));
  view.scrollLeft = (view.scrollWidth - view.clientWidth) / 2;
}

function zoomAt(view, state, zoom, x, y) {
  const frame = view.getBoundingClientRect();
  const [dx, dy] = [x - frame.left, y - frame.top];
  const [left, top] = [(view.scrollLeft + dx) / state.zoom, (view.scrollTop + dy) / state.zoom];
  state.fits = false;
  scale(view, state, zoom);
  view.scrollLeft = left * state.zoom - dx;
  view.scrollTop = top * state.zoom - dy;
}

function zoomBy(view, state, factor) {
  const frame = view.getBoundingClientRect();
  const [x, y] = [frame.left + frame.width / 2, frame.top + frame.height / 2];
  zoomAt(view, state, state.zoom * factor, x, y);
}

function listen(root, view, state) {
  root.querySelector('.zoom').addEventListener('click', (event) => {
    const what = event.target.dataset.zoom;
    if (what === 'fit') fit(view, state);
    else if (what) zoomBy(view, state, what === 'in' ? 1.25 : 0.8);
  });
  view.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const factor = Math.exp(-event.deltaY * 0.004);
    zoomAt(view, state, state.zoom * factor, event.clientX, event.clientY);
  }, { passive: false });
  new ResizeObserver(() => state.fits && fit(view, state)).observe(view);
  listenToKeys(view, state);
  listenToDrags(view, state);
  listenToPinches(view, state);
}

function listenToKeys(view, state) {
  view.addEventListener('keydown', (event) => {
    const node = event.target.closest('[data-node]');
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (node && (event.key === 'Enter' || event.key === ' ')) state.press(node.dataset.node);
    else if (node && move) step(view, node, move);
    else if (event.key === '+') zoomBy(view, state, 1.25);
    else if (event.key === '-') zoomBy(view, state, 0.8);
    else return;
    event.preventDefault();
  });
}

function step(view, node, move) {
  const corner = (one) => one.querySelector('.body').getBoundingClientRect();
  const nodes = [...view.querySelectorAll('[data-node]')].map((one) => [one, corner(one)]);
  nodes.sort(([, a], [, b]) => a.top - b.top || a.left - b.left);
  const next = nodes[nodes.findIndex(([one]) => one === node) + move]?.[0];
  if (!next) return;
  node.setAttribute('tabindex', -1);
  next.setAttribute('tabindex', 0);
  next.focus({ preventScroll: true });
  const [box, frame] = [corner(next), view.getBoundingClientRect()];
  if (box.top < frame.top || Math.min(box.bottom, box.top + 60) > frame.bottom
      || box.left < frame.left || box.right > frame.right) centre(view, next);
}

function listenToDrags(view, state) {
  let from = null, moved = false;
  view.addEventListener('pointerdown', (event) => {
    moved = false;
    if (event.pointerType !== 'mouse' || event.button !== 0) return;
    from = [event.clientX + view.scrollLeft, event.clientY + view.scrollTop];
  });
  view.addEventListener('pointermove', (event) => {
    if (!from) return;
    const left = from[0] - event.clientX, top = from[1] - event.clientY;
    if (!moved && Math.hypot(left - view.scrollLeft, top - view.scrollTop) < 5) return;
    if (!moved) view.setPointerCapture(event.pointerId);
    moved = true;
    view.classList.add('moving');
    view.scrollLeft = left;
    view.scrollTop = top;
  });
  const end = () => { from = null; view.classList.remove('moving'); };
  view.addEventListener('pointerup', end);
  view.addEventListener('pointercancel', end);
  view.addEventListener('click', (event) => {
    const node = event.target.closest('[data-node]');
    if (node && !moved) state.press(node.dataset.node);
  });
}

function listenToPinches(view, state) {
  let apart = 0;
  const distance = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  view.addEventListener('touchstart', (event) => {
    apart = event.touches.length === 2 ? distance(event.touches) : 0;
  }, { passive: true });
  view.addEventListener('touchmove', (event) => {
    if (event.touches.length !== 2 || !apart) return;
    event.preventDefault();
    const now = distance(event.touches), [a, b] = event.touches;
    const [x, y] = [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2];
    zoomAt(view, state, state.zoom * now / apart, x, y);
    apart = now;
  }, { passive: false });
}
"""
