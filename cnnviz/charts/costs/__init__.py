"""Charts of what layers and networks cost."""
