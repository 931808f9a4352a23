"""The operations that the sandbox supports: one module for each subject, and a registry of all."""
