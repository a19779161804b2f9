"""The page for whoever carries on names files that there are, and all rooms."""

import re

import pytest

from cnnviz.settings import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
WORDS = re.findall(r"`([^`\s]+)`", PAGE)
PATHS = sorted({word for word in WORDS if "/" in word or re.search(r"\.(py|toml|md)$", word)})


def exists(path):
    return list(ROOT.glob(path.replace("NAME", "*")))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path):
    assert exists(path), f"docs/architecture.md names {path}, which is not there"


def test_every_room_is_on_the_map():
    picture = PAGE.split("```")[1]
    rooms = {
        path.parent.name
        for folder in ("cnnviz", "cnnviz/ui")
        for path in (ROOT / folder).glob("*/__init__.py")
    }
    files = {path.name for path in (ROOT / "cnnviz").glob("[!_]*.py")}
    assert len(PATHS) > 40
    assert not {room for room in rooms if not re.search(rf"\b{room}\b", picture)}
    assert not {file for file in files if file not in picture}


def test_functions_it_names_are_there():
    for name in ("show", "survey_models", "predict_with", "start", "register"):
        assert f"`{name}`" in PAGE
        found = [
            path for path in (ROOT / "cnnviz").rglob("*.py") if f"def {name}(" in path.read_text()
        ]
        assert found, name
