"""Parses the settings that say who the client is: the number of a merchant or a brand, and the serial number of its certificate."""

from __future__ import annotations

import os
import re

from cryptography import x509

from wechatpay_chain._keys.keyring import PUBLIC_KEY_PREFIX
from wechatpay_chain._keys.loading import Identity, certifies, load_certificate
from wechatpay_chain._keys.material import is_key_material
from wechatpay_chain._keys.parsing import extract_public_key
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._schemes.by_key import SCHEMES, scheme_of
from wechatpay_chain._schemes.characters import Copied, strip
from wechatpay_chain._schemes.scheme import Scheme
from wechatpay_chain.errors import ConfigurationError

__all__ = ["choose_scheme", "parse_identity", "parse_merchant_serial"]

_EXPECTED = {
    "mchid": "the merchant number, a string of digits such as '1900007291'",
    "brand_id": "the number of the brand, a string of digits such as '120344'",
}


def parse_identity(mchid: object, brand_id: object) -> tuple[str, str]:
    """Returns who the client is: `mchid` or `brand_id`, and the number.

    Args:
        mchid: the merchant number: an int, or a string of digits, which may have been copied with spaces or quotes.
        brand_id: the number of the brand, in the same forms.

    Raises:
        ConfigurationError: neither is there, both are, or it is not a number.
    """
    if mchid and brand_id:
        raise ConfigurationError(
            "mchid and brand_id: both came; a client is of a merchant or of a brand, so make two clients"
        )
    if not mchid and not brand_id:
        raise ConfigurationError(
            f"mchid: it is missing, and so is brand_id; expected {_EXPECTED['mchid']}, or as brand_id {_EXPECTED['brand_id']}"
        )
    return ("brand_id", _parse_number("brand_id", brand_id)) if brand_id else ("mchid", _parse_number("mchid", mchid))


def choose_scheme(name: str, identity: Identity | None, certificate: x509.Certificate | None) -> Scheme:
    """Returns the scheme of a client: that of the private key, else that of the merchant's certificate, else the one with RSA keys.

    Args:
        name: `mchid` or `brand_id`.
        identity: the private key; None if only a remote signer has it.
        certificate: the merchant API certificate, if it is known.

    Raises:
        ConfigurationError: the key is of a kind that no scheme has for them.
    """
    key = identity.key if identity else extract_public_key("serial", certificate) if certificate else None
    scheme = scheme_of(key, name) if key else next(each for each in SCHEMES if each.identity == name)
    if scheme is None:
        raise ConfigurationError(f"private_key: came an SM2 key; {name}= has RSA keys only")
    return scheme


def _parse_number(name: str, number: object) -> str:
    is_number = isinstance(number, int) and not isinstance(number, bool) and 0 < number < 10**32
    text = str(number) if is_number else number
    copied = Copied(text) if isinstance(text, str) else None
    if copied and re.fullmatch("[0-9]{1,32}", copied.text):
        return copied.text
    if copied is None:
        came = f"came a {type(number).__name__}"
    elif not copied.text:
        came = "it is missing"
    elif len(copied.text) >= 32:
        came = f"came a string of {len(copied.text)} characters"
    elif re.fullmatch("wx[0-9a-f]{16}", copied.text):
        came = f"came {number!r}, which is an appid"
    else:
        came = f"came {number!r}, which contains {copied.find_flaw('0-9')}"
    raise ConfigurationError(f"{name}: {came}; expected {_EXPECTED[name]}")


def parse_merchant_serial(
    serial: object, mchid: str, identity: Identity | None, passphrase: str | bytes | None
) -> tuple[str, x509.Certificate | None]:
    """Returns the serial number of the merchant API certificate in the service's notation, and the certificate if it is known.

    Args:
        serial: the number, or the certificate. A string that is a number is never taken as a path.
        mchid: the merchant number.
        identity: the merchant's private key. A certificate must certify this key. If the key came with a certificate,
            the serial number must be that certificate's, and can be omitted.
        passphrase: the passphrase of a PKCS#12 file.

    Raises:
        ConfigurationError: there is no serial number, or the certificate is for a key other than the merchant's.
    """
    own = identity.certificate if identity else None
    if isinstance(serial, (str, bytes)) and not serial.strip():
        serial = None
    if not serial and own is not None:
        return normalize_serial(own.serial_number), own
    if isinstance(serial, (bytes, os.PathLike, x509.Certificate)) or (
        isinstance(serial, str) and _is_certificate_source(serial)
    ):
        certificate = load_certificate("serial", serial, passphrase, mchid)
        number = normalize_serial(certificate.serial_number)
        if identity and not certifies(certificate, identity.key):
            raise ConfigurationError(
                f"serial and private_key: the certificate {number} in serial= does not belong to the key in "
                "private_key=; expected a certificate and its own private key, such as apiclient_cert.pem and "
                "apiclient_key.pem of one application"
            )
        known: x509.Certificate | None = certificate
    else:
        number, known = _parse_serial(serial, mchid), own
    if own is not None and (found := normalize_serial(own.serial_number)) != number:
        raise ConfigurationError(
            f"serial and private_key: serial= is {number}, and the certificate that came with private_key= has "
            f"{found}; leave serial= out, or pass the private key that belongs to the certificate in serial="
        )
    return number, known


def _parse_serial(serial: object, mchid: str) -> str:
    if not serial or isinstance(serial, bool) or not isinstance(serial, (str, int)):
        came = f"came a {type(serial).__name__}" if serial else "it is missing"
        raise ConfigurationError(
            f"serial: {came}; expected the serial number of the merchant API certificate, or that certificate"
        )
    text = Copied(serial).text if isinstance(serial, str) else ""
    if text.upper().startswith(PUBLIC_KEY_PREFIX):
        raise ConfigurationError(
            "serial: came the id of WeChat Pay's public key, which belongs in certs=; expected the serial number of "
            "the merchant API certificate"
        )
    if text == mchid or serial == int(mchid):
        raise ConfigurationError(
            "serial: came the merchant number; expected the serial number of the merchant API certificate"
        )
    return normalize_serial(serial)


def _is_certificate_source(serial: str) -> bool:
    """Tells whether a text in place of a serial number is a certificate, or the path of one."""
    return is_key_material(serial) or _PATH.search(strip(serial)) is not None


_PATH = re.compile(r"\A(?:~|file:)|[/\\](?![nrt]\b)|\.(?:pem|crt|cer|der|p12|pfx|txt)\Z", re.IGNORECASE)
