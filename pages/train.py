from cnnviz.ui.look.panels import head
from cnnviz.ui.state import rooms

head(
    "Train",
    "Start training runs and watch them learn. Each has a process of its own: close the page, "
    "even the app, and it goes on.",
)
rooms.enter("train")
