"""Notifications that WeChat Pay posts."""
