"""Requests, responses and effects, and the errors that need no response."""
