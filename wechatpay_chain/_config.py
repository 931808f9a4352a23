"""Parses and checks every setting of a client. A setting that cannot be used is a `ConfigurationError` that names it."""

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
    is_of,
    key_of,
    load_certificate,
    load_former_key,
    load_identity,
    read_public,
)
from wechatpay_chain._keys.material import holds_material
from wechatpay_chain._keys.own_keys import OwnKey
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._keys.signing import Credentials, with_key, with_nothing, with_signer
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
"""The service, and its other site."""

__all__ = ["Config", "parse_config", "parse_origins"]


@dataclass(frozen=True, repr=False)
class Config:
    """The settings of a client, checked. `Client` says what each is."""

    credentials: Credentials
    private_keys: Sequence[OwnKey[RSAPrivateKey]]
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
    number = parse_merchant_number(mchid)
    check_method("signer", signer, "sign")
    check_method("verifier", verifier, "verify")
    check_method("seen", seen, "add")
    if not private_key and signer is None and verifier is None:
        raise ConfigurationError(
            "private_key: it is missing; expected the merchant's RSA private key (apiclient_key.pem)"
        )
    identity = load_identity("private_key", private_key, passphrase, number) if private_key else None
    merchant_serial = parse_merchant_serial(serial, number, identity, passphrase)
    merchant = merchant_serial, identity.key.public_key() if identity else None
    former_keys = load_former_keys(former_private_keys, passphrase, number)
    private_keys = tuple(OwnKey(key) for key in ((identity.key, *former_keys) if identity else former_keys))
    signature = with_signer(signer) if signer else with_key(private_keys[0]) if identity else with_nothing
    key = None if apiv3_key is None else key_octets("apiv3_key", apiv3_key)
    fetches = _of_setting(parse_bool, "fetch_certificates", fetch_certificates)
    if verifier is None and not certs and (key is None or not fetches):
        why = "no apiv3_key to fetch certificates with" if fetches else "fetch_certificates is False"
        raise ConfigurationError(f"certs: none came, and {why}; {EXPECTED}")
    policy = Retry(attempts=1) if retry is None else retry
    origin = parse_origin(base_url, allow_http)
    return Config(
        credentials=Credentials(number, merchant_serial, signature),
        private_keys=private_keys,
        keyring=Keyring(certs, merchant),
        certificates=CertificateList(key, parse_trust_anchors(trust_anchors), merchant),
        apiv3_key=key,
        apiv2_key=None if apiv2_key is None else key_octets("apiv2_key", apiv2_key),
        fetches=key is not None and fetches,
        verifier=verifier,
        certificate_cache=parse_certificate_cache(certificate_cache),
        seen=seen,
        origin=origin,
        origins=parse_origins(policy, origin, allow_http),
        timeout=_of_setting(parse_timeout, timeout),
        retry=policy,
        response_limit=parse_response_limit(max_response_bytes),
    )


def _of_setting(parse: Callable[..., T], *arguments: object) -> T:
    """Parses a setting that calls have too, where it is an argument."""
    try:
        return parse(*arguments)
    except ArgumentError as error:
        raise ConfigurationError(*error.args) from None


def parse_merchant_number(mchid: object) -> str:
    """Reads the merchant number: an int, or a text of digits that may have been copied with blanks or quotes around it."""
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
        came = f"came a text of {len(copied.text)} characters"
    elif re.fullmatch("wx[0-9a-f]{16}", copied.text):
        came = f"came {mchid!r}, which is an appid"
    else:
        came = f"came {mchid!r}, which holds {copied.find_flaw('0-9')}"
    raise ConfigurationError(f"mchid: {came}; expected the merchant number, a text of digits such as '1900007291'")


def parse_merchant_serial(serial: object, mchid: str, identity: Identity | None, passphrase: str | bytes | None) -> str:
    """Reads the serial number of the merchant API certificate, as the service writes it.

    Args:
        serial: the number, or the certificate that has it. A text that is a number is no path.
        mchid: the merchant number.
        identity: what the merchant signs with. A certificate must be for that key; where a certificate came with it, the
            serial number must be that certificate's, and may be left out.
        passphrase: of a PKCS#12 file.

    Raises:
        ConfigurationError: there is none, or the certificate is for another key than the merchant's.
    """
    own = identity.certificate if identity else None
    if isinstance(serial, (str, bytes)) and not serial.strip():
        serial = None
    if not serial and own is not None:
        return normalize_serial(own.serial_number)
    if isinstance(serial, (bytes, os.PathLike, x509.Certificate)) or (isinstance(serial, str) and _is_source(serial)):
        certificate = load_certificate("serial", serial, passphrase, mchid)
        number = normalize_serial(certificate.serial_number)
        if identity and not is_of(certificate, identity.key):
            raise ConfigurationError(
                f"serial and private_key: the certificate {number} in serial= is for another key than the one in "
                "private_key=; expected a certificate and its own private key, such as apiclient_cert.pem and "
                "apiclient_key.pem of one application"
            )
    else:
        number = _read_serial(serial, mchid)
    if own is not None and (brought := normalize_serial(own.serial_number)) != number:
        raise ConfigurationError(
            f"serial and private_key: serial= is {number}, and the certificate that came with private_key= has {brought}; "
            "leave serial= out, or give the private key of the other certificate"
        )
    return number


def _read_serial(serial: object, mchid: str) -> str:
    if not serial or isinstance(serial, bool) or not isinstance(serial, (str, int)):
        came = f"came a {type(serial).__name__}" if serial else "it is missing"
        raise ConfigurationError(
            f"serial: {came}; expected the serial number of the merchant API certificate, or that certificate"
        )
    text = Copied(serial).text if isinstance(serial, str) else ""
    if text.upper().startswith(PUBLIC_KEY_PREFIX):
        raise ConfigurationError(
            "serial: came the id of WeChat Pay's public key, which belongs in certs=; expected the serial number of the "
            "merchant API certificate"
        )
    if text == mchid or serial == int(mchid):
        raise ConfigurationError(
            "serial: came the merchant number; expected the serial number of the merchant API certificate"
        )
    return normalize_serial(serial)


def _is_source(serial: str) -> bool:
    return holds_material(serial) or _PATH.search(strip(serial)) is not None


_PATH = re.compile(r"\A(?:~|file:)|[/\\](?![nrt]\b)|\.(?:pem|crt|cer|der|p12|pfx|txt)\Z", re.IGNORECASE)


def load_former_keys(formers: object, passphrase: str | bytes | None, mchid: str) -> tuple[RSAPrivateKey, ...]:
    """Loads the older private keys of the merchant.

    Args:
        formers: the keys, as of `load_private_key`.
        passphrase: of those that are encrypted.
        mchid: the merchant number, which is the passphrase of a PKCS#12 file where none is given.
    """
    if isinstance(formers, (str, bytes, os.PathLike)) or not isinstance(formers, Iterable):
        raise ConfigurationError(
            f"former_private_keys: came a {type(formers).__name__}; expected a list of private keys"
        )
    return tuple(
        load_former_key(f"former_private_keys[{number}]", former, passphrase, mchid)
        for number, former in enumerate(formers)
    )


def parse_trust_anchors(trust_anchors: Iterable[PublicKeySource]) -> list[x509.Certificate]:
    """The certificates that fetched ones must have been issued by."""
    if isinstance(trust_anchors, (str, bytes)) or not isinstance(trust_anchors, Iterable):
        raise ConfigurationError(
            f"trust_anchors: came a {type(trust_anchors).__name__}; expected a list of certificates"
        )
    loaded: list[x509.Certificate] = []
    for number, source in enumerate(trust_anchors):
        setting = f"trust_anchors[{number}]"
        anchor = read_public(setting, source)
        if not isinstance(anchor, x509.Certificate):
            raise ConfigurationError(f"{setting}: came a bare public key; expected certificates")
        key_of(setting, anchor)
        loaded.append(anchor)
    return loaded


def parse_certificate_cache(cache: object) -> CertificateCache | None:
    """Where fetched certificates are kept."""
    if cache is None:
        return None
    if isinstance(cache, (str, os.PathLike)):
        from wechatpay_chain.stores import CertificateFile

        return CertificateFile(cache)
    if callable(getattr(cache, "load", None)) and callable(getattr(cache, "save", None)):
        return cast("CertificateCache", cache)
    raise ConfigurationError(
        f"certificate_cache: came a {type(cache).__name__}; expected a path, or an object with load() and save(answer)"
    )


def parse_origin(base_url: object, allow_http: bool) -> str:
    """Scheme, host and port of the service, without a trailing slash."""
    expected = "expected scheme and host only, such as 'https://api.mch.weixin.qq.com/'"
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url: came a {type(base_url).__name__}; {expected}")
    url = urlsplit("")
    try:
        url = urlsplit(base_url)
        scheme, host = split_origin(base_url)
    except ValueError:
        scheme, host = "", ""
    if "@" in url.netloc:
        raise ConfigurationError(f"base_url: it holds a user name or password; {expected}")
    if scheme not in ("https", "http") or url.path not in ("", "/") or url.query or url.fragment:
        # A path in front of the service's own would be sent and not signed.
        raise ConfigurationError(f"base_url: came {base_url!r}; {expected}")
    if scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigurationError(
            f"base_url: came {base_url!r}, which is not encrypted and not on this machine; use https, or allow_http=True "
            "for an egress proxy of your own"
        )
    return f"{scheme}://{url.netloc}"


def parse_origins(retry: Retry, first: str, allow_http: bool) -> tuple[str, ...]:
    """The domain that is called, and the second one where there is one.

    Source of the second: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
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


def parse_response_limit(most: object) -> int:
    """Reads how many bytes of a response may be read into memory."""
    if isinstance(most, int) and not isinstance(most, bool) and most > 0:
        return most
    raise ConfigurationError(f"max_response_bytes: came {most!r}; expected a whole number of bytes above 0")
