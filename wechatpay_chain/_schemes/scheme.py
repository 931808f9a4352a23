"""A scheme: the algorithms and names by which one kind of customer and WeChat Pay sign and encrypt."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay_chain._schemes.key_type import KeyType
from wechatpay_chain._schemes.sm2 import SM2PrivateKey, SM2PublicKey

__all__ = ["PrivateKey", "PublicKey", "Scheme"]

PrivateKey = RSAPrivateKey | SM2PrivateKey
"""A private key of any scheme."""

PublicKey = RSAPublicKey | SM2PublicKey
"""A public key of any scheme."""


class Scheme(NamedTuple):
    """Everything in which the schemes of APIv3 differ. Nothing else of the package asks which one it has.

    Attributes:
        name: the name in the Authorization header, and in Wechatpay-Signature-Type.
        identity: the item of the Authorization header that names the customer, and the setting of a client that has its number.
        root: the first segment of the paths that are signed with it; empty for all that no other scheme has.
        has_apiv2: whether its customers have APIv2, too.
        has_certificates: whether WeChat Pay has certificates for it, which can be fetched; otherwise it has public keys only.
        certificates_query: the query of the request that lists them; empty for none.
        issuer: a regular expression for the common name of who issues them.
        front_end: the signType by which a front end names it; empty if none is documented.
        keys: the type of its keys, which signs, verifies, encrypts and decrypts. A client knows the scheme by that of its private key.
        algorithm: the name of the encryption of certificates and notifications.
        aead_encrypt: encrypts with that algorithm: plaintext, APIv3 key, nonce, associated data.
        aead_decrypt: decrypts a ciphertext of that algorithm: ciphertext, APIv3 key, nonce, associated data.
    """

    name: str
    identity: str
    root: str
    has_apiv2: bool
    has_certificates: bool
    certificates_query: str
    issuer: str
    front_end: str
    keys: KeyType
    algorithm: str
    aead_encrypt: Callable[[bytes | str, bytes, str, str], str]
    aead_decrypt: Callable[[str, bytes, str, str | None], bytes]
