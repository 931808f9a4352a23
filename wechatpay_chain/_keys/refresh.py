"""Fetches platform certificates when a keyring needs them: before the first call, for an unknown serial number, every 12 hours.

One caller downloads, and all others wait for it (single flight). A failed download is not an error of the call that needed
it, and the keys that are there stay. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from functools import partial
from typing import NamedTuple

from wechatpay_chain._catalogue.certificates import certificates_path, lists_certificates
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._keys.certificate_list import CertificateList
from wechatpay_chain._keys.keyring import PUBLIC_KEY_PREFIX, Keyring
from wechatpay_chain._keys.verification import check_signature
from wechatpay_chain._messages.effects import Flow, Invoke, Steps, Wait
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.protocols import CertificateCache
from wechatpay_chain._messages.request import Request, Timeout
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import (
    APIError,
    ConfigurationError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    Reason,
    ServerError,
    TransportError,
    WeChatPayError,
)

__all__ = ["Refresh"]

logger = logging.getLogger("wechatpay_chain")

REFRESH_EVERY = 12 * 3600
"""Seconds after which certificates are fetched again: https://pay.weixin.qq.com/doc/v3/merchant/4012551764"""

REFRESH_BEFORE_END = 24 * 3600
"""Seconds before a certificate ends from which a newer one is fetched."""

CACHED_FOR = 3600
"""Seconds after which certificates from the cache, whose age is unknown, are fetched again."""

BACKOFF = 60
"""Seconds between two downloads, however many responses name an unknown serial number."""

BACKOFF_AFTER_OUTAGE = 5
"""The same, for a call that has no key yet, if the service could not be reached."""

ABANDONED_AFTER = 90
"""Seconds after which a refresh that never finished (its event loop was closed, say) is considered abandoned."""


class _Download(NamedTuple):
    future: Future[None]
    began: float


class Refresh:
    """Keeps the keyring of a client up to date.

    Args:
        keyring: the keyring.
        certificates: reads the list of certificates.
        cache: keeps fetched certificates for the next process.
        timeout: of a download, whatever the timeout of the call is.
        fetch: sends the request for the certificates, and raises the error of a response that is not 2xx.
        fetches: whether certificates may be fetched.
        verifies: whether responses are verified with the keyring. If not, a `verifier` does it.

    Raises:
        ConfigurationError: there is no valid key, and none could be fetched.
    """

    def __init__(
        self,
        keyring: Keyring,
        certificates: CertificateList,
        cache: CertificateCache | None,
        timeout: Timeout,
        fetch: Callable[[Request], Flow],
        *,
        fetches: bool,
        verifies: bool,
    ) -> None:
        if verifies and not fetches:
            keyring.require_valid()
        self._keyring, self._certificates, self._cache = keyring, certificates, cache
        self._timeout, self._fetch = timeout, fetch
        self._fetches, self._verifies = fetches, verifies
        # By process: a child does not wait for a download of its parent.
        self._downloads: dict[object, _Download] = {}
        self._tried = float("-inf")
        self._clock_when_tried = _clock_offset()
        self._adopted = time.monotonic() if keyring.has_given else float("-inf")

    def needs_first_key(self, request: Request) -> bool:
        """Tells whether a request must not be sent yet: there is no key to verify its response with, and one can be fetched."""
        if self._keyring.preferred is not None or not (self._fetches and self._verifies):
            return False
        return not lists_certificates(request.method, request.target)

    def fetch_first_key(self, request: Request) -> Steps[None]:
        """Fetches certificates for a call that cannot be sent without a key.

        Args:
            request: the call, which has not been sent.

        Raises:
            TransportError, ConfigurationError, APIError: there is still no key. `sent` is False.
        """
        yield from self.refresh(None, request)
        if self._keyring.preferred is None:
            error = self._no_key(request)
            error.request = request
            raise error

    def refresh(self, key_id: str | None, request: Request) -> Steps[None]:
        """Fetches certificates if that is needed for a key.

        Args:
            key_id: the key that is needed; None if any will do.
            request: the request that needs it, which says where to fetch them.
        """
        while self.is_needed(key_id):
            download, is_ours = self._begin(key_id)
            if download is None:
                return
            if is_ours:
                yield from self._download(key_id, download, request)
                return
            waited = yield Wait(download, self._timeout.connect + self._timeout.read)
            if waited is None:  # the download needs this very thread to go on
                self._keyring.failure = yield from self._fetch_and_adopt(request)
            if not waited:
                return

    def is_needed(self, key_id: str | None) -> bool:
        """Tells whether certificates should be fetched before a response is verified with this key; None is any key."""
        keyring = self._keyring
        is_for_us = self._verifies or key_id is None
        if not self._fetches or not (is_for_us or keyring.has_fetched):
            return False
        if key_id is None:
            is_unknown = keyring.preferred is None
        else:
            is_serial = key_id != "" and not key_id.startswith(PUBLIC_KEY_PREFIX)
            is_unknown = is_for_us and is_serial and keyring.find(key_id) is None
        if keyring.has_only_public_keys:
            # A merchant that moves to the public key must stop asking for certificates at some time:
            # https://pay.weixin.qq.com/doc/v3/merchant/4012154180
            return is_unknown
        is_old = time.monotonic() - self._adopted >= REFRESH_EVERY
        return is_unknown or is_old or keyring.fetched_until - time.time() < REFRESH_BEFORE_END

    def adopt(self, response: Response) -> Steps[None]:
        """Takes the certificates in a response to the caller's own request for them, before it is verified."""
        if self._fetches:
            self._keyring.failure = yield from self._adopt(response)

    def _begin(self, key_id: str | None) -> tuple[Future[None] | None, bool]:
        """Returns the download to wait for, and whether the caller has to do it; None during the backoff."""
        ours = _Download(Future(), time.monotonic())
        ours.future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it for the others
        # setdefault decides between threads without a lock, which a fork could leave locked in the child.
        download = self._downloads.setdefault(current_process(), ours)
        if download is not ours:
            if time.monotonic() - download.began < ABANDONED_AFTER:
                return download.future, False
            self._end(download.future)
            return self._begin(key_id)
        if self._seconds_to_next_try(key_id) > 0:
            self._end(ours.future)
            return None, False
        self._clock_when_tried, self._tried = _clock_offset(), time.monotonic()
        return ours.future, True

    def _end(self, download: Future[None]) -> None:
        current = self._downloads.get(current_process())
        if current is not None and current.future is download:
            self._downloads.pop(current_process(), None)
        with suppress(InvalidStateError):
            download.set_result(None)

    def _seconds_to_next_try(self, key_id: str | None) -> float:
        if abs(_clock_offset() - self._clock_when_tried) > 1:
            return 0.0  # somebody has corrected this machine's clock, which may have been all that was wrong
        # Only a call that waits for its first key tries again soon: no forged serial number can cause that.
        is_outage = isinstance(self._keyring.failure, TransportError)
        backoff = BACKOFF_AFTER_OUTAGE if key_id is None and is_outage else BACKOFF
        return self._tried + backoff - time.monotonic()

    def _download(self, key_id: str | None, download: Future[None], request: Request) -> Steps[None]:
        is_interrupted = True
        try:
            if self._keyring.has_fetched or not (yield from self._load_cached(key_id)):
                self._keyring.failure = yield from self._fetch_and_adopt(request)
            else:
                self._keyring.failure = None
            is_interrupted = False
        finally:
            if is_interrupted:
                self._tried = float("-inf")
            self._end(download)

    def _load_cached(self, key_id: str | None) -> Steps[bool]:
        """Adopts the cached certificates if they have the key. A cache that fails counts as empty."""
        if self._cache is None:
            return False
        try:
            content = yield Invoke(self._cache.load)
            cached = Keyring(self._certificates.read(content)) if content is not None else None
        except Exception as error:
            logger.warning("the certificate cache cannot be used: %s: %s", type(error).__name__, error)
            return False
        if cached is None or (key_id is not None and cached.find(key_id) is None):
            return False
        self._keyring.adopt(cached)
        self._adopted = time.monotonic() - (REFRESH_EVERY - CACHED_FOR)
        return True

    def _fetch_and_adopt(self, request: Request) -> Steps[WeChatPayError | None]:
        """Fetches certificates and adopts them, or returns why that failed."""
        try:
            response = yield from self._fetch(_certificates_request(request, self._timeout))
        except WeChatPayError as error:
            failure = _explain(error)
            logger.warning("the platform certificates could not be fetched: %s", failure)
            return failure
        return (yield from self._adopt(response))

    def _adopt(self, response: Response) -> Steps[WeChatPayError | None]:
        """Adopts the certificates in a response, or returns why that failed."""
        try:
            fetched = Keyring(self._certificates.read(response.content))
            # The response may be signed with a public key that was given, or with a certificate of the list.
            is_known = self._keyring.find(response.headers.get("Wechatpay-Serial", "")) is not None
            failed = yield from check_signature(
                response.headers, response.content, self._keyring if is_known else fetched
            )
            if failed is not None:
                clock = "; correct this machine's clock" if failed.reason is Reason.CLOCK_SKEW else ""
                raise TransportError(
                    f"the list of platform certificates could not be verified: {failed.why}{clock}", sent=False
                )
        except WeChatPayError as error:
            logger.warning("the platform certificates could not be refreshed: %s", error)
            return error
        self._keyring.adopt(fetched)
        self._adopted = time.monotonic()
        if self._cache is not None:
            try:
                yield Invoke(partial(self._cache.save, response.content))
            except Exception as error:
                logger.warning("the certificate cache cannot be written: %s: %s", type(error).__name__, error)
        return None

    def _no_key(self, request: Request) -> WeChatPayError:
        """Returns the error of a call that needs a key where there is none. Nothing of the call was sent."""
        call = f"{request.method} {request.template}"
        if not self._fetches:
            return ConfigurationError(f"certs: {call} needs a key of WeChat Pay, and there is none; add its public key")
        failure = self._keyring.failure or TransportError("no platform certificate was fetched yet", sent=False)
        seconds = max(self._seconds_to_next_try(None), 0)
        error = copy(failure)
        error.args = (
            f"Nothing was sent of {call}, for it needs a key of WeChat Pay. {failure}. The certificates are fetched again "
            f"after {seconds:.0f} s at the earliest",
            *failure.args[1:],
        )
        error.sent, error.attempts = False, ()
        return error


def _certificates_request(request: Request, timeout: Timeout) -> Request:
    """Returns the request for the certificates of the service that another request goes to.

    It names no key in Wechatpay-Serial, so that a certificate signs the response.
    """
    path = certificates_path(request.origin)
    kept = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
    headers = Headers({name: request.headers[name] for name in kept if name in request.headers})
    return Request("GET", path[1:], request.origin, path, headers, b"", timeout, idempotent=True)


def _explain(error: WeChatPayError) -> WeChatPayError:
    """Returns what an error of the request for certificates means for the call that needs one."""
    if isinstance(error, (NotFoundError, ForbiddenError)):
        return ConfigurationError(
            f"certs: there are no platform certificates for this merchant to fetch, as for all new ones since the end of 2024 "
            f"({error}); give WeChat Pay's public key from the merchant platform (账户中心 > API安全), "
            "certs={'PUB_KEY_ID_…': Path('pub_key.pem')}"
        )
    if isinstance(error, APIError) and isinstance(error, (RateLimitError, ServerError)):
        return TransportError(f"the platform certificates could not be fetched: {error}", sent=False)
    return error


def _clock_offset() -> float:
    """Returns a number that changes only when somebody sets this machine's clock."""
    return time.time() - time.monotonic()
