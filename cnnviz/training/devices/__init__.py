"""Where a network trains: one device or several processes, precision, compilation."""
