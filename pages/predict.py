from cnnviz.ui.predict.page import show

show()
