"""Generates what the package knows of the operations of WeChat Pay: a table of facts, the types, and the stubs."""
