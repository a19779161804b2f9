"""Parameters and multiply-accumulates, counted by torch rather than by cnnviz."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from cnnviz import registry


def count(name, num_classes=None, training=False, **knobs):
    """Return (parameters, MACs for one image) of a variant built on the meta device."""
    variant = registry.get(name)
    with torch.device("meta"):
        network = variant.build(num_classes, **knobs).train(training)
        image = torch.empty(1, *variant.input_for(**knobs))
    return count_network(network, image)


def count_network(network, image):
    """Return (parameters, MACs) of a network on an image; torch counts two FLOPs a MAC."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2
