"""How a network is trained: data, augmentation, recipe, loop, checkpoints."""
