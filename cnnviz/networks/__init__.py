"""How a name becomes a network, ours or torchvision's or one's own; with weights, a subject."""
