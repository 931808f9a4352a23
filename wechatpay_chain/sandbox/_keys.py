"""The keys of a sandbox, both sides of them, made as it starts and kept in memory only."""

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

__all__ = ["Keys", "Signer", "certificate_pem"]


class Signer(str, enum.Enum):
    """Which of the service's keys signs."""

    __str__ = str.__str__

    PUBLIC_KEY = "public-key"
    CERTIFICATE = "certificate"


class Keys:
    """A merchant's credentials and the service's.

    Attributes:
        mchid: the merchant number.
        serial: of the merchant API certificate.
        merchant: the merchant's private key.
        apiv3_key: shared by both.
        certificates: the platform certificates by serial number; the newest, which signs, is the last.
        ids: the id of each of the service's keys that sign now.
    """

    def __init__(self) -> None:
        self.mchid = f"19{secrets.randbelow(10**8):08}"
        self.serial = crypto.normalize_serial(x509.random_serial_number())
        self.merchant = _new_key()
        self.apiv3_key = secrets.token_hex(16)
        public_key_id = f"PUB_KEY_ID_01{secrets.randbelow(10**32):032}"
        self._private = {public_key_id: _new_key()}
        self.certificates: dict[str, x509.Certificate] = {}
        self.ids = {Signer.PUBLIC_KEY: public_key_id}
        self.rotate()

    def rotate(self) -> None:
        """Makes a new platform certificate, which signs from now on. The former ones stay listed."""
        key = _new_key()
        certificate = _certificate(key)
        serial = crypto.serial_number(certificate)
        self._private[serial] = key
        self.certificates = {**self.certificates, serial: certificate}
        self.ids = {**self.ids, Signer.CERTIFICATE: serial}

    def knows(self, key_id: str) -> bool:
        """Whether the service has a key of that id."""
        return key_id in self._private

    def private(self, key_id: str) -> RSAPrivateKey:
        """The service's private key of that id."""
        return self._private[key_id]

    @property
    def private_key(self) -> str:
        """The merchant's private key as PEM."""
        return self.merchant.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def certs(self) -> dict[str, str]:
        """What a client verifies answers with: PEM by id, one public key and the certificates."""
        public_key_id = self.ids[Signer.PUBLIC_KEY]
        return {
            public_key_id: _pem(self._private[public_key_id].public_key()),
            **{serial: certificate_pem(certificate) for serial, certificate in self.certificates.items()},
        }


def certificate_pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _pem(key: RSAPublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _certificate(key: RSAPrivateKey) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "wechatpay-chain sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign"),
        ]
    )
    # Nobody asks for the chain of this certificate; the name of its issuer is asked for.
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=5 * 365),
    )
    return builder.sign(key, hashes.SHA256())
