"""The view of one photo: the strongest units of a layer on it, one of them, the sanity check."""
