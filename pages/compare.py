from cnnviz.ui.look.panels import head
from cnnviz.ui.state import rooms

head(
    "Compare",
    "What accuracy costs: every network trained here, by what it gets right and what it takes.",
)
rooms.enter("compare")
