"""Believes an answer of status 2xx only when WeChat Pay's signature proves it.

There is no way around this file: no setting, header, host or environment variable. What is not signed, or is signed in
another way, is listed below by exact method and path.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time

from wechatpay_chain import crypto
from wechatpay_chain.errors import Reason, SignatureError
from wechatpay_chain.http import Flow, Middleware, Request, Response, response_message
from wechatpay_chain.keyring import Keyring

__all__ = ["check", "verify"]

WINDOW = 300
"""Seconds that an answer's clock may be off. Sources differ on exactly 300; it is refused, which is the safe side."""

# Downloads of files, which the service does not sign: https://pay.weixin.qq.com/doc/v3/merchant/4013053420
# Each `{}` is one path segment, in which no server could find its way up.
_UNSIGNED = (
    ("GET", "/v3/billdownload/file"),
    ("GET", "/v3/merchant-service/images/{}"),
    ("GET", "/v3/global/merchant-service/images/{}"),
    ("GET", "/v3/transferdownload/elecvoucherfile"),
    ("GET", "/v3/transferdownload/signfile"),
    ("GET", "/v3/new-tax-control-fapiao/download"),
)

# Overseas statements: what is signed is the SHA-1 of the text, which the header carries.
_DIGEST_SIGNED = (
    ("GET", "/hk/v3/statements"),
    ("GET", "/v3/global/statements"),
)
_DIGEST_HEADER = "Wechatpay-Statement-Sha1"


def _matcher(operations: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    return re.compile(
        "|".join(re.escape(f"{method} {path}").replace(r"\{\}", r"(?![^/]*\.\.)[^/]+") for method, path in operations)
    )


_UNSIGNED_OPERATION = _matcher(_UNSIGNED)
_DIGEST_SIGNED_OPERATION = _matcher(_DIGEST_SIGNED)
_SECONDS = re.compile("[0-9]{1,12}")
_PLAIN = re.compile("[!-~]+")


def verify(keyring: Keyring) -> Middleware:
    """Lets a response pass that is proven, or that is an error answer, which is raised as such further out.

    Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for public keys,
    https://pay.weixin.qq.com/doc/v3/merchant/4013053420 for certificates and for the probes that begin with
    WECHATPAY/SIGNTEST/, which are nothing but bad signatures here.

    Raises:
        SignatureError: in the flow; see `Reason` for the causes.
    """

    def verified(request: Request) -> Flow:
        response: Response = yield request
        if response.ok:
            check(response, keyring)
        return response

    return verified


def check(response: Response, keyring: Keyring) -> None:
    """Raises a SignatureError unless a key of the keyring proves a 2xx answer."""
    request, headers = response.request, response.headers
    operation = f"{request.method} {request.target.partition('?')[0]}"
    if _UNSIGNED_OPERATION.fullmatch(operation):
        return
    timestamp = _required("Wechatpay-Timestamp", response)
    nonce = _required("Wechatpay-Nonce", response)
    signature = _required("Wechatpay-Signature", response)
    serial = _required("Wechatpay-Serial", response)
    if not _SECONDS.fullmatch(timestamp):
        raise _refused(response, Reason.BAD_TIMESTAMP, "its Wechatpay-Timestamp is not a number of seconds")
    skew = int(timestamp) - int(time.time())
    if abs(skew) >= WINDOW:
        raise _refused(
            response, Reason.CLOCK_SKEW, f"its timestamp is {skew:+} seconds off this machine's clock; check the clock"
        )
    key = keyring.find(serial)
    if key is None:
        raise _refused(
            response,
            Reason.UNKNOWN_SERIAL,
            f"it names the key {serial!r}, and the client has {keyring!r}; add that key to certs="
            + (f" (fetching certificates failed: {keyring.trouble})" if keyring.trouble else ""),
        )
    body = response.content
    digest = headers.get(_DIGEST_HEADER) if _DIGEST_SIGNED_OPERATION.fullmatch(operation) else None
    # What is no plain text could move the borders between the lines of the message.
    plain = _PLAIN.fullmatch(nonce) and (digest is None or _PLAIN.fullmatch(digest))
    if digest is not None and plain:
        body = f'{{"sha1":"{digest}"}}'.encode()
    if not plain or not crypto.verify(response_message(timestamp, nonce, body), signature, key):
        raise _refused(response, Reason.BAD_SIGNATURE, "its signature does not fit its content")
    if digest is not None and not _is_sha1(response.content, digest):
        raise _refused(response, Reason.DIGEST_MISMATCH, "its text does not have the SHA-1 that was signed")


def _required(name: str, response: Response) -> str:
    value = response.headers.get(name, "")
    if not value:
        raise _refused(response, Reason.MISSING_HEADER, f"it has no {name} header; does a proxy strip it?")
    return value


def _is_sha1(content: bytes, digest: str) -> bool:
    actual = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(actual.encode(), digest.lower().encode())


def _refused(response: Response, reason: Reason, why: str) -> SignatureError:
    request = response.request
    return SignatureError(
        f"{request.method} {request.template}: the answer {response.status_code} is not proven to be WeChat Pay's: "
        f"{why}. What the request did is unknown (request id {response.request_id!r})",
        reason,
        response,
    )
