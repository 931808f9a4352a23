"""Recognizes the operations that list the platform certificates.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

__all__ = ["certificates_target", "lists_certificates"]

_CERTIFICATES = "/v3/certificates"
"""The path of the operation on the hosts in mainland China."""

_GLOBAL = "/v3/global/certificates"
"""The path of the operation on the host of the global operations."""


def certificates_target(origin: str, query: str) -> str:
    """Returns the path and the query of the operation that lists the certificates.

    Args:
        origin: the origin of the service.
        query: the query; empty for none.
    """
    path = _GLOBAL if origin.startswith("https://apihk.") else _CERTIFICATES
    return f"{path}?{query}" if query else path


def lists_certificates(method: str, target: str) -> bool:
    """Returns True if a request asks for the platform certificates."""
    return method == "GET" and target.partition("?")[0] in (_CERTIFICATES, _GLOBAL)
