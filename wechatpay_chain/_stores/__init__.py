"""Stores that processes share: in a file of one machine, and in Redis."""
