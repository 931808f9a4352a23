"""Algorithms and formats: signatures, encryption, canonical messages, and the notations of keys and texts."""
