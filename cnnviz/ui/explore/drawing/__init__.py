"""Explore's drawing of a network: the picture, and the script that moves it."""
