"""The browser's address, changed without a new entry of its history.

Streamlit makes an entry each time that it is given parameters. So the browser is told by a script
in the page, and Streamlit keeps here what it would have kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnviz.ui.state import links

#: In braces: what a script declares outside of any cannot be declared by the next one.
_SCRIPT = """<script>{ // %(number)d
const last = location.pathname.split("/").filter(Boolean).pop();
const page = %(pages)s.includes(last) ? last : %(home)s;
if (page === %(page)s) history.replaceState(history.state, "", location.pathname + %(search)s);
}</script>"""


def replace(place: DeltaGenerator, page: str, query: Mapping[str, list[str]], number: int) -> None:
    """Let the address of `page` have that query, unless the visitor is elsewhere by then.

    The script is written in `place`. `number` is another one each time: a script that is the same
    again would not run again.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    with context.session_state.query_params() as parameters:
        parameters.clear_with_no_forward_msg(preserve_embed=True)
        for key, values in query.items():
            parameters.set_with_no_forward_msg(key, values)
        context.query_string = urlencode(parameters._query_params, doseq=True)
    home, *pages = links.PAGES
    search = f"?{context.query_string}" if context.query_string else ""
    told = {"pages": pages, "home": home, "page": page, "search": search}
    words = {name: json.dumps(value) for name, value in told.items()}
    place.html(_SCRIPT % {"number": number, **words}, unsafe_allow_javascript=True)
