"""Checks that a key is undamaged and long enough to sign with."""

from __future__ import annotations

from wechatpay_chain._schemes.by_key import type_of
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey
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
    if fault := kind.find_fault(key):
        raise ConfigurationError(
            f"{setting}: came a damaged {kind.name} private key, {fault}; expected a whole key, so export it again"
        )
    check_size(setting, key)


def check_size(setting: str, key: PrivateKey | PublicKey) -> None:
    """Raises a ConfigurationError if a key is too short."""
    kind = type_of(key)
    if (bits := kind.count_bits(key)) < kind.least_bits:
        raise ConfigurationError(
            f"{setting}: came an {kind.name} key of {bits} bits, which is too short; expected {kind.usual_bits} bits, the length that "
            "WeChat Pay certifies"
        )
