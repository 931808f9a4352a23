"""Loads keys, finds them by id, and signs and verifies with them."""
