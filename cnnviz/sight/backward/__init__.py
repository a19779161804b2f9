"""From a unit back to the pixels: the backward rules, and the projection that uses them."""
