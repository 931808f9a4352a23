"""Parses and checks every setting of a client. The error for a wrong setting names the setting."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast
from urllib.parse import urlsplit

from cryptography import x509

from wechatpay_chain._chain.v2_settings import V2Settings
from wechatpay_chain._identity import choose_scheme, parse_identity, parse_merchant_serial
from wechatpay_chain._keys.certificate_list import CertificateList
from wechatpay_chain._keys.client_certificate import ClientCertificate, load_client_certificate
from wechatpay_chain._keys.keyring import EXPECTED, Keyring, Merchant
from wechatpay_chain._keys.loading import (
    PrivateKeySource,
    PublicKeySource,
    load_former_key,
    load_identity,
    load_key_or_certificate,
)
from wechatpay_chain._keys.parsing import extract_public_key
from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._keys.signing import Credentials, refuse_to_sign, sign_with_key, sign_with_signer
from wechatpay_chain._messages.arguments import parse_bool, parse_timeout
from wechatpay_chain._messages.protocols import CertificateCache, NonceStore, Signer, Verifier
from wechatpay_chain._messages.request import Timeout
from wechatpay_chain._messages.urls import is_loopback, normalize_origin, split_origin
from wechatpay_chain._pipeline.retry import Retry
from wechatpay_chain._schemes.apiv2 import V2Keys
from wechatpay_chain._schemes.apiv3_key import key_octets
from wechatpay_chain._schemes.scheme import PrivateKey, Scheme
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ArgumentError, ConfigurationError

T = TypeVar("T")

FIRST, SECOND = "https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"
"""The origin of the service, and the origin of its second site."""

__all__ = [
    "Config",
    "parse_config",
    "parse_origin",
    "parse_origins",
]


@dataclass(frozen=True, repr=False)
class Config:
    """The checked settings of a client. See `Client` for their meaning."""

    mchid: str
    brand_id: str
    credentials: Credentials
    private_keys: Sequence[PerProcessKey[PrivateKey]]
    keyring: Keyring
    certificates: CertificateList
    apiv3_key: bytes | None
    certificate: ClientCertificate | None
    v2: V2Settings
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
    brand_id: object,
    serial: object,
    private_key: PrivateKeySource,
    certs: Mapping[str, PublicKeySource],
    apiv3_key: object,
    apiv2_key: object,
    former_apiv2_keys: object,
    workwx_secret: object,
    certificate: object,
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
    identity_name, number = parse_identity(mchid, brand_id)
    check_method("signer", signer, "sign")
    check_method("verifier", verifier, "verify")
    check_method("seen", seen, "add")
    if not private_key and signer is None and verifier is None:
        raise ConfigurationError("private_key: it is missing; expected the merchant's private key (apiclient_key.pem)")
    identity = load_identity("private_key", private_key, passphrase, number) if private_key else None
    merchant_serial, own_certificate = parse_merchant_serial(serial, number, identity, passphrase)
    scheme = choose_scheme(identity_name, identity, own_certificate)
    if not scheme.has_apiv2:
        refuse_apiv2(
            scheme,
            apiv2_key=apiv2_key,
            former_apiv2_keys=former_apiv2_keys,
            workwx_secret=workwx_secret,
            certificate=certificate,
        )
    merchant = merchant_serial, identity.key.public_key() if identity else None
    former_keys = load_former_keys(former_private_keys, passphrase, number)
    private_keys = tuple(PerProcessKey(key) for key in ((identity.key, *former_keys) if identity else former_keys))
    sign = (
        sign_with_signer(signer) if signer else sign_with_key(private_keys[0], scheme) if identity else refuse_to_sign
    )
    key = None if apiv3_key is None else key_octets("apiv3_key", apiv3_key)
    may_fetch = _parse_like_argument(parse_bool, "fetch_certificates", fetch_certificates)
    fetches = may_fetch and scheme.has_certificates
    if verifier is None and not certs and (key is None or not fetches):
        why = (
            "fetch_certificates is False"
            if not may_fetch
            else "no apiv3_key to fetch certificates with"
            if fetches
            else "there are no certificates to fetch"
        )
        raise ConfigurationError(f"certs: none came, and {why}; {EXPECTED}")
    v2_keys = V2Keys(parse_apiv2_keys(apiv2_key, former_apiv2_keys), parse_workwx_secret(workwx_secret))
    tls_certificate = load_client_certificate(certificate, identity, passphrase, number)
    seconds = _parse_like_argument(parse_timeout, timeout)
    policy = Retry(attempts=1) if retry is None else retry
    origin = parse_origin(base_url, allow_http)
    return Config(
        mchid=number if identity_name == "mchid" else "",
        brand_id=number if identity_name == "brand_id" else "",
        credentials=Credentials(number, merchant_serial, sign, scheme),
        private_keys=private_keys,
        keyring=parse_certs(certs, merchant, scheme),
        certificates=CertificateList(key, parse_trust_anchors(trust_anchors), merchant),
        apiv3_key=key,
        certificate=tls_certificate,
        v2=V2Settings(
            keys=v2_keys,
            mchid=number,
            origin=origin,
            obeys_hosts=origin in (FIRST, SECOND),
            timeout=seconds,
            has_certificate=tls_certificate is not None,
        ),
        fetches=key is not None and fetches,
        verifier=verifier,
        certificate_cache=parse_certificate_cache(certificate_cache),
        seen=seen,
        origin=origin,
        origins=parse_origins(policy, origin, allow_http),
        timeout=seconds,
        retry=policy,
        response_limit=parse_response_limit(max_response_bytes),
    )


def _parse_like_argument(parse: Callable[..., T], *arguments: object) -> T:
    """Parses a setting that is also an argument of calls, with the parser of the argument."""
    try:
        return parse(*arguments)
    except ArgumentError as error:
        raise ConfigurationError(*error.args) from None


def parse_certs(certs: Mapping[str, PublicKeySource] | None, merchant: Merchant, scheme: Scheme) -> Keyring:
    """Returns the keys of WeChat Pay.

    Raises:
        ConfigurationError: a key cannot be used; or, where WeChat Pay has no certificates, one came, or no public key.
    """
    keyring = Keyring({} if certs is None else certs, merchant, scheme)
    if not scheme.has_certificates and keyring.preferred_id is None:
        raise ConfigurationError(
            f"certs: no {scheme.keys.name} key came, and every request names a public key; expected that of the brand by its id, such as "
            "{'PUB_KEY_ID_0114…': Path('pub_key.pem')}"
        )
    if not scheme.has_certificates and not keyring.has_only_public_keys:
        raise ConfigurationError("certs: came a certificate; WeChat Pay has only public keys (PUB_KEY_ID_…) for brands")
    return keyring


def refuse_apiv2(scheme: Scheme, **settings: object) -> None:
    """Raises a ConfigurationError if a setting of APIv2 came for a customer who does not have it."""
    for name, value in settings.items():
        if value:
            raise ConfigurationError(
                f"{name}: it belongs to APIv2, which a client with {scheme.identity}= does not have; leave it out"
            )


def load_former_keys(former_keys: object, passphrase: str | bytes | None, mchid: str) -> tuple[PrivateKey, ...]:
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


def parse_apiv2_keys(key: object, former_keys: object) -> tuple[bytes, ...]:
    """Returns the APIv2 keys, the current one first; nothing if there is none.

    Raises:
        ConfigurationError: one of them is not an APIv2 key, or there are only former ones.
    """
    if isinstance(former_keys, (str, bytes)) or not isinstance(former_keys, Iterable):
        raise ConfigurationError(f"former_apiv2_keys: came a {type(former_keys).__name__}; expected a list of keys")
    former = [key_octets(f"former_apiv2_keys[{number}]", each) for number, each in enumerate(former_keys)]
    if key is None and former:
        raise ConfigurationError("apiv2_key: it is missing, and former_apiv2_keys came; expected the current key")
    return () if key is None else (key_octets("apiv2_key", key), *former)


def parse_workwx_secret(secret: object) -> str:
    """Returns the secret of an application of enterprise WeChat; an empty text if there is none.

    Raises:
        ConfigurationError: it is no text, or has characters that such a secret does not have.
    """
    if secret is None:
        return ""
    if isinstance(secret, str) and re.fullmatch("[!-~]+", secret):
        return secret
    came = "a text with other characters, or none" if isinstance(secret, str) else f"a {type(secret).__name__}"
    raise ConfigurationError(f"workwx_secret: came {came}; expected the secret of the application, letters and digits")


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
        from wechatpay_chain._stores.certificate_file import CertificateFile

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
    return normalize_origin(base_url)


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
