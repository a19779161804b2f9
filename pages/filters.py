from cnnviz.ui.filters.page import show

show()
