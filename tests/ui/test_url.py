import pytest
from streamlit.runtime.state.query_params import QueryParams
from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from cnnviz.ui import url

names = {"a": "The first", "b": "The second", "c": "The third"}
if not st.session_state.get("elsewhere"):
    url.keep_choice("pick", names, "a")
    st.write(st.selectbox("Pick", list(names), format_func=names.get, key="pick"))
"""


@pytest.fixture
def app():
    return AppTest.from_string(SCRIPT, default_timeout=30)


def shown(app):
    assert not app.exception
    return app.markdown[0].value, app.query_params.get("pick")


def test_a_link_holds_names_and_the_url_says_what_is_chosen(app):
    assert shown(app.run()) == ("a", "a")
    app.query_params["pick"] = "b"
    assert shown(app.run()) == ("b", "b")


def test_the_picker_changes_the_url(app):
    app.query_params["pick"] = "b"
    app.run()
    app.selectbox(key="pick").set_value("c").run()
    assert shown(app) == ("c", "c")
    assert shown(app.run()) == ("c", "c")


def test_the_browsers_back_button_wins_over_the_picker(app):
    app.run()
    app.selectbox(key="pick").set_value("c").run()
    app.query_params["pick"] = "a"
    assert shown(app.run()) == ("a", "a")


@pytest.mark.parametrize("value", ["The second", "", "<b>", "d"])
def test_what_is_no_choice_is_replaced(app, value):
    app.query_params["pick"] = value
    assert shown(app.run()) == ("a", "a")
    app.selectbox(key="pick").set_value("b").run()
    app.query_params["pick"] = value
    assert shown(app.run()) == ("b", "b")


def test_back_from_another_page_a_link_counts_again(app):
    app.query_params["pick"] = "b"
    app.run()
    app.session_state["elsewhere"] = True
    app.run()
    app.session_state["elsewhere"] = False
    app.query_params["pick"] = "b"
    assert shown(app.run()) == ("b", "b")


PAGE = """
import streamlit as st
from cnnviz.ui import url

with url.collected():
    for key in ("one", "two", "three"):
        url.keep_choice(key, ("a", "b"), "a")
        st.selectbox(key, ("a", "b"), key=key)
    url.write("note", "x")
    url.write("note", "")
    st.write(f"{url.read('one')} {url.read('note')}")
    if st.session_state.get("stop"):
        url.stop()
"""


@pytest.fixture
def sent(monkeypatch):
    """The messages that would each become an entry of the browser's history."""
    messages = []
    send = QueryParams._send_query_param_msg
    monkeypatch.setattr(
        QueryParams,
        "_send_query_param_msg",
        lambda self: (messages.append(dict(self._query_params)), send(self)),
    )
    return messages


def test_what_a_page_writes_is_one_entry_of_the_history(sent):
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.query_params["kept"] = "x"
    app.query_params["note"] = "old"
    app.run()
    assert shown(app)[0] == "a None"
    expected = {"kept": ["x"], "one": ["a"], "two": ["a"], "three": ["a"]}
    assert sent == [expected]
    app.run()  # nothing has changed
    assert sent == [expected]
    app.selectbox(key="two").set_value("b").run()
    assert sent == [expected, expected | {"two": ["b"]}]


def test_a_page_that_stops_has_written_what_it_knew(sent):
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.session_state["stop"] = True
    app.run()
    assert sent == [{"one": ["a"], "two": ["a"], "three": ["a"]}]
