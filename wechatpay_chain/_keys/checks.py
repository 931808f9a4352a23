"""Checks that a private key is undamaged and long enough to sign with."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay_chain._schemes.scheme import PrivateKey
from wechatpay_chain._schemes.sm2 import SM2PrivateKey
from wechatpay_chain.errors import ConfigurationError

__all__ = ["check_private_key", "check_size"]

MIN_KEY_BITS = 1024
"""The shortest RSA key that is accepted, in bits. The keys of WeChat Pay and of its merchants have 2048 bits."""


def check_private_key(setting: str, key: PrivateKey) -> None:
    """Checks the numbers of a private key, its length, and a signature made with it.

    An SM2 key has been checked where it was parsed.

    Args:
        setting: the name of the setting, for error messages.
        key: the key.

    Raises:
        ConfigurationError: the key is damaged or too short.
    """
    if isinstance(key, SM2PrivateKey):
        return
    if not _is_consistent(key):
        raise ConfigurationError(f"{setting}: the key is damaged, its numbers are inconsistent; export it again")
    check_size(setting, key)
    message = b"one signature, made and verified"
    try:
        signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        raise ConfigurationError(
            f"{setting}: the key is damaged, a signature made with it does not verify; export it again"
        ) from None


def check_size(setting: str, key: PrivateKey | RSAPublicKey) -> None:
    """Raises a ConfigurationError if an RSA key has fewer than 1024 bits."""
    if isinstance(key, (RSAPrivateKey, RSAPublicKey)) and key.key_size < MIN_KEY_BITS:
        raise ConfigurationError(
            f"{setting}: came an RSA key of {key.key_size} bits, which is too short; expected 2048 bits, the length that WeChat Pay "
            "certifies"
        )


def _is_consistent(key: RSAPrivateKey) -> bool:
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    public = numbers.public_numbers
    return (
        p * q == public.n
        and min(p, q, public.e) > 2
        and public.e * d % (p - 1) == 1
        and public.e * d % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and numbers.iqmp * q % p == 1
    )
