"""Pickers that pages share: a network and its weights, a layer, a photo."""
