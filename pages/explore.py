from cnnviz.ui.explore.page import show

show()
