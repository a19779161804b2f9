"""What a page chose by itself is chosen anew with another photo; what the visitor chose stays."""

import pytest

from cnnviz.ui.state import automatic


@pytest.fixture
def state(monkeypatch):
    kept = {}
    monkeypatch.setattr(automatic.st, "session_state", kept)
    return kept


def test_the_pages_choice_follows_what_it_is_of(state):
    automatic.begin("unit", 3, "cat")
    state["unit"] = 3  # the picker's own bookkeeping
    automatic.begin("unit", 8, "cat")
    assert state["unit"] == 3
    automatic.begin("unit", 5, "rocket")
    assert state["unit"] == 5


def test_the_visitors_choice_stays_even_where_the_page_had_chosen_it(state):
    automatic.begin("unit", 3, "cat")
    state["unit"] = 4
    automatic.begin("unit", 3, "cat")
    automatic.begin("unit", 5, "rocket")
    assert state["unit"] == 4
    automatic.forget("unit")
    assert "unit" not in state
    automatic.begin("unit", 3, "cat")
    state["unit"] = 3
    automatic.chosen("unit")
    automatic.begin("unit", 5, "rocket")
    assert state["unit"] == 3


def test_a_links_choice_stays(state):
    automatic.begin("unit", 3, "cat", linked=True)
    state["unit"] = 7
    automatic.begin("unit", 5, "rocket")
    assert state["unit"] == 7
    automatic.forget("unit")
    state["unit"] = 9  # another page's choice is there already
    automatic.begin("unit", 5, "rocket")
    automatic.begin("unit", 6, "cat")
    assert state["unit"] == 9
