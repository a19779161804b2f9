"""The commands `train` and `runs …`."""
