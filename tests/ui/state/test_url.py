import inspect
import re

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import StopException
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.runtime.state.query_params import QueryParams
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.testing.v1 import AppTest

from cnnviz.ui.state import url

SCRIPT = """
import streamlit as st
from cnnviz.ui.state import url

names = {"a": "The first", "b": "The second", "c": "The third"}
elsewhere = st.session_state.get("elsewhere", False)
with url.collected("Elsewhere" if elsewhere else "Page"):
    if not elsewhere:
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


def test_a_choice_wins_over_the_url_that_the_browser_sends_with_it(app):
    """A visitor may be quicker than the answer to the choice before: the URL is an old one."""
    app.query_params["pick"] = "a"
    app.run()
    app.selectbox(key="pick").set_value("b").run()
    app.query_params["pick"] = "a"
    app.selectbox(key="pick").set_value("c").run()
    assert shown(app)[0] == "c"
    assert shown(app.run()) == ("c", "c")


#: Streamlit's word for a run that the browser's history led to, whatever the run says of itself.
BACK = property(lambda _: True, lambda *_: None)


def test_back_wins_over_a_choice_that_came_meanwhile(app, monkeypatch):
    app.query_params["pick"] = "a"
    app.run()
    app.selectbox(key="pick").set_value("b").run()
    monkeypatch.setattr(ScriptRunContext, "is_history_navigation", BACK)
    app.query_params["pick"] = "a"
    app.selectbox(key="pick").set_value("c").run()
    assert shown(app) == ("a", "a")


FRAGMENT = """
import streamlit as st
from cnnviz.ui.state import url

@url.fragment
def part():
    url.keep_choice("pick", ("a", "b", "c"), "a")
    st.selectbox("Pick", ("a", "b", "c"), key="pick")
    st.write(url.read("pick"))

with url.collected("Page"):
    part()
"""


def test_a_fragment_knows_the_url_that_it_gave(sent):
    app = AppTest.from_string(FRAGMENT, default_timeout=30)
    app.run()
    app.selectbox(key="pick").set_value("b").run()
    assert shown(app) == ("b", "b")
    assert sent == [{"pick": ["b"]}]


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


def replaced(app):
    """What the address is replaced by, or None."""
    scripts = [e.proto.body for e in app.get("html") if "history.replaceState" in e.proto.body]
    return re.search(r'pathname \+ "(.*?)"', scripts[-1])[1] if scripts else None


def test_an_arrival_is_no_entry_of_the_history(app, sent):
    app.query_params["kept"] = "x & y"
    assert shown(app.run()) == ("a", "a")
    assert replaced(app) == "?kept=x+%26+y&pick=a"
    assert sent == []
    app.run()
    assert replaced(app) is None
    app.selectbox(key="pick").set_value("b").run()
    assert (replaced(app), len(sent)) == (None, 1)


def test_the_address_before_the_arrival_is_no_news(app, sent):
    """Streamlit goes on sending it, since it does not know what replaced it."""
    app.query_params["pick"] = "nonsense"
    app.run()
    app.query_params["pick"] = "nonsense"
    assert shown(app.run())[0] == "a"
    assert sent == []


def test_a_link_to_the_page_that_is_shown_is_an_entry(app, sent):
    app.run()
    app.query_params["pick"] = "c"
    assert shown(app.run()) == ("c", "c")
    assert sent == [{"pick": ["c"]}]


def test_a_visitor_who_left_meets_no_answer_of_the_page_before(app, sent):
    """One that was late has put that page's query behind this page's address in the browser."""
    app.run()
    app.selectbox(key="pick").set_value("b").run()
    app.session_state["elsewhere"] = True
    app.query_params.clear()
    app.run()
    assert replaced(app) == ""
    app.query_params["pick"] = "b"  # what Streamlit has from the late answer
    app.run()
    assert replaced(app) is None
    assert sent == [{"pick": ["b"]}]


PAGE = """
import streamlit as st
from cnnviz.ui.state import url

with url.collected("Page"):
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
    assert replaced(app) == "?kept=x&one=a&two=a&three=a"
    app.run()  # nothing has changed
    assert sent == []
    app.selectbox(key="two").set_value("b").run()
    assert sent == [expected | {"two": ["b"]}]


def test_a_page_that_stops_has_written_what_it_knew(sent):
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.session_state["stop"] = True
    app.run()
    assert replaced(app) == "?one=a&two=a&three=a"
    app.selectbox(key="two").set_value("b").run()
    assert sent == [{"one": ["a"], "two": ["b"], "three": ["a"]}]


def test_what_an_interrupted_run_could_not_tell_the_browser_the_next_one_tells(monkeypatch):
    told = []
    sends = QueryParams._send_query_param_msg

    def send(self):
        told.append(dict(self._query_params))
        if len(told) == 1:  # another run was asked for
            raise StopException
        sends(self)

    monkeypatch.setattr(QueryParams, "_send_query_param_msg", send)
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.run()
    app.selectbox(key="two").set_value("b").run()
    app.query_params.clear()
    app.query_params.update(one="a", two="a", three="a")  # what the browser still has
    app.run()
    assert app.selectbox(key="two").value == "b"
    assert len(told) == 2
    assert told[0] == told[1] == {"one": ["a"], "two": ["b"], "three": ["a"]}
    app.run()
    assert len(told) == 2


MEANING = """
import streamlit as st
from cnnviz.ui.state import url

with url.collected("Page"):
    url.keep_choice("one", ("a", "b"), "a")
    st.selectbox("one", ("a", "b"), key="one")
    url.follow("two", "picker", {"": "a", "b": "b"})
    st.selectbox("two", ("a", "b"), key="picker")
    st.write("done")
"""


@pytest.mark.parametrize("key", ["one", "picker"])
def test_a_choice_is_kept_wherever_its_run_was_ended(monkeypatch, key):
    """Streamlit ends a run at any access to the session's state, and then at each of them."""
    left = None

    def ending(access):
        def checked(self, *args):
            nonlocal left
            calls = inspect.stack(0)
            if left is not None and any(call.filename == url.__file__ for call in calls):
                left = max(left - 1, 0)
                if left == 0:
                    raise StopException
            return access(self, *args)

        return checked

    for name in ("__getitem__", "__setitem__", "__contains__"):
        monkeypatch.setattr(SafeSessionState, name, ending(getattr(SafeSessionState, name)))
    parameter = {"picker": "two"}.get(key, key)
    ended = 0
    while True:
        app = AppTest.from_string(MEANING, default_timeout=30).run()
        app.selectbox(key=key).set_value("b")
        states = app._tree.get_widget_states()
        ended += 1
        left = ended
        app._run(states)
        reached_the_end, left = left > 0, None
        app._run(states)
        assert app.selectbox(key=key).value == "b", ended
        assert app.query_params[parameter] == "b", ended
        app.selectbox(key=key).set_value("a").run()
        assert app.query_params.get(parameter, "a") == "a", ended
        if reached_the_end:
            break
    assert ended > 10
