from cnnviz.ui.look.panels import head
from cnnviz.ui.state import rooms

head(
    "Deconvnet",
    "See which images excite a unit of a network, and what it saw in each of them.",
)
rooms.enter("deconvnet")
