from cnnviz.ui.home.page import show

show()
