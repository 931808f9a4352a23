"""The values that travel, and the errors that they can raise."""
