"""Start the app: ``streamlit run app.py``.

The shell is named here rather than written here: a script that calls ``st.navigation`` beside a
folder ``pages/`` is never run when the first visit to a fresh server is a deep link.
"""

import streamlit as st

app = st.App("cnnviz/ui/shell.py")
