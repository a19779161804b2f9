"""Occlusion and Grad-CAM: which parts of a photo the answer depends on."""

from __future__ import annotations

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject
from cnnviz.ui.deconvnet.evidence.grad_cam import show_heat
from cnnviz.ui.deconvnet.evidence.occlusion import show_maps, slide
from cnnviz.ui.deconvnet.evidence.question import pick
from cnnviz.ui.pick import layer_picker
from cnnviz.ui.state import url


def show(subject: Subject) -> None:
    """Write the view: pickers, the three maps of occlusion, Grad-CAM, and how to read them."""
    _view(subject)


@url.fragment
def _view(subject: Subject) -> None:
    layers = layer_picker.maps_or_say(subject)
    if not layers:
        return
    try:
        view = pick(subject, layers)
        if view is None:
            return
        found = slide(view)
        if found is not None:
            show_maps(view, found)
        show_heat(view)
    except CnnvizError as error:
        st.error(str(error))
        return
    _caution(subject)


def _caution(subject: Subject) -> None:
    st.subheader("How to read it", anchor=False)
    words = (
        "Occlusion is an experiment on the answer itself: where the probability falls, the network "
        "used what was hidden (Zeiler and Fergus 2013, section 4.2). But a grey square has edges "
        "of its own, no training image had one, and two parts that can stand in for each other "
        "both look unimportant, since one is hidden at a time. Grad-CAM is a first-order estimate "
        "from one layer's maps; it changes when the weights are randomised, as it should (Adebayo "
        "et al. 2018, [arXiv 1810.03292](https://arxiv.org/abs/1810.03292)). The reconstruction is "
        "no evidence for a class: deconvnet partly recovers the image whatever the weights (Nie "
        "et al. 2018, [arXiv 1805.07039](https://arxiv.org/abs/1805.07039))."
    )
    st.markdown(words)
    if subject.weights == "random":
        st.caption("These weights are random: any pattern here is one of the architecture alone.")
