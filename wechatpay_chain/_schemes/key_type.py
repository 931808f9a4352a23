"""A type of keys: RSA or SM2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography import x509

__all__ = ["KeyType"]


class KeyType(NamedTuple):
    """What signing, verifying, encrypting and checking need of a type of keys.

    Attributes:
        name: RSA or SM2.
        private: the class of its private keys.
        public: the class of its public keys.
        in_tls: whether Python's TLS can present a certificate of such a key.
        least_bits: the length of the shortest key that is accepted.
        usual_bits: the length of the keys of WeChat Pay and of its merchants.
        count_bits: returns the length of a key.
        is_consistent: tells whether the numbers of a private key fit each other.
        share: returns a function that makes a copy of a key for another process, without the key itself.
        is_issued_by: tells whether the owner of a certificate, the second one, has signed another.
        is_ciphertext: tells whether a text can be what `encrypt` returns.
        sign: signs a message with a private key, and returns the signature in base64.
        verify: tells whether a base64 text is the signature of a message by the owner of a public key.
        encrypt: encrypts a text for the owner of a public key.
        decrypt: decrypts bytes that were encrypted for the owner of a private key.
    """

    name: str
    private: type[Any]
    public: type[Any]
    in_tls: bool
    least_bits: int
    usual_bits: int
    count_bits: Callable[[Any], int]
    is_consistent: Callable[[Any], bool]
    share: Callable[[Any], Callable[[], Any]]
    is_issued_by: Callable[[x509.Certificate, x509.Certificate, Any], bool]
    is_ciphertext: Callable[[str], bool]
    sign: Callable[[bytes, Any], str]
    verify: Callable[[bytes, str, Any], bool]
    encrypt: Callable[[str, Any], str]
    decrypt: Callable[[str, Any], bytes]
