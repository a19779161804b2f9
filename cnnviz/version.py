"""The version of this project, where every layer can read it."""

VERSION = "0.1.0"
