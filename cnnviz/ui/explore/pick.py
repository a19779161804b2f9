"""The pickers of the Explore page: what they say stands in the URL, and the URL in them."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cnnviz import registry
from cnnviz.ui.explore.settings import Settings
from cnnviz.ui.pick.selection import Selection, from_query
from cnnviz.ui.state import url

#: What a view of the page keeps in the URL beside the selection.
VIEW_KEYS = (
    *("view", "layer", "other", "cost", "photo", "weights"),
    *("level", "open", "colour", "find", "sort", "same", "code"),
)
# In `url.seen`:
_SEEN = "explore_seen"  # the query that the URL is expected to have at the next run
_MEANT = "explore_meant"  # what that query stands for, as `Selection.to_query` writes it
_BARE = "explore_bare"  # what a URL without a query stands for
# In the session's state:
_LAST = "explore_last"  # what was shown last, kept while the visitor is on another page
_FAMILY, _VARIANT = "explore_family", "explore_variant"
_SETTINGS = Settings("explore")


def pick() -> tuple[Selection, list[str]]:
    """Write the pickers in one row and return what they say, and what in the URL could not be.

    The URL wins where it is not what was seen here last: a deep link, the browser's back button.
    It is written only where it means something else than what is picked: an entry of the history
    that is rewritten as soon as it is visited would keep Back from ever leaving the page.
    """
    state, seen = st.session_state, url.seen()
    query = {key: value for key, value in url.query().items() if key not in VIEW_KEYS}
    arrived = _FAMILY not in state  # the pickers are forgotten while another page is shown
    if arrived or query != seen.get(_SEEN):
        _follow(query, arrived)
    problems = from_query(query)[1]
    selection = _row()
    written = state[_LAST] = selection.to_query()
    with url.collected():
        if written != seen[_MEANT]:
            for key, value in {**dict.fromkeys(query, ""), **written}.items():
                url.write(key, value)
            query = seen[_MEANT] = written
            problems = []
        seen[_SEEN] = query
    return selection, problems


def _follow(query: Mapping[str, str], arrived: bool) -> None:
    """Put what the URL means into the pickers; `arrived`: from another page, or for the first time.

    Without a query that is what was shown last, and the URL is to say so. Where Back has led to
    such a URL it is what it stood for, and it stays as it is.
    """
    seen = url.seen()
    if not query and arrived:
        seen[_BARE] = st.session_state.get(_LAST, {})
    meant = from_query(query or seen.get(_BARE, {}))[0]
    _seed(meant)
    seen[_MEANT] = {} if not query and arrived else meant.to_query()


def _seed(selection: Selection) -> None:
    """Put `selection` into the pickers."""
    variant = selection.variant
    for key, value in {_FAMILY: variant.architecture, _VARIANT: variant.name}.items():
        st.session_state[key] = value
        url.chosen_by(key)
    _SETTINGS.seed(selection)


def _first_of_family() -> None:
    first = registry.list_variants(st.session_state[_FAMILY])[0]
    _seed(Selection(first))


def _own_settings() -> None:
    _seed(Selection(registry.get(st.session_state[_VARIANT])))


def _row() -> Selection:
    families = {item.name: item for item in registry.list_architectures()}
    with st.container(horizontal=True, vertical_alignment="bottom", key="explore_pickers"):
        family = st.selectbox(
            "Family",
            list(families),
            key=_FAMILY,
            format_func=lambda name: f"{families[name].title} · {families[name].year}",
            on_change=_first_of_family,
        )
        variants = {item.name: item for item in registry.list_variants(family)}
        name = st.selectbox(
            "Variant",
            list(variants),
            key=_VARIANT,
            format_func=lambda name: variants[name].title,
            on_change=_own_settings,
        )
        shown, refused = _SETTINGS.pick(variants[name])
    if refused:
        _SETTINGS.say_refused(shown)
    return shown
