"""The keys of the sandbox's customers and of the service: generated at startup, and kept in memory only."""

from __future__ import annotations

import enum
import secrets
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from wechatpay_chain import crypto
from wechatpay_chain._keys.certificate_list import ISSUER
from wechatpay_chain._schemes.scheme import PrivateKey, Scheme
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._key_files import RSA_FILES, certificate_pem, describe_certificate, make_serial
from wechatpay_chain.sandbox._sm2_key_files import SM2_FILES
from wechatpay_chain.sandbox._tls import Authority

__all__ = ["Keys", "Signer", "parse_signer"]


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


_FILES = {"RSA": RSA_FILES, "SM2": SM2_FILES}
"""How keys are made, by the name of their type."""


class Keys:
    """The credentials of a merchant or a brand, and the service's keys for it.

    Attributes:
        scheme: the algorithms and names.
        number: the merchant number, or the number of the brand.
        serial: the serial number of its API certificate.
        private: its private key.
        certificate: its API certificate as PEM.
        apiv3_key: the APIv3 key, which it and the service share.
        apiv2_key: the APIv2 key, which they share too.
        workwx_secret: the secret of an application of enterprise WeChat.
        certificates: the platform certificates by serial number; the last one is the newest, and signs.
        ids: the IDs of the two keys of the service that sign at present; a brand has no certificate.

    Args:
        scheme: the scheme of the keys.
        authority: issues a merchant API certificate that TLS can use.
    """

    def __init__(self, scheme: Scheme, authority: Authority) -> None:
        self.scheme = scheme
        self.number = (
            f"19{secrets.randbelow(10**8):08}" if scheme.has_certificates else f"{secrets.randbelow(10**6):06}"
        )
        self.serial = crypto.normalize_serial(make_serial())
        self._files = _FILES[scheme.keys.name]
        self.private = self._files.generate()
        self.certificate = certificate_pem(
            authority.issue(self.number, self.serial, self.private.public_key())
            if scheme.keys.in_tls
            else self._files.certify(self.private, describe_certificate(self.number, ISSUER, int(self.serial, 16)))
        )
        self.apiv3_key, self.apiv2_key = secrets.token_hex(16), secrets.token_hex(16)
        self.workwx_secret = secrets.token_urlsafe(32)
        public_key_id = f"PUB_KEY_ID_01{secrets.randbelow(10**32):032}"
        self._private: dict[str, PrivateKey] = {public_key_id: self._files.generate()}
        self.certificates: dict[str, x509.Certificate] = {}
        self.ids = {Signer.PUBLIC_KEY: public_key_id}
        if scheme.has_certificates:
            self.rotate()

    def rotate(self) -> None:
        """Makes a new platform certificate, which signs from now on. The old ones stay in the list."""
        key = self._files.generate()
        certificate = self._files.certify(key, describe_certificate("Tenpay.com sign", ISSUER, make_serial()))
        serial = crypto.serial_number(certificate)
        self._private[serial] = key
        self.certificates = {**self.certificates, serial: certificate}
        self.ids = {**self.ids, Signer.CERTIFICATE: serial}

    def has_key(self, key_id: str) -> bool:
        """Tells whether the service has a key of that ID."""
        return key_id in self._private

    def find_private_key(self, key_id: str) -> PrivateKey:
        """Returns the service's private key of that ID."""
        return self._private[key_id]

    @cached_property
    def card_key(self) -> RSAPrivateKey:
        """The service's key for bank cards of APIv2, which `risk/getpublickey` returns the public half of."""
        return generate_private_key(public_exponent=65537, key_size=2048)

    def encrypt(self, plaintext: str) -> str:
        """Returns personal data encrypted for the merchant."""
        return crypto.encrypt(plaintext, self.private.public_key())

    @property
    def credentials(self) -> dict[str, Any]:
        """The settings of a client, as JSON values. Only a merchant has those of APIv2, and only RSA keys a certificate for TLS."""
        known = {
            self.scheme.identity: self.number,
            "serial": self.serial,
            "private_key": self.private_key,
            "certs": self.certs,
            "apiv3_key": self.apiv3_key,
        }
        if not self.scheme.has_apiv2:
            return known
        own = {"certificate": self.certificate} if self.scheme.keys.in_tls else {}
        return {**known, "apiv2_key": self.apiv2_key, "workwx_secret": self.workwx_secret, **own}

    @property
    def private_key(self) -> str:
        """The private key as PEM."""
        return self._files.private_pem(self.private)

    @property
    def certs(self) -> dict[str, str]:
        """The keys that a client verifies responses with, as PEM by ID: the public key and the certificates."""
        public_key_id = self.ids[Signer.PUBLIC_KEY]
        return {
            public_key_id: self._files.public_pem(self._private[public_key_id].public_key()),
            **{serial: certificate_pem(certificate) for serial, certificate in self.certificates.items()},
        }
