"""The time zone of the service."""

from __future__ import annotations

from datetime import timedelta, timezone

__all__ = ["CHINA"]

CHINA = timezone(timedelta(hours=8))
"""The time zone of the service's timestamps, such as 2018-06-08T10:34:56+08:00."""
