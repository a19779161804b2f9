"""The drawing of a network: a layered layout, frames in frames, as SVG."""
