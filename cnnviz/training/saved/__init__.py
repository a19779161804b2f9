"""Weights and their cards on disk."""
