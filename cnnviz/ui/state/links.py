"""The app's pages, and links between them that carry their state in the URL."""

from __future__ import annotations

import streamlit as st

from cnnviz.registry import Variant
from cnnviz.settings import ROOT

# In the order of the navigation: the page's file and path in the URL, and its title.
PAGES = {
    "home": "Home",
    "explore": "Explore",
    "filters": "Filters",
    "deconvnet": "Deconvnet",
    "train": "Train",
    "predict": "Predict",
    "compare": "Compare",
}


#: Longest side of the images of networks that can be trained here: the data sets have 32 × 32.
TRAINABLE_SIDE = 64


def page(name: str) -> st.Page:
    """Return the page called `name` (a key of `PAGES`); home is at the root of the app."""
    path = ROOT / "pages" / f"{name}.py"
    return st.Page(path, title=PAGES[name], url_path=name, default=name == "home")


def train_link(variant: Variant, label: str, **knobs: str) -> None:
    """Write a link to Train that opens with a variant and the data set that it reads."""
    dataset = "digits" if variant.input_size[0] == 1 else "cifar10"
    link("train", label, variant=variant.name, dataset=dataset, **knobs)


def link(name: str, label: str, **state: str) -> None:
    """Write a link to a page that opens in `state`: ``link("explore", "ResNet", variant=…)``."""
    st.page_link(page(name), label=label, query_params=state or None)
