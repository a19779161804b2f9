"""What a visitor reads where a fault of ours ends a page's run."""

import streamlit as st

SENTENCE = (
    "This part of the page stopped at a fault of its own: reload the page or choose something "
    "else; the log of the server says what happened."
)


def say(error: Exception) -> bool:  # noqa: ARG001 - Streamlit has put it into the log
    """Write one sentence where Streamlit would write a box with the error's name."""
    st.error(SENTENCE)
    return True
