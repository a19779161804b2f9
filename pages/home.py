import streamlit as st

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz.ui import links
from cnnviz.ui.road import road

st.title("From LeNet to ConvNeXt", anchor=False)
st.html(
    '<p class="lead">Take apart the convolutional networks that taught computers to see: what each '
    "is made of, what it costs, and how well it does on pictures it has never met.</p>"
)

st.space("medium")
road()

st.space("medium")
st.header("Where to go first", anchor=False)
look, train, ask = st.columns(3, gap="large")
with look:
    st.subheader("Look inside a network", anchor=False)
    st.markdown(
        "Every operator of every network, in order: its shape, its parameters, its "
        "multiplications, and how much of the picture it sees."
    )
    links.link("explore", "Open ResNet-20 in Explore →", variant="resnet20_cifar")
with train:
    st.subheader("Train one in seconds", anchor=False)
    st.markdown(
        "Teach LeNet to read 1,797 real handwritten digits on this machine, without a download, "
        "and watch the curve rise."
    )
    links.link("train", "Train LeNet on digits →", variant="lenet5", dataset="digits")
with ask:
    st.subheader("Ask about a photo", anchor=False)
    st.markdown(
        "Hand in a picture of your own, or take one of the samples, and let every trained "
        "network say what it sees."
    )
    links.link("predict", "Ask the trained networks →")
