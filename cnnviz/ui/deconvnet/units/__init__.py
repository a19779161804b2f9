"""Deconvnet's units: a gallery of them, and one held beside it."""
