"""What is kept of networks without weights: traces, costs, code, and what is measured of them."""
