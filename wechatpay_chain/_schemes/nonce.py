"""Creates nonces."""

from __future__ import annotations

import secrets

__all__ = ["nonce"]


def nonce(size: int = 32) -> str:
    """Returns a random string of `size` hexadecimal digits, with four bits of the system's entropy in each."""
    return secrets.token_hex((size + 1) // 2)[:size]
