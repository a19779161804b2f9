import pytest
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
