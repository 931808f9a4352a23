"""What each setting of a client may be. Whatever it may not be is a ConfigurationError that names it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TypeGuard, cast
from urllib.parse import urlsplit

from cryptography import x509

from wechatpay_chain.crypto import PublicKeySource, load_public, normalize_serial
from wechatpay_chain.errors import ArgumentError, ConfigurationError
from wechatpay_chain.http import Timeout, is_loopback, split_origin
from wechatpay_chain.keyring import PUBLIC_KEY_PREFIX, CertificateCache
from wechatpay_chain.middleware.retry import Retry

MOST_SECONDS = 10**6
"""What every system's timers can count."""

TOTAL = 60.0
"""Seconds that an attempt may take, where nothing else is said."""

FIRST, SECOND = "https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"
"""The service, and its other site."""

__all__ = [
    "certificates",
    "download_seconds",
    "kept_certificates",
    "merchant_number",
    "merchant_serial",
    "most_bytes",
    "origin",
    "origins",
    "seconds",
    "truth",
    "with_method",
]


def merchant_number(mchid: object) -> str:
    """The merchant number, a text of digits."""
    if isinstance(mchid, str) and re.fullmatch("[0-9]{1,32}", mchid):
        return mchid
    if not mchid:
        came = "it is missing"
    elif isinstance(mchid, str):
        came = f"came {mchid!r}" if len(mchid) < 32 else f"came a text of {len(mchid)} characters"
    else:
        came = f"came a {type(mchid).__name__}"
    raise ConfigurationError(f"mchid: {came}; expected the merchant number, a text of digits such as '1900007291'")


def merchant_serial(serial: object, mchid: str) -> str:
    """The serial number of the merchant API certificate, as the service writes it."""
    if not serial or isinstance(serial, bool) or not isinstance(serial, (str, int)):
        came = f"came a {type(serial).__name__}" if serial else "it is missing"
        raise ConfigurationError(f"serial: {came}; expected the serial number of the merchant API certificate")
    if isinstance(serial, str) and serial.startswith(PUBLIC_KEY_PREFIX):
        raise ConfigurationError(
            "serial: came the id of WeChat Pay's public key, which belongs in certs=; expected the serial number of the "
            "merchant API certificate"
        )
    if str(serial).strip() == mchid:
        raise ConfigurationError(
            "serial: came the merchant number; expected the serial number of the merchant API certificate"
        )
    return normalize_serial(serial)


def certificates(trust_anchors: Iterable[PublicKeySource]) -> list[x509.Certificate]:
    """The certificates that fetched ones must have been issued by."""
    if isinstance(trust_anchors, (str, bytes)) or not isinstance(trust_anchors, Iterable):
        raise ConfigurationError(
            f"trust_anchors: came a {type(trust_anchors).__name__}; expected a list of certificates"
        )
    loaded: list[x509.Certificate] = []
    for source in trust_anchors:
        try:
            anchor = load_public(source)
        except ConfigurationError as error:
            raise ConfigurationError(f"trust_anchors: {error}") from None
        if not isinstance(anchor, x509.Certificate):
            raise ConfigurationError("trust_anchors: came a bare public key; expected certificates")
        loaded.append(anchor)
    return loaded


def kept_certificates(cache: object) -> CertificateCache | None:
    """Where fetched certificates are kept."""
    if cache is None:
        return None
    if isinstance(cache, (str, os.PathLike)):
        from wechatpay_chain.files import CertificateFile

        return CertificateFile(cache)
    if callable(getattr(cache, "load", None)) and callable(getattr(cache, "save", None)):
        return cast("CertificateCache", cache)
    raise ConfigurationError(
        f"certificate_cache: came a {type(cache).__name__}; expected a path, or an object with load() and save(answer)"
    )


def origin(base_url: object, allow_http: bool) -> str:
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


def origins(retry: Retry, first: str, allow_http: bool) -> tuple[str, ...]:
    """The domain that is called, and the second one where there is one.

    Source of the second: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
    """
    if not isinstance(retry, Retry):
        raise ConfigurationError(f"retry: came a {type(retry).__name__}; expected Retry(…), or None to try once")
    if retry.second_url is None:
        return (first, SECOND) if first == FIRST else (first,)
    try:
        second = origin(retry.second_url, allow_http)
    except ConfigurationError as error:
        raise ConfigurationError(f"retry: {str(error).replace('base_url', 'second_url')}") from None
    return (first,) if second == first else (first, second)


def with_method(setting: str, value: object, method: str) -> None:
    """Raises a ConfigurationError unless a setting is None or has a method."""
    if value is not None and (isinstance(value, type) or not callable(getattr(value, method, None))):
        raise ConfigurationError(f"{setting}: came a {type(value).__name__}; expected an object with {method}(…)")


def seconds(timeout: object, error: type[ArgumentError | ConfigurationError]) -> Timeout:
    """Reads a timeout: one number, a pair of them, or three.

    Args:
        timeout: seconds to connect and to wait for bytes, and for the whole attempt. One number is for both of the first;
            where the third is left out, it is 60, or the sum of the first two where that is more.
        error: what is raised, the error of whoever gave the timeout.
    """
    figures = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(figures) in (2, 3) and all(map(_is_seconds, figures)):
        connect, read, *total = map(float, figures)
        return Timeout(connect, read, total[0] if total else max(TOTAL, connect + read))
    raise error(
        f"timeout: came {timeout!r}; expected seconds above 0 and up to a million, or (connect, read) or (connect, read, "
        "total) of them: to connect, to wait for the next bytes, and for the whole attempt"
    )


def download_seconds(timeout: object, default: Timeout) -> Timeout:
    """Reads the timeout of a download, which has no total unless it is asked for."""
    if timeout is None:
        return default._replace(total=None)
    is_asked_for = isinstance(timeout, tuple) and len(timeout) == 3
    parsed = seconds(timeout, ArgumentError)
    return parsed if is_asked_for else parsed._replace(total=None)


def truth(name: str, value: object, error: type[ArgumentError | ConfigurationError]) -> bool:
    """Reads what is True or False, and not just like one of them."""
    if isinstance(value, bool):
        return value
    raise error(f"{name}: came {value!r}; expected True or False")


def most_bytes(most: object) -> int:
    """Reads how many bytes of a response may be read into memory."""
    if isinstance(most, int) and not isinstance(most, bool) and most > 0:
        return most
    raise ConfigurationError(f"max_response_bytes: came {most!r}; expected a whole number of bytes above 0")


def _is_seconds(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MOST_SECONDS
