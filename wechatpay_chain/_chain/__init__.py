"""The chain: what the caller writes."""
