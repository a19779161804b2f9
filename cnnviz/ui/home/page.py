"""The page Home: the road at a glance, and where to go first."""

import streamlit as st

import cnnviz.families  # noqa: F401 - registers the families
from cnnviz.ui.home.road import road
from cnnviz.ui.state import links

# Title, sentence, the page, the link's words, and the state that the page opens in.
WAYS: tuple[tuple[str, str, str, str, dict[str, str]], ...] = (
    (
        "Look inside a network",
        "Every operator of every network, in order: its shape, its parameters, its "
        "multiplications, and how much of the picture it sees.",
        "explore",
        "Open ResNet-20 in Explore →",
        {"variant": "resnet20_cifar"},
    ),
    (
        "See its filters at work",
        "The filters that training has found, and the feature maps that a photo leaves behind: "
        "layer by layer, channel by channel, from edges to parts of things.",
        "filters",
        "Look at ResNet-20's filters →",
        {"model": "resnet20_cifar"},
    ),
    (
        "Ask what a unit looks for",
        "A deconvolutional network carries a unit's activation back to pixels: see what in a photo "
        "excited it, and which pictures excite it most.",
        "deconvnet",
        "Open the Deconvnet →",
        {"model": "zfnet_cifar"},
    ),
    (
        "Train one in seconds",
        "Teach LeNet to read 1,797 real handwritten digits on this machine, without a download, "
        "and watch the curve rise.",
        "train",
        "Train LeNet on digits →",
        {"variant": "lenet5", "dataset": "digits"},
    ),
    (
        "Ask about a photo",
        "Hand in a picture of your own, or take one of the samples, and let every trained "
        "network say what it sees.",
        "predict",
        "Ask the trained networks →",
        {},
    ),
    (
        "Weigh accuracy against cost",
        "Every network trained here side by side: what it gets right, and what it takes in "
        "parameters, multiplications and time.",
        "compare",
        "Compare the trained networks →",
        {},
    ),
)
IN_A_ROW = 3


def show() -> None:
    """Write the page."""
    st.title("From LeNet to ConvNeXt", anchor=False)
    st.html(
        '<p class="lead">Take apart the convolutional networks that taught computers to see: what '
        "each is made of, what it costs, what its filters look for, and how well it does on new "
        "pictures.</p>"
    )

    st.space("medium")
    road()

    st.space("medium")
    st.header("Where to go first", anchor=False)
    for start in range(0, len(WAYS), IN_A_ROW):
        if start:
            st.space("small")
        columns = st.columns(IN_A_ROW, gap="large")
        for column, (title, sentence, page, label, state) in zip(
            columns, WAYS[start : start + IN_A_ROW], strict=True
        ):
            with column:
                st.subheader(title, anchor=False)
                st.markdown(sentence)
                links.link(page, label, **state)
