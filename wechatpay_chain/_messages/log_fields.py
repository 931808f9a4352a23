"""The fields that log records have beside their text, for logs in JSON."""

from __future__ import annotations

from typing import Any

__all__ = ["log_fields"]


def log_fields(**fields: Any) -> dict[str, Any]:
    """Returns the `extra=` of a log record: each field as `wechatpay_…`; those that are None are left out.

    Args:
        **fields: such as method, template, status, code, request_id, seconds, attempt and error. Never a filled path, a header or a
            body.
    """
    return {f"wechatpay_{name}": value for name, value in fields.items() if value is not None}
