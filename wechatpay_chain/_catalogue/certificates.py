"""Recognizes the operations that list the platform certificates.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

__all__ = ["certificates_path", "lists_certificates"]

_CERTIFICATES = "/v3/certificates"
"""The path of the operation on the hosts in mainland China."""

_GLOBAL = "/v3/global/certificates"
"""The path of the operation on the host of the global operations."""


def certificates_path(origin: str) -> str:
    """Returns the path of the operation that lists the certificates, for the service at an origin."""
    return _GLOBAL if origin.startswith("https://apihk.") else _CERTIFICATES


def lists_certificates(method: str, target: str) -> bool:
    """Returns True if a request asks for the platform certificates."""
    return method == "GET" and target.partition("?")[0] in (_CERTIFICATES, _GLOBAL)
