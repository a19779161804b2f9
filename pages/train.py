from cnnviz.ui.train.page import show

show()
