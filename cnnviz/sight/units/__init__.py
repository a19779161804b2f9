"""What units look for: the strongest activations over a data set, and their figures."""
