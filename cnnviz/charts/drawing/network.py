"""A network drawn as a graph of boxes: a foldable graph in, SVG text out.

`cnnviz.charts.drawing.nested` places the boxes; this file gives them words and colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal, NamedTuple

from cnnviz.charts.drawing.layered import Point
from cnnviz.charts.drawing.nested import HEADER, MARGIN, PILL, PLATE, Box, Drawing, Edge, sheets
from cnnviz.charts.style import ACCENT, BACKGROUND, LINE, MUTED, TEXT, Colour

if TYPE_CHECKING:
    from cnnviz.anatomy.graph import Node

ColourBy = Literal["kind", "share"]

KIND_COLOURS = {
    "conv": ("Convolution", ACCENT),
    "linear": ("Fully connected", Colour("#b9702a", "#e3a15f")),
    "matmul": ("Matrix product", Colour("#8a4b12", "#c98a4e")),
    "norm": ("Normalisation", Colour("#7a55b5", "#b79be8")),
    "activation": ("Activation", Colour("#2f7d4f", "#7fc79b")),
    "pool": ("Pooling", Colour("#0f7f93", "#6fcbdc")),
    "merge": ("Branches meet", Colour("#b03a5b", "#ec8fa6")),
    "other": ("Everything else", MUTED),
}
#: Upper ends of the classes of shares, and what each is called.
SHARES = (
    (0.0, "no MACs"),
    (0.01, "≤ 1 %"),
    (0.05, "≤ 5 %"),
    (0.2, "≤ 20 %"),
    (1.0, "> 20 % of all MACs"),
)
_STRENGTHS = (0.0, 0.1, 0.22, 0.36, 0.5)  # of the accent in the fill of each class


class Letters(NamedTuple):
    """Sizes of type, and how wide its letters are, in pixels; the least scale of them."""

    bold_size: float
    bold: float
    plain_size: float
    plain: float
    least: float


#: In the page the font is known; a file may be shown in a wider one, and says nothing on hover.
_PAGE, _FILE = Letters(13, 6.6, 11.5, 5.4, 0.92), Letters(11.5, 7.4, 10, 6.1, 0.82)
_FEW, _TELLING = 6, 10  # letters of a detail: always kept; worth keeping where it was cut


@dataclass(frozen=True)
class Caption:
    """The words on a node: two lines of a left and a right part, and all there is in one."""

    name: str
    detail: str
    shape: str
    cost: str
    title: str
    share: float = 0.0  # of the network's MACs, 0 to 1


def kind_of(node: Node) -> str:
    """Return the key of `KIND_COLOURS` for a node."""
    return node.kind if node.kind in KIND_COLOURS else "other"


def share_class(share: float) -> int:
    """Return the index in `SHARES` of a share of the MACs (0 to 1)."""
    return next((i for i, (end, _) in enumerate(SHARES) if share <= end), len(SHARES) - 1)


def legend(colour_by: ColourBy, drawing: Drawing, dark: bool | None) -> list[tuple[str, str]]:
    """Return (label, CSS colour) of what the colours mean, only what occurs for kinds."""
    if colour_by == "share":
        return [(label, _css(share_colour(i), dark)) for i, (_, label) in enumerate(SHARES)]
    found = {kind_of(box.node) for box in drawing.boxes if not box.framed}
    return [
        (label, _css(colour, dark))
        for kind, (label, colour) in KIND_COLOURS.items()
        if kind in found
    ]


def share_colour(index: int) -> Colour:
    """Return the fill of a class of shares: ever more accent, text on it at 4.5 : 1 or more."""
    return _mixed(ACCENT, _STRENGTHS[index])


def svg(
    drawing: Drawing,
    caption: Callable[[Node], Caption],
    input_text: str,
    *,
    title: str,
    chosen: str = "",
    colour_by: ColourBy = "kind",
    dark: bool | None = None,
) -> str:
    """Write a drawing as one SVG element.

    Args:
        drawing: from `lay_out`.
        caption: gives the words of a node; they are escaped here.
        input_text: the words of the network's input.
        title: what is drawn, for those who cannot see it.
        chosen: id of the node to mark.
        colour_by: what the fills mean: kinds of operators, or shares of all MACs.
        dark: for a dark or a light background; None follows the page around it, and lets its
            nodes be reached and pressed: a standalone file has neither.

    """
    width, height = drawing.width, drawing.height
    parts = [_edge(edge) for edge in drawing.edges]
    shown = [box.node.id for box in drawing.boxes]
    stop = chosen if chosen in shown else next(iter(shown), "")
    frames: list[str] = []
    nodes = [_input(drawing.entry, input_text)] if drawing.entry else []
    for box in drawing.boxes:
        words = caption(box.node)
        marks = _marks(box, words, stop, chosen) if dark is None else ""
        draw, letters = (_frame if box.framed else _box), _letters(dark)
        (frames if box.framed else nodes).append(
            f'<g class="{_classes(box, words, chosen, colour_by)}"{marks}>'
            f"<title>{escape(words.title)}</title>{draw(box, words, colour_by, letters)}</g>"
        )
    foot = _foot(drawing, colour_by, dark) if dark is not None else ""
    below = 28.0 * bool(foot) * len(_foot_rows(drawing, colour_by, dark))
    role = 'role="group"' if dark is None else 'role="img"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + below:g}" '
        f'width="{width:g}" height="{height + below:g}" {role} aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><style>{style_sheet(dark)}</style>{_ARROW}"
        + ('<rect class="paper" width="100%" height="100%"/>' if foot else "")
        + "".join([*frames, *parts, *nodes])
        + foot
        + "</svg>"
    )


def _classes(box: Box, words: Caption, chosen: str, colour_by: ColourBy) -> str:
    colour = f"s{share_class(words.share)}" if colour_by == "share" else f"k-{kind_of(box.node)}"
    names = ["frame" if box.framed else "node", colour]
    return " ".join([*names, "chosen"] if box.node.id == chosen else names)


def _marks(box: Box, words: Caption, stop: str, chosen: str) -> str:
    """Return what makes a node a button: one of them is reached by Tab, the others by arrows."""
    node = box.node
    folds = f' aria-expanded="{str(box.framed).lower()}"' if node.children else ""
    pressed = "" if node.children else f' aria-pressed="{str(node.id == chosen).lower()}"'
    return (
        f' data-node="{escape(node.id)}" role="button" tabindex="{0 if node.id == stop else -1}"'
        f' aria-label="{escape(words.title)}"{folds}{pressed}'
    )


def _edge(edge: Edge) -> str:
    route = edge.route
    path = f"M{_xy(route[0])}"
    for (x0, y0), (x1, y1), end in _bends(route):
        if abs(x0 - x1) < 0.5:
            path += f"L{_xy((x1, y1))}"
        else:
            middle = (y0 + y1) / 2
            path += f"L{_xy((x0, y0))}C{_xy((x0, middle))} {_xy((x1, middle))} {_xy((x1, y1))}"
        path += f"L{_xy(end)}" if end != (x1, y1) else ""
    tip = ' marker-end="url(#cnnviz-arrow)"' if edge.arrives else ""
    return f'<path class="edge" d="{path}"{tip}/>'


def _bends(route: list[Point]) -> Iterator[tuple[Point, Point, Point]]:
    """Give each bend's start and end, and the end of the straight stretch behind it."""
    for index in range(1, len(route) - 1, 2):
        yield route[index], route[index + 1], route[index + 2]


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _input(corner: Point, words: str) -> str:
    x, y = corner
    width, height = PILL
    return (
        f'<g class="input"><rect x="{x:.1f}" y="{y:.1f}" width="{width:g}" height="{height:g}" '
        f'rx="14"/><text x="{x + width / 2:.1f}" y="{y + height / 2 + 4:.1f}" '
        f'text-anchor="middle">{escape(words)}</text></g>'
    )


def _box(box: Box, words: Caption, colour_by: ColourBy, letters: Letters) -> str:
    x, y, node = box.x, box.y, box.node
    parts = []
    for sheet in range(sheets(node), 0, -1):
        off = sheet * PLATE
        parts.append(_rect(x + off, y + off, box.width, box.height, "sheet"))
    parts.append(_rect(x, y, box.width, box.height, "body"))
    if colour_by == "kind":
        parts.append(f'<path class="strip" d="M{x + 6:.1f} {y + 7:.1f}v{box.height - 14:g}"/>')
    left = x + 14
    if node.children:
        parts.append(f'<path class="sign" d="M{left:.1f} {y + 12:.1f}l5 4l-5 4z"/>')
        left += 11
    name, detail, bold, plain = _first_line(words, x + box.width - 10 - left, letters)
    right = x + box.width - 10
    parts += [
        f'<text class="name" x="{left:.1f}" y="{y + 20:.1f}"{bold}>{escape(name)}</text>',
        f'<text class="end" x="{right:.1f}" y="{y + 20:.1f}"{plain}>{escape(detail)}</text>',
        f'<text x="{x + 14:.1f}" y="{y + 38:.1f}">{escape(words.shape)}</text>',
        f'<text class="end" x="{right:.1f}" y="{y + 38:.1f}">{escape(words.cost)}</text>',
    ]
    return "".join(parts)


def _frame(box: Box, words: Caption, _: ColourBy, letters: Letters) -> str:
    x, y = box.x, box.y
    cost = _cut(words.cost, letters.plain, box.width * 0.5)
    room = box.width - 44 - len(cost) * letters.plain
    name, detail, bold, plain = _first_line(words, room, letters)
    aside = f'<tspan class="aside" dx="7"{plain}>{escape(detail)}</tspan>' if detail else ""
    return (
        _rect(x, y, box.width, box.height, "body")
        + f'<path class="header" d="M{x:.1f} {y + HEADER:.1f}v{6 - HEADER:g}q0 -6 6 -6'
        f'h{box.width - 12:g}q6 0 6 6v{HEADER - 6:g}z"/>'
        f'<path class="sign" d="M{x + 11:.1f} {y + 10.5:.1f}l8 0l-4 5z"/>'
        f'<text class="name" x="{x + 25:.1f}" y="{y + 17.5:.1f}"{bold}>{escape(name)}{aside}</text>'
        f'<text class="end" x="{x + box.width - 10:.1f}" y="{y + 17.5:.1f}">{escape(cost)}</text>'
    )


def _smaller(size: float, scale: float) -> str:
    return f' style="font-size:{size * scale:.2f}px"' if scale < 1 else ""


def _first_line(words: Caption, room: float, letters: Letters) -> tuple[str, str, str, str]:
    """Return name and detail as they fit into `room` pixels, and the style of each.

    A detail is made smaller before its name, both before they are cut. Then the name comes first: a
    detail of few letters ("× 27") is always kept; a longer one is left out where little of it would
    remain, and a number of operators wherever it does not fit.
    """
    for bold in (letters.bold, letters.bold * letters.least):
        kept = len(words.detail) * letters.plain + 8 if len(words.detail) <= _FEW else 0
        name = _cut(words.name, bold, room - kept)
        left = room - len(name) * bold - 8
        detail = _cut(words.detail, letters.plain * letters.least, left)
        counted = words.detail[:1].isdigit()  # of operators: not worth a smaller name
        if name == words.name and (counted or detail == words.detail):
            break
    telling = len(detail) >= _TELLING and not detail[0].isdigit()
    if not (telling or detail == words.detail):
        detail = ""
    scale = left / max(len(detail) * letters.plain, 1)
    return (
        name,
        detail,
        _smaller(letters.bold_size, bold / letters.bold),
        _smaller(letters.plain_size, scale),
    )


def _rect(x: float, y: float, width: float, height: float, name: str) -> str:
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:g}" '
        f'height="{height:g}" rx="6"/>'
    )


def _cut(text: str, letter: float, room: float) -> str:
    """Shorten `text` to `room` pixels, at `letter` pixels a letter."""
    fits = max(int(room / letter), 2)
    return text if len(text) <= fits else text[: fits - 1] + "…"


def _foot_rows(
    drawing: Drawing, colour_by: ColourBy, dark: bool | None
) -> list[list[tuple[str, str]]]:
    """Break the legend into rows that the drawing's width holds."""
    rows: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for item in legend(colour_by, drawing, dark):
        wide = len(item[0]) * 6.6 + 36
        if rows[-1] and used + wide > drawing.width - 2 * MARGIN:
            rows.append([])
            used = 0.0
        rows[-1].append(item)
        used += wide
    return rows


def _foot(drawing: Drawing, colour_by: ColourBy, dark: bool | None) -> str:
    parts = []
    for row, items in enumerate(_foot_rows(drawing, colour_by, dark)):
        x, y = MARGIN, drawing.height + 28 * row + 8
        for label, colour in items:
            parts.append(
                f'<rect x="{x:g}" y="{y - 1:g}" width="12" height="12" rx="3" fill="{colour}" '
                f'stroke="{_css(LINE, dark)}"/>'
                f'<text x="{x + 18:g}" y="{y + 9:g}">{escape(label)}</text>'
            )
            x += len(label) * 6.6 + 36
    return "".join(parts)


_ARROW = (
    '<defs><marker id="cnnviz-arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="6" '
    'markerHeight="6" orient="auto"><path class="tip" d="M0 .8L8 4L0 7.2z"/></marker></defs>'
)


def _letters(dark: bool | None) -> Letters:
    return _PAGE if dark is None else _FILE


def _css(colour: Colour, dark: bool | None) -> str:
    if dark is None:
        return f"light-dark({colour.light},{colour.dark})"
    return colour.on(dark)


def _mixed(colour: Colour, part: float) -> Colour:
    """Lay `part` (0 to 1) of a colour over the background."""

    def mix(over: str, under: str) -> str:
        pairs = ((int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5))
        return "#" + "".join(f"{round(a * part + b * (1 - part)):02x}" for a, b in pairs)

    return Colour(mix(colour.light, BACKGROUND.light), mix(colour.dark, BACKGROUND.dark))


def style_sheet(dark: bool | None) -> str:
    """Return the drawing's own styles."""
    letters = _letters(dark)

    def css(colour: Colour) -> str:
        return _css(colour, dark)

    rules = [
        f"text{{font:500 {letters.plain_size}px 'Source Sans',system-ui,sans-serif;"
        f"fill:{css(MUTED)};font-variant-numeric:tabular-nums}}",
        f".name{{font-size:{letters.bold_size}px;font-weight:600;fill:{css(TEXT)}}}.end{{text-anchor:end}}",
        f".aside{{font-size:{letters.plain_size}px;font-weight:500;fill:{css(MUTED)}}}",
        f".paper{{fill:{css(BACKGROUND)}}}",
        f".edge{{fill:none;stroke:{css(MUTED)};stroke-width:1.3}}.tip{{fill:{css(MUTED)}}}",
        f".input rect{{fill:none;stroke:{css(MUTED)};stroke-dasharray:3 3}}",
        f".node .body,.sheet{{fill:{css(BACKGROUND)};stroke:{css(LINE)}}}",
        f".sign{{fill:{css(MUTED)}}}",
        ".strip{stroke-width:4;stroke-linecap:round;fill:none}",
        f".frame .body{{fill:{css(_mixed(TEXT, 0.025))};stroke:{css(LINE)}}}",
        f".header{{fill:{css(_mixed(TEXT, 0.07))}}}",
    ]
    for kind, (_, colour) in KIND_COLOURS.items():
        line, fill = css(_mixed(colour, 0.5)), css(_mixed(colour, 0.1))
        rules.append(f".k-{kind} .strip{{stroke:{css(colour)}}}")
        rules.append(f".node.k-{kind} .body{{fill:{fill};stroke:{line}}}")
        rules.append(f".k-{kind} .sheet{{stroke:{line}}}")
    for index in range(len(SHARES)):
        rules.append(f".node.s{index} .body{{fill:{css(share_colour(index))}}}")
        rules.append(f".node.s{index} text{{fill:{css(TEXT)}}}")
    rules.append(f".chosen>.body{{stroke:{css(TEXT)}!important;stroke-width:2}}")
    return "".join(rules)
