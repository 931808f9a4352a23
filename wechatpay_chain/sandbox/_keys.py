"""The keys of a sandbox, of the merchant and of the service: generated at startup, and kept in memory only."""

from __future__ import annotations

import enum
import secrets
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.x509.oid import NameOID

from wechatpay_chain import crypto
from wechatpay_chain._keys.certificate_list import ISSUER
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._tls import Authority

__all__ = ["Keys", "Signer", "certificate_pem", "parse_signer"]


class Signer(str, enum.Enum):
    """The key of the service that signs."""

    __str__ = str.__str__

    PUBLIC_KEY = "public-key"
    CERTIFICATE = "certificate"


def parse_signer(sign_with: Signer | str | None) -> Signer | None:
    """Returns the Signer of a value that a user gave; None stays None.

    Args:
        sign_with: a Signer, or its text.

    Raises:
        ConfigurationError: it is neither.
    """
    if sign_with is not None and sign_with not in tuple(Signer):
        raise ConfigurationError(f"sign_with: came {sign_with!r}; expected {' or '.join(Signer)}, or None")
    return None if sign_with is None else Signer(sign_with)


class Keys:
    """The credentials of a merchant and the keys of the service.

    Attributes:
        mchid: the merchant number.
        serial: the serial number of the merchant API certificate.
        merchant: the merchant's private key.
        certificate: the merchant API certificate as PEM.
        apiv3_key: the APIv3 key, which the merchant and the service share.
        apiv2_key: the APIv2 key, which they share too.
        certificates: the platform certificates by serial number; the last one is the newest, and signs.
        ids: the IDs of the two keys of the service that sign at present.

    Args:
        authority: issues the merchant API certificate.
    """

    def __init__(self, authority: Authority) -> None:
        self.mchid = f"19{secrets.randbelow(10**8):08}"
        self.serial = crypto.normalize_serial(_make_serial())
        self.merchant = _generate_key()
        self.certificate = certificate_pem(authority.issue(self.mchid, self.serial, self.merchant.public_key()))
        self.apiv3_key, self.apiv2_key = secrets.token_hex(16), secrets.token_hex(16)
        public_key_id = f"PUB_KEY_ID_01{secrets.randbelow(10**32):032}"
        self._private = {public_key_id: _generate_key()}
        self.certificates: dict[str, x509.Certificate] = {}
        self.ids = {Signer.PUBLIC_KEY: public_key_id}
        self.rotate()

    def rotate(self) -> None:
        """Makes a new platform certificate, which signs from now on. The old ones stay in the list."""
        key = _generate_key()
        certificate = _make_certificate(key)
        serial = crypto.serial_number(certificate)
        self._private[serial] = key
        self.certificates = {**self.certificates, serial: certificate}
        self.ids = {**self.ids, Signer.CERTIFICATE: serial}

    def has_key(self, key_id: str) -> bool:
        """Tells whether the service has a key of that ID."""
        return key_id in self._private

    def find_private_key(self, key_id: str) -> RSAPrivateKey:
        """Returns the service's private key of that ID."""
        return self._private[key_id]

    @property
    def private_key(self) -> str:
        """The merchant's private key as PEM."""
        return self.merchant.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def certs(self) -> dict[str, str]:
        """The keys that a client verifies responses with, as PEM by ID: the public key and the certificates."""
        public_key_id = self.ids[Signer.PUBLIC_KEY]
        return {
            public_key_id: _public_key_pem(self._private[public_key_id].public_key()),
            **{serial: certificate_pem(certificate) for serial, certificate in self.certificates.items()},
        }


def certificate_pem(certificate: x509.Certificate) -> str:
    """Returns a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _make_serial() -> int:
    """Returns a random serial number of 40 digits. The first is not 0, which some SDKs leave out."""
    return x509.random_serial_number() | 1 << 156


def _generate_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _public_key_pem(key: RSAPublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _make_certificate(key: RSAPrivateKey) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "wechatpay-chain sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign"),
        ]
    )
    # Clients check the name of the issuer. They verify the chain only if they have a trust anchor.
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=_make_serial(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=5 * 365),
    )
    return builder.sign(key, hashes.SHA256())
