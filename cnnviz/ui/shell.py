"""The shell around every page: title, icon, shared styles, navigation. Run by `app.py`."""

from pathlib import Path

import streamlit as st

from cnnviz.ui.look import theme
from cnnviz.ui.state import links, memory, url

ICON = str(Path(__file__).parent / "icon.png")

current = st.navigation([links.page(name) for name in links.PAGES], position="top")
title = "cnnviz" if current.title == links.PAGES["home"] else f"{current.title} · cnnviz"
st.set_page_config(page_title=title, page_icon=ICON, layout="wide")
st.logo(ICON)
st.html(theme.style_sheet())
with url.collected(current.url_path or "home"):
    current.run()
memory.spare()
