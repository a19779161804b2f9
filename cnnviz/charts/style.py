"""The look that all charts share: colours, type sizes, margins.

Colours come in pairs, for a light and a dark background. The families' were found by maximising the
smallest OKLab distance between any two, as seen with normal vision and with protanopia,
deuteranopia and tritanopia (Machado, Oliveira, Fernandes 2009), at a contrast of 3 : 1 or more
against the background. Eight colours can still be confused: a chart also names the family or gives
it its `FAMILY_SYMBOLS`.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

import plotly.graph_objects as go


class Colour(NamedTuple):
    """One colour on a light and on a dark background, as #rrggbb."""

    light: str
    dark: str

    def on(self, dark: bool) -> str:
        """Return the form for a dark or a light background."""
        return self.dark if dark else self.light


BACKGROUND = Colour("#fcfcfb", "#14161a")
TEXT = Colour("#1d1f23", "#e8e6e1")
MUTED = Colour("#5d626b", "#a3a7af")
LINE = Colour("#dfddd7", "#343840")
ACCENT = Colour("#1f5aa8", "#8ab8f5")
ON_ACCENT = Colour("#ffffff", "#14161a")
#: Red, green and blue of heat on a photo, in both themes: what it lies on does not change.
HEAT = "255, 106, 0"

FAMILY_COLOURS = {
    "lenet": Colour("#a85b2e", "#f0b394"),
    "alexnet": Colour("#db577a", "#be4f6c"),
    "zfnet": Colour("#9f73f2", "#c5b0f7"),
    "vgg": Colour("#b48c02", "#a58105"),
    "googlenet": Colour("#1e96ad", "#9eecff"),
    "resnet": Colour("#5464ac", "#7890fb"),
    "mobilenet": Colour("#434c00", "#d8eb68"),
    "convnext": Colour("#7d115f", "#db7ab7"),
}

#: Runs that a family's colour would not tell apart.
RUN_COLOURS = (
    Colour("#1f5fae", "#7fb2f5"),
    Colour("#c2500c", "#fb9a4c"),
    Colour("#0f766e", "#4fd1c0"),
    Colour("#a3195f", "#f48fc4"),
    Colour("#6a7f00", "#c3d94e"),
    Colour("#6d38d1", "#b9a2fa"),
    Colour("#8a5a2b", "#d8b48a"),
    Colour("#4a5568", "#cbd5e1"),
)

#: What the lines of several runs are drawn with, by the name that the style sheet has for it, too.
LINE_COLOURS = {f"family-{name}": colour for name, colour in FAMILY_COLOURS.items()} | {
    f"run-{place}": colour for place, colour in enumerate(RUN_COLOURS)
}

FAMILY_SYMBOLS = {
    "lenet": "circle",
    "alexnet": "square",
    "zfnet": "diamond",
    "vgg": "triangle-up",
    "googlenet": "hexagon",
    "resnet": "cross",
    "mobilenet": "star",
    "convnext": "triangle-down",
}


def family_colours(dark: bool) -> dict[str, str]:
    """Return family name -> #rrggbb for a dark or a light background."""
    return {name: colour.on(dark) for name, colour in FAMILY_COLOURS.items()}


def channels(colour: str) -> list[int]:
    """Return red, green and blue (0 to 255) of #rrggbb."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def mixed(share: float, low: str, high: str) -> str:
    """Return the colour `share` (0 to 1) of the way from `low` to `high`, all as #rrggbb."""
    pairs = zip(channels(low), channels(high), strict=True)
    return "#{:02x}{:02x}{:02x}".format(*(round(a + share * (b - a)) for a, b in pairs))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [value / 255 for value in channels(colour)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def readable_on(cell: str, dark: bool) -> str:
    """Return the colour of text or of the background, whichever stands out more from `cell`."""
    return max(TEXT.on(dark), BACKGROUND.on(dark), key=lambda colour: contrast(colour, cell))


def styled(figure: go.Figure, dark: bool, height: int = 320) -> go.Figure:
    """Give `figure` the shared look and return it. The page writes its title above it."""
    line, muted = LINE.on(dark), MUTED.on(dark)
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 13, "color": muted},
        hoverlabel={"font": {"size": 13}, "align": "left"},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "title": {"text": ""},
            "font": {"color": muted},
        },
        bargap=0.2,
        uirevision="keep",
    )
    # The text's colour too: Streamlit's template has a paler one for axes and legends.
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"color": muted},
        "title": {"font": {"color": muted}},
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def lay_below(figure: go.Figure, photo: bytes, shape: tuple[int, int]) -> None:
    """Lay a picture, the PNG `photo`, below a figure, over `shape` (height, width) of its cells."""
    height, width = shape
    figure.add_layout_image(
        source="data:image/png;base64," + base64.b64encode(photo).decode(),
        x=-0.5,
        y=-0.5,
        sizex=width,
        sizey=height,
        xref="x",
        yref="y",
        sizing="stretch",
        layer="below",
    )
