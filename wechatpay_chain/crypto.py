"""The algorithms of APIv3; the loading of keys, certificates and serial numbers stands here for users, too.

Signatures are RSASSA-PKCS1-v1_5 over SHA-256, personal data travels in RSA-OAEP with SHA-1, certificates and
notifications in AES-256-GCM; see https://pay.weixin.qq.com/doc/v3/merchant/4012365342.
Base64 is taken strictly everywhere: what the standard alphabet with padding would not have produced is refused.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain.apikey import APIV3_KEY_SIZE, key_octets
from wechatpay_chain.errors import ArgumentError, ConfigurationError, DecryptionError
from wechatpay_chain.importing import importing
from wechatpay_chain.loading import (
    CertificateSource,
    PrivateKeySource,
    PublicKeySource,
    load_private_key,
    load_public,
    load_public_key,
    serial_number,
)
from wechatpay_chain.serials import normalize_serial
from wechatpay_chain.shielding import shielded

__all__ = [
    "CertificateSource",
    "PrivateKeySource",
    "PublicKeySource",
    "aes_gcm_decrypt",
    "aes_gcm_encrypt",
    "decrypt",
    "decrypt_octets",
    "encrypt",
    "key_octets",
    "load_private_key",
    "load_public",
    "load_public_key",
    "nonce",
    "normalize_serial",
    "serial_number",
    "sign",
    "verify",
]

P = ParamSpec("P")
R = TypeVar("R")

_PKCS1 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()
# The service asks for SHA-1 in both places: https://pay.weixin.qq.com/doc/v3/merchant/4013053257
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
_OAEP_OVERHEAD = 2 * 20 + 2  # two SHA-1 digests and two bytes: RFC 8017, 7.1.1


class _Thread(threading.local):
    def __init__(self) -> None:
        self.used: set[object] = set()


_thread = _Thread()


def _first_without_fork(function: Callable[P, R]) -> Callable[P, R]:
    """Keeps a fork from coming into the first use of a function in a thread.

    OpenSSL makes what a thread needs, its generator of random numbers for one, when it is first needed, under locks of the whole
    process. A child would find them held by a thread that it does not have, and wait for it for ever.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if function in _thread.used:
            return function(*args, **kwargs)
        with importing:
            _thread.used.add(function)
            return function(*args, **kwargs)

    return call


@_first_without_fork
def sign(message: bytes, key: RSAPrivateKey) -> str:
    """Signs with RSA-SHA256.

    Args:
        message: the canonical message.
        key: the merchant's private key, as `load_private_key` returns it.

    Returns:
        The signature in base64.
    """
    return base64.b64encode(key.sign(message, _PKCS1, _SHA256)).decode()


@_first_without_fork
def verify(message: bytes, signature: str, key: RSAPublicKey) -> bool:
    """Whether a base64 text is the RSA-SHA256 signature of a message; False for whatever is not a good signature."""
    raw = _strict_base64(signature)
    if raw is None:
        return False
    try:
        key.verify(raw, message, _PKCS1, _SHA256)
    except InvalidSignature:
        return False
    return True


@shielded
@_first_without_fork
def encrypt(plaintext: str, key: RSAPublicKey) -> str:
    """Encrypts personal data for the owner of a key with RSA-OAEP.

    Raises:
        ArgumentError: the text is longer than the key can hold, 214 bytes of UTF-8 for a key of 2048 bits.
    """
    octets = _utf8(plaintext)
    room = key.key_size // 8 - _OAEP_OVERHEAD
    if len(octets) > room:
        raise ArgumentError(
            f"plaintext: came {len(octets)} bytes of UTF-8; expected at most {room}, which is what a key of "
            f"{key.key_size} bits can hold"
        )
    return base64.b64encode(key.encrypt(octets, _OAEP)).decode()


@shielded
def decrypt(ciphertext: str, key: RSAPrivateKey) -> str:
    """Decrypts a text that `encrypt` made for this key.

    Raises:
        DecryptionError: it is not such a ciphertext. One message for every cause, so that nothing can be probed.
    """
    try:
        return decrypt_octets(ciphertext, key).decode()
    except UnicodeDecodeError:
        raise DecryptionError(_NOT_OURS) from None


@shielded
@_first_without_fork
def decrypt_octets(ciphertext: str, key: RSAPrivateKey) -> bytes:
    """The same, of what is no text: the key of an encrypted bill, say."""
    raw = _strict_base64(ciphertext)
    if raw is not None:
        with suppress(ValueError):
            return key.decrypt(raw, _OAEP)
    raise DecryptionError(_NOT_OURS)


_NOT_OURS = "the text is not a ciphertext for this private key"


@shielded
def aes_gcm_encrypt(plaintext: bytes | str, key: bytes, nonce: str, associated_data: str = "") -> str:
    """Encrypts with AES-256-GCM the way certificates and notifications are.

    Args:
        plaintext: bytes, or text that is taken as UTF-8.
        key: the APIv3 key, 32 bytes.
        nonce: 12 characters, never used twice with one key.
        associated_data: what is bound to the ciphertext in the clear.

    Returns:
        Base64 of the ciphertext with its tag.

    Raises:
        ConfigurationError: the key has another length.
    """
    octets = _utf8(plaintext) if isinstance(plaintext, str) else plaintext
    sealed = _aes_gcm(key).encrypt(nonce.encode(), octets, associated_data.encode())
    return base64.b64encode(sealed).decode()


@shielded
def aes_gcm_decrypt(ciphertext: str, key: bytes, nonce: str, associated_data: str | None = "") -> bytes:
    """Decrypts AES-256-GCM and checks its tag.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382

    Args:
        ciphertext: base64 of the ciphertext with its tag at the end.
        key: the APIv3 key, 32 bytes.
        nonce: as it came, used as ASCII text.
        associated_data: as it came; may be empty or None.

    Raises:
        ConfigurationError: the key has another length.
        DecryptionError: something was altered, or the key is another one.
    """
    cipher = _aes_gcm(key)
    raw = _strict_base64(ciphertext)
    if raw is not None:
        try:
            return cipher.decrypt(nonce.encode(), raw, (associated_data or "").encode())
        except (InvalidTag, ValueError):
            pass
    raise DecryptionError("the ciphertext, nonce or associated data was altered, or the APIv3 key is another one")


def nonce(size: int = 32) -> str:
    """A random text of `size` characters, four bits of the system's entropy in each."""
    return secrets.token_hex((size + 1) // 2)[:size]


def _strict_base64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
        # Decoding forgives stray bits before the padding; encoding again does not.
        return raw if base64.b64encode(raw).decode() == text else None
    except (binascii.Error, TypeError, ValueError):
        return None


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ArgumentError("plaintext: it holds half of a surrogate pair, which UTF-8 cannot write") from None


def _aes_gcm(key: bytes) -> AESGCM:
    if len(key) != APIV3_KEY_SIZE:
        raise ConfigurationError(f"apiv3_key: came {len(key)} bytes; expected {APIV3_KEY_SIZE}")
    return AESGCM(key)
