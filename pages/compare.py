from cnnviz.ui.compare.page import show

show()
