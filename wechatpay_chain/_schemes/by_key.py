"""Signs, verifies, encrypts and decrypts with a key of any scheme. The type of the key says which algorithms it is for."""

from __future__ import annotations

from typing import Literal, TypeGuard

from wechatpay_chain._schemes.brand_rsa import BRAND_RSA
from wechatpay_chain._schemes.key_type import KeyType
from wechatpay_chain._schemes.merchant_rsa import MERCHANT_RSA
from wechatpay_chain._schemes.merchant_sm2 import MERCHANT_SM2
from wechatpay_chain._schemes.rsa import RSA
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey, Scheme
from wechatpay_chain._schemes.sm2 import SM2
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import DecryptionError

__all__ = [
    "ALGORITHMS",
    "SCHEMES",
    "decrypt",
    "decrypt_octets",
    "encrypt",
    "find_algorithm",
    "is_ciphertext",
    "is_named",
    "is_private_key",
    "is_public_key",
    "scheme_at",
    "scheme_of",
    "sign",
    "type_of",
    "verify",
]

TYPES = (RSA, SM2)
"""All types of keys."""

SCHEMES = (MERCHANT_RSA, MERCHANT_SM2, BRAND_RSA)
"""All schemes. Of two with the same keys, the first is that of merchants."""


ALGORITHMS = " or ".join(dict.fromkeys(scheme.algorithm for scheme in SCHEMES))
"""The encryptions of certificates and notifications, for error messages."""


def scheme_of(key: object, identity: str = "mchid") -> Scheme | None:
    """Returns the scheme of a private or public key; None if there is none.

    Args:
        key: the key.
        identity: the item that names the customer.
    """
    return next((scheme for scheme in SCHEMES if scheme.identity == identity and scheme.keys is _find_type(key)), None)


def scheme_at(root: str) -> Scheme:
    """Returns the scheme of paths by their first segment. Of two with the same paths, it is that with RSA keys."""
    return next((scheme for scheme in SCHEMES if scheme.root and scheme.root == root), SCHEMES[0])


def find_algorithm(name: object) -> Scheme | None:
    """Returns a scheme whose certificates and notifications are encrypted with an algorithm; None if there is none."""
    return next((scheme for scheme in SCHEMES if scheme.algorithm == name), None)


def is_named(name: str, key: PublicKey) -> bool:
    """Tells whether a name, such as that in a Wechatpay-Signature-Type header, is that of a scheme with keys of this type."""
    return any(scheme.name == name and scheme.keys is type_of(key) for scheme in SCHEMES)


def is_private_key(key: object) -> TypeGuard[PrivateKey]:
    """Tells whether something is a loaded private key."""
    return any(isinstance(key, kind.private) for kind in TYPES)


def is_public_key(key: object) -> TypeGuard[PublicKey]:
    """Tells whether something is a loaded public key."""
    return any(isinstance(key, kind.public) for kind in TYPES)


def is_ciphertext(text: str) -> bool:
    """Tells whether a text can be what `encrypt` returns for a key of any type."""
    return any(kind.is_ciphertext(text) for kind in TYPES)


def type_of(key: PrivateKey | PublicKey) -> KeyType:
    """Returns the type of a key.

    Raises:
        TypeError: it is no loaded key.
    """
    kind = _find_type(key)
    if kind is None:
        raise TypeError(f"key: came a {type(key).__name__}; expected a loaded RSA or SM2 key")
    return kind


def _find_type(key: object) -> KeyType | None:
    return next((kind for kind in TYPES if isinstance(key, (kind.private, kind.public))), None)


def _require(key: object, half: Literal["private", "public"]) -> KeyType:
    for kind in TYPES:
        if isinstance(key, getattr(kind, half)):
            return kind
    raise TypeError(f"key: came a {type(key).__name__}; expected a loaded {half} key of RSA or SM2")


@shielded
def sign(message: bytes, key: PrivateKey) -> str:
    """Signs with the algorithm of a key: RSA-SHA256, or SM2 with SM3.

    Args:
        message: the canonical message.
        key: the merchant's private key, as `load_private_key` or `load_sm2_private_key` returns it.

    Returns:
        The signature in base64.

    Raises:
        TypeError: the key is of another type.
    """
    return _require(key, "private").sign(message, key)


def verify(message: bytes, signature: str, key: PublicKey) -> bool:
    """Returns True if a base64 text is the signature of a message by the owner of a public key, and False in every other case.

    Raises:
        TypeError: the key is of another type.
    """
    return _require(key, "public").verify(message, signature, key)


@shielded
def encrypt(plaintext: str, key: PublicKey) -> str:
    """Encrypts personal data for the owner of a public key: RSA-OAEP, or SM2.

    Raises:
        ArgumentError: the text is longer than the key can encrypt: 214 bytes of UTF-8 for an RSA key of 2048 bits, 255 for an SM2
            key, which cannot encrypt an empty text either.
        ConfigurationError: the key is damaged, or is one of SM2 and gmssl-pyx is not installed.
        TypeError: the key is of another type.
    """
    return _require(key, "public").encrypt(plaintext, key)


@shielded
def decrypt(ciphertext: str, key: PrivateKey) -> str:
    """Decrypts a text that was encrypted with `encrypt` for this key.

    Raises:
        DecryptionError: it is not such a ciphertext. The message is the same for every cause, so that it reveals nothing.
        TypeError: the key is of another type.
    """
    try:
        return decrypt_octets(ciphertext, key).decode()
    except UnicodeDecodeError:
        raise DecryptionError("the text is not a ciphertext for this private key") from None


@shielded
def decrypt_octets(ciphertext: str, key: PrivateKey) -> bytes:
    """Decrypts bytes, such as the key of an encrypted bill. Raises the same errors as `decrypt`."""
    return _require(key, "private").decrypt(ciphertext, key)
