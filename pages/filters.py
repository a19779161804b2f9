from cnnviz.ui.look.panels import head
from cnnviz.ui.state import rooms

head(
    "Filters and feature maps",
    "See what each filter of a network looks for, and where it finds it in your photo.",
)
rooms.enter("filters")
