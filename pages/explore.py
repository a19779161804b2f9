from cnnviz.ui.look.panels import head
from cnnviz.ui.state import rooms

head(
    "Explore",
    "Look inside a network: what it computes, layer by layer, and what that costs.",
)
rooms.enter("explore")
