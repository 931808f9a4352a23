"""Believes a response of status 2xx only when WeChat Pay's signature proves it.

There is no way around this file: no setting, header, host or environment variable. What is not signed, or is signed in
another way, is listed in `file_operations` by exact method and path.
"""

from __future__ import annotations

import hashlib
import hmac
import logging

from wechatpay_chain._catalogue.file_operations import is_digest_signed, is_unsigned
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.verification import Doubt, find_doubt
from wechatpay_chain._messages.effects import Flow, Middleware, Steps
from wechatpay_chain._messages.protocols import Verifier
from wechatpay_chain._messages.redaction import escape
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._schemes.digest import STATEMENT_DIGEST
from wechatpay_chain.errors import Reason, SignatureError

__all__ = ["check", "verify"]

logger = logging.getLogger("wechatpay_chain")


def verify(keyring: Keyring, verifier: Verifier | None = None) -> Middleware:
    """Lets a response pass that is proven, or that is an error response, which is raised as such further out.

    Args:
        keyring: the keys to believe.
        verifier: judges in place of the keyring, where there is one.

    Raises:
        SignatureError: in the flow; see `Reason` for the causes.
    """

    def verified(request: Request) -> Flow:
        response: Response = yield request
        if response.ok:
            yield from check(request, response, keyring, verifier)
        return response

    return verified


def check(request: Request, response: Response, keyring: Keyring, verifier: Verifier | None = None) -> Steps[None]:
    """Raises a SignatureError unless a key of the keyring, or the verifier, proves a 2xx response to a request."""
    headers, body = response.headers, response.content
    if is_unsigned(request.method, request.target):
        return
    if request.sink is not None and request.sink.has_digest:
        return  # a proven response told the digest, and nothing is kept that does not have it
    digest = headers.get(STATEMENT_DIGEST) if is_digest_signed(request.method, request.target) else None
    if digest is not None:
        body = f'{{"sha1":"{digest}"}}'.encode()
    if request.sink is not None and digest is None:
        # What went into a sink is not here to be verified; a signature of no body would prove any.
        doubt: Doubt | None = Doubt(Reason.DIGEST_MISMATCH, "no digest was announced for the file, nor came with it")
    else:
        doubt = yield from find_doubt(headers, body, keyring, verifier)
    held = request.sink is None  # a sink compares the digest itself
    if held and doubt is None and digest is not None and not _is_sha1(response.content, digest):
        doubt = Doubt(Reason.DIGEST_MISMATCH, "its text does not have the SHA-1 that was signed")
    if doubt is not None:
        if doubt.reason is Reason.VERIFIER_FAILED:
            logger.warning(doubt.why)
        raise SignatureError(
            f"{request.method} {request.template}: the response {response.status_code} is not proven to be WeChat Pay's: "
            f"{doubt.why}{'' if request.method == 'GET' else '. What the request did is unknown'} "
            f"(request id '{escape(response.request_id)}')",
            doubt.reason,
            response,
        )


def _is_sha1(content: bytes, digest: str) -> bool:
    actual = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(actual.encode(), digest.lower().encode())
