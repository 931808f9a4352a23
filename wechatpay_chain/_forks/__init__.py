"""Forked processes: what a child must not inherit, and when no fork may happen."""
