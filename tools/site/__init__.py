"""Writes the pages of the documentation site: one for each operation, and the guides."""
