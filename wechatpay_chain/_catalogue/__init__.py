"""Facts about operations."""
