"""Strict base64 and UTF-8."""

from __future__ import annotations

import base64
import binascii

from wechatpay_chain.errors import ArgumentError

__all__ = ["decode_base64", "encode_nonce", "encode_utf8"]

LEAST_NONCE, MOST_NONCE = 8, 128
"""Bytes of the shortest and the longest nonce of a cipher that are supported. The service's have 12."""


def decode_base64(text: str) -> bytes | None:
    """Decodes base64 with the standard alphabet and padding; returns None for any other text."""
    try:
        raw = base64.b64decode(text, validate=True)
        # b64decode ignores extra bits before the padding; comparing with the encoded bytes detects them.
        return raw if base64.b64encode(raw).decode() == text else None
    except (binascii.Error, TypeError, ValueError):
        return None


def encode_nonce(nonce: str) -> bytes:
    """Returns the bytes of a nonce to encrypt with.

    Raises:
        ArgumentError: it is too short or too long.
    """
    octets = nonce.encode()
    if not LEAST_NONCE <= len(octets) <= MOST_NONCE:
        raise ArgumentError(f"nonce: came {len(octets)} bytes; expected 12")
    return octets


def encode_utf8(plaintext: str) -> bytes:
    """Encodes a text as UTF-8.

    Raises:
        ArgumentError: the text has an unpaired surrogate, which UTF-8 cannot write.
    """
    try:
        return plaintext.encode()
    except UnicodeEncodeError:
        raise ArgumentError("plaintext: it has an unpaired surrogate, which UTF-8 cannot write") from None
