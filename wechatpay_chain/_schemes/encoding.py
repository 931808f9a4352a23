"""Base64 and UTF-8, taken strictly."""

from __future__ import annotations

import base64
import binascii

from wechatpay_chain.errors import ArgumentError

__all__ = ["decode_base64", "encode_utf8"]


def decode_base64(text: str) -> bytes | None:
    """Decodes a text in the standard base64 alphabet with padding; returns None for any other text."""
    try:
        raw = base64.b64decode(text, validate=True)
        # Decoding forgives stray bits before the padding; encoding again does not.
        return raw if base64.b64encode(raw).decode() == text else None
    except (binascii.Error, TypeError, ValueError):
        return None


def encode_utf8(plaintext: str) -> bytes:
    """Encodes a text.

    Raises:
        ArgumentError: the text has an unpaired surrogate, which UTF-8 cannot write.
    """
    try:
        return plaintext.encode()
    except UnicodeEncodeError:
        raise ArgumentError("plaintext: it has an unpaired surrogate, which UTF-8 cannot write") from None
