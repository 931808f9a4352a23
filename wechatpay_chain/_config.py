"""Parses and checks every setting of a client. The error for a wrong setting names the setting."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from wechatpay_chain._keys.certificate_list import CertificateList
from wechatpay_chain._keys.keyring import EXPECTED, PUBLIC_KEY_PREFIX, Keyring
from wechatpay_chain._keys.loading import (
    Identity,
    PrivateKeySource,
    PublicKeySource,
    certifies,
    load_certificate,
    load_former_key,
    load_identity,
    load_key_or_certificate,
)
from wechatpay_chain._keys.material import is_key_material
from wechatpay_chain._keys.parsing import extract_public_key
from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._keys.signing import Credentials, refuse_to_sign, sign_with_key, sign_with_signer
from wechatpay_chain._messages.arguments import parse_bool, parse_timeout
from wechatpay_chain._messages.protocols import CertificateCache, NonceStore, Signer, Verifier
from wechatpay_chain._messages.request import Timeout
from wechatpay_chain._messages.urls import is_loopback, split_origin
from wechatpay_chain._pipeline.retry import Retry
from wechatpay_chain._schemes.apiv3_key import key_octets
from wechatpay_chain._schemes.characters import Copied, strip
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ArgumentError, ConfigurationError

T = TypeVar("T")

FIRST, SECOND = "https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"
"""The origin of the service, and the origin of its second site."""

__all__ = [
    "Config",
    "is_certificate_source",
    "parse_config",
    "parse_merchant_number",
    "parse_merchant_serial",
    "parse_origin",
    "parse_origins",
]


@dataclass(frozen=True, repr=False)
class Config:
    """The checked settings of a client. See `Client` for their meaning."""

    credentials: Credentials
    private_keys: Sequence[PerProcessKey[RSAPrivateKey]]
    keyring: Keyring
    certificates: CertificateList
    apiv3_key: bytes | None
    apiv2_key: bytes | None
    fetches: bool
    verifier: Verifier | None
    certificate_cache: CertificateCache | None
    seen: NonceStore | None
    origin: str
    origins: Sequence[str]
    timeout: Timeout
    retry: Retry
    response_limit: int


@shielded
def parse_config(
    *,
    mchid: object,
    serial: object,
    private_key: PrivateKeySource,
    certs: Mapping[str, PublicKeySource],
    apiv3_key: object,
    apiv2_key: object,
    fetch_certificates: object,
    signer: Signer | None,
    verifier: Verifier | None,
    certificate_cache: object,
    trust_anchors: Iterable[PublicKeySource],
    seen: NonceStore | None,
    passphrase: str | bytes | None,
    former_private_keys: object,
    base_url: object,
    timeout: object,
    retry: Retry | None,
    max_response_bytes: object,
    allow_http: bool,
) -> Config:
    """Parses the settings of a client.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    merchant_number = parse_merchant_number(mchid)
    check_method("signer", signer, "sign")
    check_method("verifier", verifier, "verify")
    check_method("seen", seen, "add")
    if not private_key and signer is None and verifier is None:
        raise ConfigurationError(
            "private_key: it is missing; expected the merchant's RSA private key (apiclient_key.pem)"
        )
    identity = load_identity("private_key", private_key, passphrase, merchant_number) if private_key else None
    merchant_serial = parse_merchant_serial(serial, merchant_number, identity, passphrase)
    merchant = merchant_serial, identity.key.public_key() if identity else None
    former_keys = load_former_keys(former_private_keys, passphrase, merchant_number)
    private_keys = tuple(PerProcessKey(key) for key in ((identity.key, *former_keys) if identity else former_keys))
    sign = sign_with_signer(signer) if signer else sign_with_key(private_keys[0]) if identity else refuse_to_sign
    key = None if apiv3_key is None else key_octets("apiv3_key", apiv3_key)
    fetches = _parse_like_argument(parse_bool, "fetch_certificates", fetch_certificates)
    if verifier is None and not certs and (key is None or not fetches):
        why = "no apiv3_key to fetch certificates with" if fetches else "fetch_certificates is False"
        raise ConfigurationError(f"certs: none came, and {why}; {EXPECTED}")
    policy = Retry(attempts=1) if retry is None else retry
    origin = parse_origin(base_url, allow_http)
    return Config(
        credentials=Credentials(merchant_number, merchant_serial, sign),
        private_keys=private_keys,
        keyring=Keyring({} if certs is None else certs, merchant),
        certificates=CertificateList(key, parse_trust_anchors(trust_anchors), merchant),
        apiv3_key=key,
        apiv2_key=None if apiv2_key is None else key_octets("apiv2_key", apiv2_key),
        fetches=key is not None and fetches,
        verifier=verifier,
        certificate_cache=parse_certificate_cache(certificate_cache),
        seen=seen,
        origin=origin,
        origins=parse_origins(policy, origin, allow_http),
        timeout=_parse_like_argument(parse_timeout, timeout),
        retry=policy,
        response_limit=parse_response_limit(max_response_bytes),
    )


def _parse_like_argument(parse: Callable[..., T], *arguments: object) -> T:
    """Parses a setting that is also an argument of calls, with the parser of the argument."""
    try:
        return parse(*arguments)
    except ArgumentError as error:
        raise ConfigurationError(*error.args) from None


def parse_merchant_number(mchid: object) -> str:
    """Parses the merchant number: an int, or a string of digits, which may have been copied with spaces or quotes.

    Raises:
        ConfigurationError: it is missing or not a number.
    """
    is_number = isinstance(mchid, int) and not isinstance(mchid, bool) and 0 < mchid < 10**32
    text = str(mchid) if is_number else mchid
    copied = Copied(text) if isinstance(text, str) else None
    if copied and re.fullmatch("[0-9]{1,32}", copied.text):
        return copied.text
    if not mchid or (copied and not copied.text):
        came = "it is missing"
    elif copied is None:
        came = f"came a {type(mchid).__name__}"
    elif len(copied.text) >= 32:
        came = f"came a string of {len(copied.text)} characters"
    elif re.fullmatch("wx[0-9a-f]{16}", copied.text):
        came = f"came {mchid!r}, which is an appid"
    else:
        came = f"came {mchid!r}, which contains {copied.find_flaw('0-9')}"
    raise ConfigurationError(f"mchid: {came}; expected the merchant number, a string of digits such as '1900007291'")


def parse_merchant_serial(serial: object, mchid: str, identity: Identity | None, passphrase: str | bytes | None) -> str:
    """Returns the serial number of the merchant API certificate in the service's notation.

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
        return normalize_serial(own.serial_number)
    if isinstance(serial, (bytes, os.PathLike, x509.Certificate)) or (
        isinstance(serial, str) and is_certificate_source(serial)
    ):
        certificate = load_certificate("serial", serial, passphrase, mchid)
        number = normalize_serial(certificate.serial_number)
        if identity and not certifies(certificate, identity.key):
            raise ConfigurationError(
                f"serial and private_key: the certificate {number} in serial= does not belong to the key in "
                "private_key=; expected a certificate and its own private key, such as apiclient_cert.pem and "
                "apiclient_key.pem of one application"
            )
    else:
        number = _parse_serial(serial, mchid)
    if own is not None and (found := normalize_serial(own.serial_number)) != number:
        raise ConfigurationError(
            f"serial and private_key: serial= is {number}, and the certificate that came with private_key= has "
            f"{found}; leave serial= out, or pass the private key that belongs to the certificate in serial="
        )
    return number


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


def is_certificate_source(serial: str) -> bool:
    """Tells whether a text in place of a serial number is a certificate, or the path of one."""
    return is_key_material(serial) or _PATH.search(strip(serial)) is not None


_PATH = re.compile(r"\A(?:~|file:)|[/\\](?![nrt]\b)|\.(?:pem|crt|cer|der|p12|pfx|txt)\Z", re.IGNORECASE)


def load_former_keys(former_keys: object, passphrase: str | bytes | None, mchid: str) -> tuple[RSAPrivateKey, ...]:
    """Loads the older private keys of the merchant.

    Args:
        former_keys: the keys, with the same values as in `load_private_key`.
        passphrase: the passphrase of those that are encrypted.
        mchid: the merchant number, which is tried if a PKCS#12 file comes without a passphrase.

    Raises:
        ConfigurationError: one of them is not a usable private key.
    """
    if isinstance(former_keys, (str, bytes, os.PathLike)) or not isinstance(former_keys, Iterable):
        raise ConfigurationError(
            f"former_private_keys: came a {type(former_keys).__name__}; expected a list of private keys"
        )
    return tuple(
        load_former_key(f"former_private_keys[{number}]", former, passphrase, mchid)
        for number, former in enumerate(former_keys)
    )


def parse_trust_anchors(trust_anchors: Iterable[PublicKeySource]) -> list[x509.Certificate]:
    """Loads the certificates of the issuers that are accepted for fetched certificates."""
    if isinstance(trust_anchors, (str, bytes)) or not isinstance(trust_anchors, Iterable):
        raise ConfigurationError(
            f"trust_anchors: came a {type(trust_anchors).__name__}; expected a list of certificates"
        )
    loaded: list[x509.Certificate] = []
    for number, source in enumerate(trust_anchors):
        setting = f"trust_anchors[{number}]"
        anchor = load_key_or_certificate(setting, source)
        if not isinstance(anchor, x509.Certificate):
            raise ConfigurationError(f"{setting}: came a bare public key; expected a certificate")
        extract_public_key(setting, anchor)
        loaded.append(anchor)
    return loaded


def parse_certificate_cache(cache: object) -> CertificateCache | None:
    """Returns the cache for fetched certificates; a path becomes a `CertificateFile`."""
    if cache is None:
        return None
    if isinstance(cache, (str, os.PathLike)):
        from wechatpay_chain.stores import CertificateFile

        return CertificateFile(cache)
    if callable(getattr(cache, "load", None)) and callable(getattr(cache, "save", None)):
        return cast("CertificateCache", cache)
    raise ConfigurationError(
        f"certificate_cache: came a {type(cache).__name__}; expected a path, or an object with load() and save()"
    )


def parse_origin(base_url: object, allow_http: bool) -> str:
    """Returns the origin (scheme, host and port) of the service.

    Raises:
        ConfigurationError: it is not an origin, or is not encrypted although it must be.
    """
    expected = "expected only scheme and host, such as 'https://api.mch.weixin.qq.com/'"
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url: came a {type(base_url).__name__}; {expected}")
    url = urlsplit("")
    try:
        url = urlsplit(base_url)
        scheme, host = split_origin(base_url)
    except ValueError:
        scheme, host = "", ""
    if "@" in url.netloc:
        raise ConfigurationError(f"base_url: it contains a user name or password; {expected}")
    if scheme not in ("https", "http") or url.path not in ("", "/") or url.query or url.fragment:
        # A path before that of the service would be sent, but not signed.
        raise ConfigurationError(f"base_url: came {base_url!r}; {expected}")
    if scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigurationError(
            f"base_url: came {base_url!r}, which is not encrypted and not on this machine; use https, or "
            "allow_http=True for your own egress proxy"
        )
    return f"{scheme}://{url.netloc}"


def parse_origins(retry: Retry, first: str, allow_http: bool) -> tuple[str, ...]:
    """Returns the origin that is called first, and the second one if there is one.

    Source of the second origin: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
    """
    if not isinstance(retry, Retry):
        raise ConfigurationError(f"retry: came a {type(retry).__name__}; expected Retry(…), or None to try once")
    if retry.second_url is None:
        return (first, SECOND) if first == FIRST else (first,)
    try:
        second = parse_origin(retry.second_url, allow_http)
    except ConfigurationError as error:
        raise ConfigurationError(f"retry: {str(error).replace('base_url', 'second_url')}") from None
    return (first,) if second == first else (first, second)


def check_method(setting: str, value: object, method: str) -> None:
    """Raises a ConfigurationError unless a setting is None or has a method."""
    if value is not None and (isinstance(value, type) or not callable(getattr(value, method, None))):
        raise ConfigurationError(f"{setting}: came a {type(value).__name__}; expected an object with {method}(…)")


def parse_response_limit(limit: object) -> int:
    """Parses the maximum number of bytes of a response that may be read into memory."""
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return limit
    raise ConfigurationError(f"max_response_bytes: came {limit!r}; expected a positive whole number of bytes")
