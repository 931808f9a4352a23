"""Sends requests over HTTP."""
