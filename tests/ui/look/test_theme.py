"""The families' colours can be told apart and read, and the settings repeat them faithfully."""

import itertools
import tomllib

import numpy as np
import pytest

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.charts import style
from cnnviz.settings import ROOT
from cnnviz.ui.look.glyphs import glyph
from cnnviz.ui.look.theme import style_sheet

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return to_lab @ np.cbrt(to_lms @ rgb)


def contrast(one, other):
    low, high = sorted(float(linear(c) @ (0.2126, 0.7152, 0.0722)) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("vision", VISION)
def test_families_can_be_told_apart(dark, vision):
    seen = {
        name: oklab(np.clip(VISION[vision] @ linear(colour), 0, 1))
        for name, colour in style.family_colours(dark).items()
    }
    distances = {
        pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]])
        for pair in itertools.combinations(seen, 2)
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] > 0.09, closest  # 0.02 is just noticeable


@pytest.mark.parametrize("dark", [False, True])
def test_colours_stand_out_from_the_background(dark):
    background = style.BACKGROUND.on(dark)
    for name, colour in style.family_colours(dark).items():
        assert contrast(colour, background) >= 3, name
    for pair in (style.TEXT, style.MUTED, style.ACCENT):
        assert contrast(pair.on(dark), background) >= 4.5


def test_every_family_has_colour_symbol_and_drawing():
    names = {family.name for family in registry.list_architectures()}
    assert names == set(style.FAMILY_COLOURS) == set(style.FAMILY_SYMBOLS)
    assert len(set(style.FAMILY_SYMBOLS.values())) == len(names)
    assert all("<svg" in glyph(name) for name in names)
    assert glyph("unknown") == ""


def test_settings_repeat_the_colours():
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    for key, dark in (("light", False), ("dark", True)):
        assert theme[key]["chartCategoricalColors"] == list(style.family_colours(dark).values())
        assert len(theme[key]["chartSequentialColors"]) == 10
        assert theme[key]["backgroundColor"] == style.BACKGROUND.on(dark)
        assert theme[key]["textColor"] == style.TEXT.on(dark)
        assert theme[key]["primaryColor"] == style.ACCENT.on(dark)


def test_style_sheet_fetches_nothing():
    sheet = style_sheet()
    assert "--family-lenet:light-dark(#a85b2e,#f0b394)" in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet
