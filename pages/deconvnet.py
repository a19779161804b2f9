from cnnviz.ui.deconvnet.page import show

show()
