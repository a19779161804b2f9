"""Deconvnet's evidence: heat maps, invariance, correspondence."""
