"""Sentences about what a link asks for and is not there."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.ui.look.format import plain


def quoted(asked: str) -> str:
    """Quote what the URL says in a sentence, cut to 60 characters and free of Markdown."""
    return f"“{plain(asked if len(asked) <= 60 else f'{asked[:59]}…')}”"


def unknown(key: str, asked: str, names: Sequence[str], shown: str = "") -> str:
    """Say that `asked` is none of the `names` that `key` can have, and what is shown.

    That is the first of the names, unless it is `shown`. Names too many to read are not listed.
    """
    others = f"; it can be {', '.join(names[:-1])} or {names[-1]}" if 1 < len(names) <= 12 else ""
    return f"There is no {key} called {quoted(asked)}{others}. Showing {shown or names[0]}."


def left_out(what: str, asked: Sequence[str]) -> str:
    """Say that none of the names `asked`, of several that the URL can have, is that of a `what`."""
    return f"There is no {what} called {' or '.join(map(quoted, asked))}: left out."
