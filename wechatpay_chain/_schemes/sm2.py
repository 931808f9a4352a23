"""SM2: signatures over SM3 (GB/T 32918.2) and encryption of personal data (GB/T 32918.4), both as ASN.1 DER in base64.

Source: https://pay.weixin.qq.com/docs/partner/development/shangmi/guide.html. cryptography has SM3 and SM4, but not this curve. The
arithmetic is that of GmSSL, through gmssl-pyx: it is kept up, it has wheels for every supported Python, and it reads and writes just
these formats. (tongsuopy has no encryption with SM2 and had its last release in 2023; gmssl computes in Python.)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from wechatpay_chain._extras import importing
from wechatpay_chain._schemes.encoding import decode_base64, encode_utf8
from wechatpay_chain._schemes.key_type import KeyType
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ArgumentError, ConfigurationError, DecryptionError

__all__ = [
    "SM2",
    "SM2PrivateKey",
    "SM2PublicKey",
    "check_public_key",
    "decrypt_octets",
    "encrypt",
    "generate",
    "sign",
    "verify",
]

MOST_PLAINTEXT = 255
"""Bytes of the longest text that GmSSL encrypts."""

_BITS = 256

# A sequence of two integers of up to 33 bytes, the digest of 32 bytes, and what is encrypted, each after its tag and length.
_CIPHERTEXT = re.compile(
    rb"\x30(?:[\0-\x7f]|\x81.|\x82..)(?:\x02[\x01-\x21].{1,33}){2}\x04\x20.{32}\x04(?:[\x01-\x7f]|\x81.).{1,255}",
    re.DOTALL,
)

_ORDER = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
"""How many points the curve has: GB/T 32918.5."""


@dataclass(frozen=True)
class SM2PublicKey:
    """An SM2 public key.

    Attributes:
        point: its coordinates x and y, 32 bytes each.

    Raises:
        ConfigurationError: it has not 64 bytes.
    """

    point: bytes

    def __post_init__(self) -> None:
        _check_length("SM2 public key", self.point, 64)


@dataclass(frozen=True)
class SM2PrivateKey:
    """An SM2 private key.

    Attributes:
        secret: its number, 32 bytes.
        public: its public half.

    Raises:
        ConfigurationError: the number has not 32 bytes.
    """

    secret: bytes = field(repr=False)
    public: SM2PublicKey

    @shielded
    def __post_init__(self) -> None:
        _check_length("SM2 private key", self.secret, 32)

    def public_key(self) -> SM2PublicKey:
        """Returns the public half."""
        return self.public


def _check_length(name: str, octets: object, length: int) -> None:
    if not isinstance(octets, bytes) or len(octets) != length:
        came = f"{len(octets)} bytes" if isinstance(octets, bytes) else f"a {type(octets).__name__}"
        raise ConfigurationError(f"{name}: came {came}; expected {length} bytes, as load_sm2_private_key returns them")


@cache
def _gmssl() -> Any:
    with importing("SM2 keys need gmssl-pyx; run: pip install 'wechatpay-chain[sm2]'"):
        import gmssl_pyx
    return gmssl_pyx


def check_public_key(key: SM2PublicKey) -> bool:
    """Tells whether the point of a key is on the curve.

    Raises:
        ConfigurationError: gmssl-pyx is not installed.
    """
    try:
        _gmssl().normalize_sm2_public_key(key.point)
    except _gmssl().GmsslInnerError:
        return False
    return True


def generate() -> SM2PrivateKey:
    """Returns a new private key.

    Raises:
        ConfigurationError: gmssl-pyx is not installed.
    """
    point, secret = _gmssl().sm2_key_generate()
    return SM2PrivateKey(secret, SM2PublicKey(point))


@shielded
def sign(message: bytes, key: SM2PrivateKey) -> str:
    """Signs with SM2 and SM3. The user id is that of GM/T 0009, 1234567812345678.

    Args:
        message: the canonical message.
        key: the merchant's private key.

    Returns:
        The signature in base64.

    Raises:
        ConfigurationError: the key is damaged, or gmssl-pyx is not installed.
    """
    try:
        signature: bytes = _gmssl().sm2_sign(key.secret, key.public.point, message)
    except _gmssl().GmsslInnerError:
        raise ConfigurationError("SM2 private key: it is damaged, nothing can be signed with it") from None
    return base64.b64encode(signature).decode()


def verify(message: bytes, signature: str, key: SM2PublicKey) -> bool:
    """Returns True if a base64 text is the SM2 signature of a message, and False in every other case."""
    raw = decode_base64(signature)
    if raw is None or not _is_signature(raw):
        return False
    try:
        return _gmssl().sm2_verify(key.point, message, raw) is True
    except _gmssl().GmsslInnerError:
        return False


def _is_signature(raw: bytes) -> bool:
    """Tells whether bytes are two numbers below the order, in DER. GmSSL writes a line to the standard error if they are not."""
    try:
        return all(1 <= number < _ORDER for number in decode_dss_signature(raw))
    except ValueError:
        return False


@shielded
def encrypt(plaintext: str, key: SM2PublicKey) -> str:
    """Encrypts personal data for the owner of a public key.

    Raises:
        ArgumentError: the text is empty, or longer than 255 bytes of UTF-8.
        ConfigurationError: the key is damaged, or gmssl-pyx is not installed.
    """
    octets = encode_utf8(plaintext)
    if not 1 <= len(octets) <= MOST_PLAINTEXT:
        raise ArgumentError(
            f"plaintext: came {len(octets)} bytes of UTF-8; expected 1 to {MOST_PLAINTEXT}, the limit of SM2"
        )
    try:
        ciphertext: bytes = _gmssl().sm2_encrypt(key.point, octets)
    except _gmssl().GmsslInnerError:
        raise ConfigurationError("SM2 public key: it is damaged, nothing can be encrypted with it") from None
    return base64.b64encode(ciphertext).decode()


@shielded
def decrypt_octets(ciphertext: str, key: SM2PrivateKey) -> bytes:
    """Decrypts bytes that were encrypted for this key.

    Raises:
        DecryptionError: they were not. The message is the same for every cause, so that it reveals nothing.
    """
    raw = decode_base64(ciphertext)
    if raw is not None and _CIPHERTEXT.fullmatch(raw):  # GmSSL writes a line to the standard error if it is none
        try:
            plaintext: bytes = _gmssl().sm2_decrypt(key.secret, raw)
            return plaintext
        except _gmssl().GmsslInnerError:
            pass
    raise DecryptionError("the text is not a ciphertext for this private key")


def is_ciphertext(text: str) -> bool:
    """Tells whether a text can be a ciphertext: DER with the coordinates of a point, a digest, and what is encrypted (C1C3C2)."""
    raw = decode_base64(text)
    return raw is not None and _CIPHERTEXT.fullmatch(raw) is not None


def count_bits(key: SM2PrivateKey | SM2PublicKey) -> int:  # noqa: ARG001 -- all have the same
    """Returns the length of a key."""
    return _BITS


def is_consistent(key: SM2PrivateKey) -> bool:
    """Tells whether the public half of a private key is on the curve; a signature shows whether the halves fit each other.

    Raises:
        ConfigurationError: gmssl-pyx is not installed.
    """
    return check_public_key(key.public)


def share(key: SM2PrivateKey | SM2PublicKey) -> Callable[[], SM2PrivateKey | SM2PublicKey]:
    """Returns a function that returns the key: it is bytes, which processes can share."""
    return lambda: key


def is_issued_by(certificate: x509.Certificate, anchor: x509.Certificate, key: SM2PublicKey) -> bool:
    """Tells whether the owner of a certificate has signed another; cryptography does not know the algorithm."""
    signature = base64.b64encode(certificate.signature).decode()
    return certificate.issuer == anchor.subject and verify(certificate.tbs_certificate_bytes, signature, key)


SM2 = KeyType(
    name="SM2",
    private=SM2PrivateKey,
    public=SM2PublicKey,
    in_tls=False,
    least_bits=_BITS,
    usual_bits=_BITS,
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
