"""Verifies the signature of a 2xx response of APIv3.

Nothing switches this off: no setting, header, host or environment variable. The responses that the service does not sign, or
signs in another way, are listed in `file_operations` by exact method and path.
"""

from __future__ import annotations

import hashlib
import hmac
import logging

from wechatpay_chain._catalogue.file_operations import Signed, what_is_signed
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.verification import VerificationFailure, check_signature
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.protocols import Verifier
from wechatpay_chain._messages.redaction import escape
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._schemes.digest import STATEMENT_DIGEST
from wechatpay_chain.errors import Reason, SignatureError

__all__ = ["check_response"]

logger = logging.getLogger("wechatpay_chain")


def check_response(request: Request, response: Response, keyring: Keyring, verifier: Verifier | None) -> Steps[None]:
    """Checks that a 2xx response is verified. The request decides how; the response cannot change it.

    Args:
        request: the request.
        response: its response.
        keyring: the keys of WeChat Pay.
        verifier: verifies in place of the keyring; None to use the keyring.

    Raises:
        SignatureError: it is not verified; see `Reason` for the causes.
    """
    sink = request._carried.sink
    headers, body = response.headers, response.content
    signed = what_is_signed(request.method, request.target)
    if signed is Signed.NOTHING:
        return
    if sink is not None and sink.has_digest:
        return  # the digest came from a verified response, and the sink discards a file with another digest
    digest = headers.get(STATEMENT_DIGEST) if signed is Signed.DIGEST else None
    if digest is not None:
        body = f'{{"sha1":"{digest}"}}'.encode()
    if sink is not None and digest is None:
        # The file is not here to be verified, and a signature of an empty body would fit any file.
        failure: VerificationFailure | None = VerificationFailure(
            Reason.DIGEST_MISMATCH, "no digest was announced for the file, nor came with it"
        )
    else:
        failure = yield from check_signature(headers, body, keyring, verifier)
    if sink is None and failure is None and digest is not None and not _is_sha1(response.content, digest):
        failure = VerificationFailure(Reason.DIGEST_MISMATCH, "its text does not have the SHA-1 that was signed")
    if failure is None:
        return
    if failure.reason is Reason.VERIFIER_FAILED:
        logger.warning(failure.why)
    unknown = "" if request.method == "GET" else ". It is unknown what the request did"
    raise SignatureError(
        f"{request.method} {request.template}: the signature of the response {response.status_code} is not verified: "
        f"{failure.why}{unknown} (request id '{escape(response.request_id)}')",
        failure.reason,
        response,
    )


def _is_sha1(content: bytes, digest: str) -> bool:
    actual = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(actual.encode(), digest.lower().encode())
