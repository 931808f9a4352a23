"""Signs, verifies, encrypts and decrypts with a key of any scheme. The type of the key says which algorithms it is for."""

from __future__ import annotations

from wechatpay_chain._schemes.brand_rsa import BRAND_RSA
from wechatpay_chain._schemes.merchant_rsa import MERCHANT_RSA
from wechatpay_chain._schemes.merchant_sm2 import MERCHANT_SM2
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey, Scheme
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import DecryptionError

__all__ = [
    "ALGORITHMS",
    "SCHEMES",
    "decrypt",
    "decrypt_octets",
    "encrypt",
    "find_algorithm",
    "find_scheme",
    "scheme_of",
    "sign",
    "verify",
]

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
    for scheme in SCHEMES:
        if scheme.identity == identity and isinstance(key, (scheme.private_key, scheme.public_key)):
            return scheme
    return None


def find_scheme(name: str) -> Scheme | None:
    """Returns the scheme with a name, as it is in an Authorization or Wechatpay-Signature-Type header; None if there is none."""
    return next((scheme for scheme in SCHEMES if scheme.name == name), None)


def find_algorithm(name: object) -> Scheme | None:
    """Returns a scheme whose certificates and notifications are encrypted with an algorithm; None if there is none."""
    return next((scheme for scheme in SCHEMES if scheme.algorithm == name), None)


def _require_scheme(key: object) -> Scheme:
    scheme = scheme_of(key)
    if scheme is None:
        raise TypeError(f"key: came a {type(key).__name__}; expected a loaded RSA or SM2 key")
    return scheme


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
    return _require_scheme(key).sign(message, key)


def verify(message: bytes, signature: str, key: PublicKey) -> bool:
    """Returns True if a base64 text is the signature of a message by the owner of a public key, and False in every other case.

    Raises:
        TypeError: the key is of another type.
    """
    return _require_scheme(key).verify(message, signature, key)


@shielded
def encrypt(plaintext: str, key: PublicKey) -> str:
    """Encrypts personal data for the owner of a public key: RSA-OAEP, or SM2.

    Raises:
        ArgumentError: the text is longer than the key can encrypt: 214 bytes of UTF-8 for an RSA key of 2048 bits, 255 for an SM2
            key, which cannot encrypt an empty text either.
        ConfigurationError: the key is damaged, or is one of SM2 and gmssl-pyx is not installed.
        TypeError: the key is of another type.
    """
    return _require_scheme(key).encrypt(plaintext, key)


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
    return _require_scheme(key).decrypt(ciphertext, key)
