"""Checks that a key is undamaged and long enough to sign with."""

from __future__ import annotations

from wechatpay_chain._schemes.by_key import type_of
from wechatpay_chain._schemes.key_type import KeyType
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = ["check_private_key", "check_size"]


def check_private_key(setting: str, key: PrivateKey) -> None:
    """Checks the numbers of a private key, its length, and a signature made with it.

    Args:
        setting: the name of the setting, for error messages.
        key: the key.

    Raises:
        ConfigurationError: the key is damaged or too short; or it is an SM2 key, and gmssl-pyx is not installed.
    """
    kind = type_of(key)
    fault = "" if kind.is_consistent(key) else "its numbers are inconsistent"
    if not fault and not _can_sign(kind, key):
        fault = "a signature made with it does not verify"
    if fault:
        raise ConfigurationError(
            f"{setting}: came a damaged {kind.name} private key, {fault}; expected a whole key, so export it again"
        )
    check_size(setting, key)


@shielded
def _can_sign(kind: KeyType, key: PrivateKey) -> bool:
    """Tells whether a signature made with a key verifies with its public half."""
    message = b"one signature, made and verified"
    try:
        return kind.verify(message, kind.sign(message, key), key.public_key())
    except (ValueError, ConfigurationError):
        return False


def check_size(setting: str, key: PrivateKey | PublicKey) -> None:
    """Raises a ConfigurationError if a key is too short."""
    kind = type_of(key)
    if (bits := kind.count_bits(key)) < kind.least_bits:
        raise ConfigurationError(
            f"{setting}: came an {kind.name} key of {bits} bits, which is too short; expected {kind.usual_bits} bits, the length that "
            "WeChat Pay certifies"
        )
