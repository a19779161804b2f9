"""The page Deconvnet."""
