from cnnviz.ui.look.panels import head
from cnnviz.ui.state import rooms

head(
    "Predict",
    "Show the trained networks a photo: each ranks the classes it knows.",
)
rooms.enter("predict")
