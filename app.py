"""Start the app: ``streamlit run app.py``.

The shell is named here rather than written here: a script that calls ``st.navigation`` beside a
folder ``pages/`` is never run when the first visit to a fresh server is a deep link.
"""

import streamlit as st
from starlette.middleware import Middleware

from cnnviz.ui import faults
from cnnviz.ui.state import rooms

app = st.App(
    "cnnviz/ui/shell.py",
    lifespan=rooms.warmed,
    middleware=[Middleware(rooms.Visits)],
    on_script_error=faults.say,
)
