"""The operations that list the platform certificates: https://pay.weixin.qq.com/doc/v3/merchant/4012551764."""

from __future__ import annotations

__all__ = ["CERTIFICATES", "certificates_path", "lists_certificates"]

CERTIFICATES = "/v3/certificates"
_GLOBAL = "/v3/global/certificates"
"""The same, on the host of the global operations."""


def certificates_path(origin: str) -> str:
    """Returns the path under which the service at an origin lists its certificates."""
    return _GLOBAL if origin.startswith("https://apihk.") else CERTIFICATES


def lists_certificates(method: str, target: str) -> bool:
    """Tells whether a request asks for the platform certificates."""
    return method == "GET" and target.partition("?")[0] in (CERTIFICATES, _GLOBAL)
