"""Makes RSA keys and their certificates, and writes them as PEM; `_sm2_key_files.py` does the same for SM2."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

__all__ = ["RSA_FILES", "KeyFiles", "certificate_pem", "describe_certificate", "make_serial"]


class KeyFiles(NamedTuple):
    """Makes keys of one kind, and writes them.

    Attributes:
        generate: returns a new private key.
        private_pem: returns a private key as PEM, PKCS#8.
        public_pem: returns a public key as PEM.
        certify: returns the certificate of a private key, signed with it, from what `describe_certificate` returns.
    """

    generate: Callable[[], Any]
    private_pem: Callable[[Any], str]
    public_pem: Callable[[Any], str]
    certify: Callable[[Any, x509.CertificateBuilder], x509.Certificate]


def certificate_pem(certificate: x509.Certificate) -> str:
    """Returns a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def make_serial() -> int:
    """Returns a random serial number of 40 digits. The first is not 0, which some SDKs leave out."""
    return x509.random_serial_number() | 1 << 156


def describe_certificate(subject: str, issuer: str, serial: int) -> x509.CertificateBuilder:
    """Returns a certificate without its key and signature.

    It will be signed with its own key, whatever the name of its issuer says: clients check that name, and verify the chain only if
    they have a trust anchor.

    Args:
        subject: the common name.
        issuer: the common name of the issuer.
        serial: the serial number.
    """
    now = datetime.now(timezone.utc)
    return x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "wechatpay-chain sandbox"),
                x509.NameAttribute(NameOID.COMMON_NAME, subject),
            ]
        ),
        serial_number=serial,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=5 * 365),
    )


def _generate() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _private_pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public_pem(key: RSAPublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _certify(key: RSAPrivateKey, described: x509.CertificateBuilder) -> x509.Certificate:
    return described.public_key(key.public_key()).sign(key, hashes.SHA256())


RSA_FILES = KeyFiles(_generate, _private_pem, _public_pem, _certify)
