"""The picker of a photo: a sample, the visitor's own, or the camera's."""

from __future__ import annotations

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.images import decode
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache import photos
from cnnviz.ui.state import url

FILE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"]


def pick_photo(subject: Subject | None = None) -> bytes:
    """Write the picker of the photo and return its bytes: a sample, an upload or the camera's.

    The first sample shows what `subject` was trained on, where that is digits.
    """
    samples = photos.samples()
    digits = subject is not None and subject.dataset == "digits"
    url.keep_choice("sample", samples, list(samples)[-1 if digits else 0])
    sample = st.selectbox("Sample photo", list(samples), key="sample")
    with st.popover("Your own", icon=":material/upload:"):
        file = st.file_uploader("Your photo", type=FILE_TYPES, key="own_photo")
        camera = st.toggle("Use the camera", key="own_camera")
        taken = st.camera_input("Take a photo", key="own_shot") if camera else None
    given = file or taken
    if given is None:
        return samples[sample]
    data = given.getvalue()
    try:
        decode(data, given.name)
    except CnnvizError as error:
        st.error(str(error))
        return samples[sample]
    return data
