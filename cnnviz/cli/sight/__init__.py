"""The commands `deconv` and `units`."""
