"""Decrypts and checks the platform certificates in a response to GET v3/certificates.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from wechatpay_chain._keys.keyring import Merchant, check_not_merchant_key, is_valid_now
from wechatpay_chain._keys.loading import load_public, serial_number
from wechatpay_chain._keys.parsing import extract_public_key
from wechatpay_chain._messages.redaction import quote
from wechatpay_chain._schemes.by_key import ALGORITHMS, find_algorithm, scheme_of, type_of
from wechatpay_chain.errors import ConfigurationError, DecryptionError, WeChatPayError

__all__ = ["ISSUER", "CertificateList"]

logger = logging.getLogger("wechatpay_chain")

MAX_SKIPPED_LOGGED = 100
"""The number of different skipped certificates that are logged."""

ISSUER = "Tenpay.com Root CA"
"""The common name of the issuer of platform certificates."""


class CertificateList:
    """Decrypts lists of platform certificates and checks each certificate.

    Args:
        apiv3_key: the key that decrypts the certificates; None if no list will be read.
        trust_anchors: the certificates of accepted issuers; if empty, only the name of the issuer is checked.
        merchant: the merchant's own serial number and key, which no platform certificate may have.
    """

    def __init__(self, apiv3_key: bytes | None, trust_anchors: Sequence[x509.Certificate], merchant: Merchant) -> None:
        self._apiv3_key, self._trust_anchors, self._merchant = apiv3_key, tuple(trust_anchors), merchant
        self._skipped: set[tuple[str, str]] = set()

    def read(self, content: bytes) -> dict[str, x509.Certificate]:
        """Returns the certificates that are valid now, by serial number.

        A certificate that can be decrypted was sent by somebody who has the APIv3 key. A certificate that cannot be
        used, such as one with an SM2 key where gmssl-pyx is not installed, is skipped and logged once.

        Args:
            content: the body of the response.

        Raises:
            ConfigurationError: the content is not such a list, or none of its certificates can be used. If none can be
                decrypted, the APIv3 key is wrong.
        """
        try:
            entries = list(json.loads(content)["data"])
        except (ValueError, TypeError, LookupError, RecursionError):
            raise ConfigurationError("apiv3_key: the list of certificates cannot be read") from None
        usable: dict[str, x509.Certificate] = {}
        first_error: WeChatPayError | None = None
        for entry in entries:
            try:
                serial, certificate = self._read_entry(entry)
                if not is_valid_now(certificate):
                    raise ConfigurationError("a certificate in the list has expired or is not valid yet")
                usable[serial] = certificate
            except WeChatPayError as error:
                first_error = first_error or error
                self._skip(entry, error)
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                self._skip(entry, ConfigurationError("it cannot be read"))
        if usable:
            return usable
        if isinstance(first_error, DecryptionError):
            raise ConfigurationError(
                "apiv3_key: the platform certificates cannot be decrypted with it; expected the APIv3 key that is "
                "currently set in the merchant platform"
            ) from None
        raise first_error or ConfigurationError(
            "apiv3_key: the list of certificates contains none that can be read"
        ) from None

    def _read_entry(self, entry: Mapping[str, Any]) -> tuple[str, x509.Certificate]:
        encrypted = entry["encrypt_certificate"]
        scheme = find_algorithm(encrypted["algorithm"])
        if scheme is None or self._apiv3_key is None:
            raise ConfigurationError(f"apiv3_key: a certificate is not encrypted with {ALGORITHMS}")
        # Notifications are encrypted with the same key. Their ciphertexts must not be accepted as certificates.
        associated_data = encrypted.get("associated_data")
        if associated_data not in ("certificate", "", None):
            raise ConfigurationError("apiv3_key: a ciphertext in the list is not that of a certificate")
        pem = scheme.aead_decrypt(encrypted["ciphertext"], self._apiv3_key, encrypted["nonce"], associated_data)
        if not pem.startswith(b"-----BEGIN CERTIFICATE-----"):
            raise ConfigurationError("apiv3_key: an entry of the list is not a certificate")
        certificate = load_public(pem)
        if not isinstance(certificate, x509.Certificate) or serial_number(certificate) != entry["serial_no"]:
            raise ConfigurationError(
                "apiv3_key: a certificate in the list has another serial number than its entry says"
            )
        common_names = [name.value for name in certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)]
        of_key = scheme_of(extract_public_key("certificate", certificate))
        if of_key is None or len(common_names) != 1 or not re.fullmatch(of_key.issuer, str(common_names[0])):
            raise ConfigurationError(
                f"apiv3_key: a certificate was issued by {common_names!r}; expected {ISSUER!r}, or for an SM2 key a name that begins "
                "with Tenpay.com"
            )
        if self._trust_anchors and not any(_is_issued_by(certificate, anchor) for anchor in self._trust_anchors):
            raise ConfigurationError("trust_anchors: a certificate was not issued by any of them")
        check_not_merchant_key({entry["serial_no"]: certificate}, self._merchant)
        return entry["serial_no"], certificate

    def _skip(self, entry: object, error: WeChatPayError) -> None:
        serial = (
            quote(str(entry.get("serial_no")), 64)
            if isinstance(entry, dict)
            else "(an entry that is not a JSON object)"
        )
        if (serial, str(error)) not in self._skipped and len(self._skipped) < MAX_SKIPPED_LOGGED:
            self._skipped.add((serial, str(error)))
            logger.warning("a platform certificate is skipped: %s: %s", serial, error)


def _is_issued_by(certificate: x509.Certificate, anchor: x509.Certificate) -> bool:
    key = extract_public_key("trust_anchors", anchor)
    return type_of(key).is_issued_by(certificate, anchor, key)
