"""The checks of `doctor` on settings: each finding has a name, a level and what to do."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wechatpay_chain.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509

    from wechatpay_chain._keys.keyring import Merchant
    from wechatpay_chain._schemes.scheme import Scheme

__all__ = ["Finding", "Level", "check_files", "check_settings", "find_scheme"]

SOON = timedelta(days=30)
"""How long before its end a certificate is to be renewed."""

_PREFIX = "PUB_KEY_ID_"


class Level(str, Enum):
    """How bad a finding is."""

    FINE = "fine"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        name: the setting or the part that was checked.
        level: how bad it is.
        text: what was found, and what to do.
    """

    name: str
    level: Level
    text: str


def check_settings(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields what is found about the settings by themselves, without the network.

    Args:
        settings: the arguments of `Client`.
    """
    has_errors = False
    for check in (_check_identity, _check_apiv3_key, _check_keys, _check_route, _check_rest):
        if has_errors and check is _check_rest:
            return  # it would find the same again
        try:
            yield from check(settings)
        except ConfigurationError as error:
            has_errors = True
            name, _, rest = str(error).partition(": ")
            yield Finding(name, Level.ERROR, rest)


def check_files(files: Mapping[str, Path]) -> Iterator[Finding]:
    """Yields which of the files with secrets other users of the machine may read.

    Args:
        files: the files by the names of the settings that they have.
    """
    if os.name == "nt":
        return  # its permissions are lists, which a mode does not show
    for name, file in files.items():
        if not file.is_file():
            continue
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield Finding(
                "permissions",
                Level.WARNING,
                f"{name}: other users may read {str(file)!r}, mode {mode:o}; run: chmod 600 {file}",
            )
        else:
            yield Finding("permissions", Level.FINE, f"{name}: only you may read {str(file)!r}")


def find_scheme(settings: Mapping[str, Any]) -> tuple[Scheme, Merchant]:
    """Returns the scheme of the settings, and the own public key as far as it can be read.

    Args:
        settings: the arguments of `Client`.
    """
    from wechatpay_chain._identity import choose_scheme
    from wechatpay_chain._keys.keyring import NO_MERCHANT
    from wechatpay_chain._keys.loading import load_identity

    name = "brand_id" if settings.get("brand_id") else "mchid"
    try:
        identity = load_identity(
            "", settings.get("private_key", ""), settings.get("passphrase"), str(settings.get(name))
        )
        return choose_scheme(name, identity, None), ("", identity.key.public_key())
    except ConfigurationError:
        return choose_scheme(name, None, None), NO_MERCHANT  # the check of the identity finds what is wrong


def _check_identity(settings: Mapping[str, Any]) -> Iterator[Finding]:
    from wechatpay_chain._identity import choose_scheme, parse_identity, parse_merchant_serial
    from wechatpay_chain._keys.loading import load_identity
    from wechatpay_chain._schemes.by_key import type_of

    name, number = parse_identity(settings.get("mchid"), settings.get("brand_id"))
    passphrase = settings.get("passphrase")
    yield Finding(name, Level.FINE, number)
    source, serial = settings.get("private_key"), settings.get("serial", "")
    if not source:
        raise ConfigurationError("private_key: it is missing; expected the merchant's private key (apiclient_key.pem)")
    identity = load_identity("private_key", source, passphrase, number)
    scheme = choose_scheme(name, identity, None)
    kind = type_of(identity.key)
    yield Finding("private_key", Level.FINE, f"{kind.name}, {kind.count_bits(identity.key)} bits")
    serial_number, certificate = parse_merchant_serial(serial, number, identity, passphrase)
    if certificate is None:
        yield Finding(
            "serial",
            Level.WARNING,
            f"{serial_number}; it is not known whether it belongs to private_key; give the certificate in its place, "
            "apiclient_cert.pem",
        )
        return
    yield Finding("serial", Level.FINE, f"{serial_number}, whose certificate belongs to private_key")
    where = ", in the merchant platform, API安全" if scheme.has_certificates else " for the brand"
    yield _check_dates("certificate", certificate, f"apply for a new one{where}")


def _check_dates(name: str, certificate: x509.Certificate, cure: str) -> Finding:
    begins, ends, now = certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(timezone.utc)
    if now > ends:
        return Finding(name, Level.ERROR, f"it expired on {ends:%Y-%m-%d}; {cure}")
    if now < begins:
        return Finding(name, Level.ERROR, f"it is valid from {begins:%Y-%m-%d %H:%M} UTC on; is this clock right?")
    if now > ends - SOON:
        return Finding(name, Level.WARNING, f"it expires on {ends:%Y-%m-%d}; {cure}")
    return Finding(name, Level.FINE, f"valid until {ends:%Y-%m-%d}")


def _check_apiv3_key(settings: Mapping[str, Any]) -> Iterator[Finding]:
    from wechatpay_chain._schemes.apiv3_key import key_octets

    if (key := settings.get("apiv3_key")) is None:
        scheme, _ = find_scheme(settings)
        lack = (
            ", and platform certificates not be fetched; set it in the merchant platform, API安全"
            if scheme.has_certificates
            else "; expected the brand's API key (品牌API密钥)"
        )
        yield Finding("apiv3_key", Level.WARNING, f"it is missing; notifications cannot be decrypted{lack}")
        return
    key_octets("apiv3_key", key)
    yield Finding("apiv3_key", Level.FINE, "32 bytes")


def _check_keys(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Says with which of WeChat Pay's keys responses are verified."""
    from cryptography import x509

    from wechatpay_chain._config import parse_certs
    from wechatpay_chain._keys.loading import load_key_or_certificate

    certs: Mapping[str, Any] = settings.get("certs", {})
    scheme, merchant = find_scheme(settings)
    may_fetch = settings.get("apiv3_key") is not None and settings.get("fetch_certificates", True)
    fetches = may_fetch and scheme.has_certificates
    if not certs:
        if not scheme.has_certificates:
            raise ConfigurationError(
                "certs: there is no key of WeChat Pay's, and there are no certificates to fetch; add public_key_id and "
                "public_key, the pair that WeChat Pay has for this brand"
            )
        if not fetches:
            raise ConfigurationError(
                "certs: there is no key of WeChat Pay's, and no apiv3_key to fetch certificates with; add public_key_id and "
                "public_key, from the merchant platform, API安全"
            )
        yield Finding("certs", Level.FINE, "platform certificates, which are fetched with apiv3_key")
        return
    keyring = parse_certs(certs, merchant, scheme)
    if not fetches:
        keyring.require_preferred()
    for key_id, source in certs.items():
        loaded = load_key_or_certificate(f"certs[{key_id!r}]", source)
        if isinstance(loaded, x509.Certificate):
            yield _check_dates(f"certs[{key_id!r}]", loaded, "run: wechatpay-chain certificates --output DIR")
        else:
            yield Finding(f"certs[{key_id!r}]", Level.FINE, "a public key, which does not expire")
    kinds = {str(key_id).strip().upper().startswith(_PREFIX) for key_id in certs}
    modes = {(True,): "a public key", (False,): "platform certificates", (False, True): "a public key and certificates"}
    also = "; others are fetched with apiv3_key" if fetches else ""
    yield Finding("certs", Level.FINE, f"responses are verified with {modes[tuple(sorted(kinds))]}{also}")


def _check_route(settings: Mapping[str, Any]) -> Iterator[Finding]:
    from wechatpay_chain._config import FIRST, parse_origin
    from wechatpay_chain._transport.route import Route

    origin = parse_origin(settings.get("base_url", FIRST), settings.get("allow_http", False))
    yield Finding("base_url", Level.FINE, origin)
    route = Route(origin, settings.get("proxies"), settings.get("ca_bundle"))
    proxy = route.proxy(origin)
    yield Finding(
        "proxies", Level.FINE, f"{proxy.shown}, from {proxy.setting}" if proxy else "none, a direct connection"
    )
    trusted = str(route.ca_bundle) if route.ca_bundle else "those of the HTTP library"
    yield Finding("ca_bundle", Level.FINE, trusted)


def _check_rest(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Makes the client, which finds what no other check looks at."""
    from wechatpay_chain._client import Client

    with Client(**settings):
        yield Finding("client", Level.FINE, "it can be made with these settings")
