"""RSA: signatures (RSASSA-PKCS1-v1_5 over SHA-256) and encryption of personal data (RSA-OAEP with SHA-1).

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._schemes.encoding import decode_base64, encode_utf8
from wechatpay_chain._schemes.key_type import KeyType
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ArgumentError, ConfigurationError, DecryptionError

__all__ = ["RSA", "decrypt_octets", "encrypt", "sign", "verify"]

P = ParamSpec("P")
R = TypeVar("R")

_USUAL_BITS = 2048
"""The length of the keys of WeChat Pay and of its merchants."""

_LEAST_BITS = 1024
"""The shortest key that is accepted."""

_PKCS1 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()
# The service requires SHA-1 for both hashes: https://pay.weixin.qq.com/doc/v3/merchant/4013053257
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
_OAEP_OVERHEAD = 2 * 20 + 2  # two SHA-1 digests and two bytes: RFC 8017, 7.1.1


class _Thread(threading.local):
    def __init__(self) -> None:
        self.used: set[object] = set()


_thread = _Thread()


def _no_fork_in_first_call(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function so that no fork happens during its first call in a thread.

    OpenSSL creates some things, such as a random number generator, once for each thread, under process-wide locks. A
    child that is forked at that moment would inherit locked locks without the thread that would release them, and wait
    forever.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if function in _thread.used:
            return function(*args, **kwargs)
        with no_fork.current:
            _thread.used.add(function)
            return function(*args, **kwargs)

    return call


@_no_fork_in_first_call
def sign(message: bytes, key: RSAPrivateKey) -> str:
    """Signs with RSA-SHA256.

    Args:
        message: the canonical message.
        key: the merchant's private key, as `load_private_key` returns it.

    Returns:
        The signature in base64.
    """
    return base64.b64encode(key.sign(message, _PKCS1, _SHA256)).decode()


@_no_fork_in_first_call
def verify(message: bytes, signature: str, key: RSAPublicKey) -> bool:
    """Returns True if a base64 text is the RSA-SHA256 signature of a message, and False in every other case."""
    raw = decode_base64(signature)
    if raw is None:
        return False
    try:
        key.verify(raw, message, _PKCS1, _SHA256)
    except InvalidSignature:
        return False
    return True


@shielded
@_no_fork_in_first_call
def encrypt(plaintext: str, key: RSAPublicKey) -> str:
    """Encrypts personal data with RSA-OAEP for the owner of a public key.

    Raises:
        ArgumentError: the text is longer than the key can encrypt: 214 bytes of UTF-8 for a key of 2048 bits.
        ConfigurationError: the key is damaged.
    """
    octets = encode_utf8(plaintext)
    room = key.key_size // 8 - _OAEP_OVERHEAD
    if len(octets) > room:
        raise ArgumentError(
            f"plaintext: came {len(octets)} bytes of UTF-8; expected at most {room}, the limit of a key of "
            f"{key.key_size} bits"
        )
    try:
        return base64.b64encode(key.encrypt(octets, _OAEP)).decode()
    except ValueError:
        raise ConfigurationError("public key: it is damaged, nothing can be encrypted with it") from None


@shielded
@_no_fork_in_first_call
def decrypt_octets(ciphertext: str, key: RSAPrivateKey) -> bytes:
    """Decrypts bytes that were encrypted for this key.

    Raises:
        DecryptionError: they were not. The message is the same for every cause, so that it reveals nothing.
    """
    raw = decode_base64(ciphertext)
    if raw is not None:
        with suppress(ValueError):
            return key.decrypt(raw, _OAEP)
    raise DecryptionError("the text is not a ciphertext for this private key")


def is_ciphertext(text: str) -> bool:
    """Tells whether a text can be a ciphertext: base64 that is too long for a text that could be encrypted."""
    raw = decode_base64(text)
    return raw is not None and len(raw) >= _USUAL_BITS // 8


def count_bits(key: RSAPrivateKey | RSAPublicKey) -> int:
    """Returns the length of a key."""
    return key.key_size


def is_consistent(key: RSAPrivateKey) -> bool:
    """Tells whether the numbers of a private key satisfy the equations of RFC 8017, 3.2."""
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


def share(key: RSAPrivateKey | RSAPublicKey) -> Callable[[], RSAPrivateKey | RSAPublicKey]:
    """Returns a function that makes a copy of a key from its numbers, which are read now."""
    if isinstance(key, RSAPublicKey):
        return key.public_numbers().public_key
    # The key was checked when it was loaded.
    return partial(key.private_numbers().private_key, unsafe_skip_rsa_key_validation=True)


def is_issued_by(certificate: x509.Certificate, anchor: x509.Certificate, key: RSAPublicKey) -> bool:  # noqa: ARG001 -- of the anchor
    """Tells whether the owner of a certificate has signed another."""
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


RSA = KeyType(
    name="RSA",
    private=RSAPrivateKey,
    public=RSAPublicKey,
    in_tls=True,
    least_bits=_LEAST_BITS,
    usual_bits=_USUAL_BITS,
    count_bits=count_bits,
    is_consistent=is_consistent,
    share=share,
    is_issued_by=is_issued_by,
    is_ciphertext=is_ciphertext,
    sign=sign,
    verify=verify,
    encrypt=encrypt,
    decrypt=decrypt_octets,
)
