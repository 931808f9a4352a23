"""Fetches platform certificates: before the first call, for an unknown serial number, and every 12 hours.

One caller downloads, and all others wait for it (single flight). A failed download does not fail the call that needed
it, and the keyring keeps its keys. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from functools import partial
from typing import NamedTuple, cast

from wechatpay_chain._catalogue.certificates import certificates_target, lists_certificates
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._keys.certificate_list import CertificateList
from wechatpay_chain._keys.keyring import PUBLIC_KEY_PREFIX, Keyring
from wechatpay_chain._keys.verification import check_signature
from wechatpay_chain._messages.effects import Flow, Invoke, Sleep, Steps, Wait
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.protocols import CertificateCache, SharedCertificateCache
from wechatpay_chain._messages.request import Request, Timeout
from wechatpay_chain._messages.response import Response
from wechatpay_chain._schemes.scheme import PublicKey
from wechatpay_chain.errors import (
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

REFRESH_BEFORE_EXPIRY = 24 * 3600
"""Seconds before the expiry of a certificate at which a newer one is fetched."""

CACHE_TTL = 3600
"""Seconds after which certificates from the cache, whose age is unknown, are fetched again."""

BACKOFF = 60
"""The minimum number of seconds between two downloads, even if many responses name unknown serial numbers."""

BACKOFF_AFTER_OUTAGE = 5
"""The minimum for a call that has no key yet, after the service could not be reached, in seconds."""

CLAIM = 10
"""Seconds for which one process may download for all that share a cache."""

OTHERS_WAIT = 5
"""Seconds for which the other processes wait for what it saves. Then they download too."""

LOOK_EVERY = 0.2
"""Seconds between two looks at a shared cache."""

ABANDONED_AFTER = 90
"""Seconds after which a refresh that never finished (its event loop was closed, say) is considered abandoned."""


class _Download(NamedTuple):
    future: Future[None]
    started: float


class Refresh:
    """Keeps the keyring of a client up to date.

    Args:
        keyring: the keyring.
        certificates: decrypts and checks the list of certificates.
        cache: stores fetched certificates for the next process; None for no cache.
        timeout: the timeout of a download, which is independent of the timeout of the call.
        fetch: sends the request for the certificates, with or without retries, and raises an error if the response is not 2xx.
        fetches: True if certificates may be fetched.
        verifies: True if the keyring verifies responses, False if the user's `verifier` does.

    Raises:
        ConfigurationError: no configured key is valid now and of the type of the customer's own keys, and fetching is not allowed.
    """

    def __init__(
        self,
        keyring: Keyring,
        certificates: CertificateList,
        cache: CertificateCache | None,
        timeout: Timeout,
        fetch: Callable[[Request, bool], Flow],
        *,
        fetches: bool,
        verifies: bool,
    ) -> None:
        if verifies and not fetches:
            keyring.require_preferred()
        self._keyring, self._certificates, self._cache = keyring, certificates, cache
        is_shared = all(callable(getattr(cache, name, None)) for name in ("age", "claim"))
        self._shared = cast("SharedCertificateCache", cache) if is_shared else None
        self._timeout, self._fetch = timeout, fetch
        self._fetches, self._verifies = fetches, verifies
        # By process: a forked child must not wait for a download of its parent.
        self._downloads: dict[object, _Download] = {}
        self._last_try = float("-inf")
        self._clock_at_last_try = _clock_offset()
        self._adopted = time.monotonic() if keyring.has_configured else float("-inf")
        self._saved = float("-inf")  # when the certificates that are in the keyring were saved in a shared cache
        self._claim: tuple[object, float] = None, 0.0  # which process has claimed the download, and until when

    @property
    def certificates_query(self) -> str:
        """The query of the request that lists the certificates; empty for none."""
        return self._keyring.scheme.certificates_query

    def needs_first_key(self, request: Request) -> bool:
        """Returns True if a key must be fetched before the request is sent, so that its response can be verified."""
        if self._keyring.preferred_id is not None or not (self._fetches and self._verifies):
            return False
        return not lists_certificates(request.method, request.target)

    def fetch_first_key(self, request: Request) -> Steps[tuple[str, PublicKey]]:
        """Fetches certificates before a request that needs a key is sent. Returns the preferred key with its id.

        Args:
            request: the request, which has not been sent.

        Raises:
            TransportError, ConfigurationError, APIError: there is still no key. `sent` is False.
        """
        yield from self.refresh(None, request)
        preferred = self._keyring.preferred
        if preferred is None:
            error = self._explain_missing_key(request)
            error.request = request
            raise error
        return preferred

    def refresh(self, key_id: str | None, request: Request, *, retries: bool = True) -> Steps[None]:
        """Fetches certificates if they are needed; returns after the download of another caller if there is one.

        Args:
            key_id: the id of the key that is needed; None for any key.
            request: the request that needs the key; the certificates are fetched from its origin.
            retries: whether a download that fails is retried.
        """
        while self.is_needed(key_id):
            download, is_ours = self._join_or_start(key_id)
            if download is None:
                return
            if is_ours:
                yield from self._download(key_id, download, request, retries)
                return
            waited = yield Wait(download, self._timeout.connect + self._timeout.read)
            if waited is None:  # waiting would deadlock: the download runs on this thread
                self._keyring.refresh_error = yield from self._fetch_and_adopt(request, retries)
            if not waited:
                return

    def is_needed(self, key_id: str | None) -> bool:
        """Returns True if certificates should be fetched before a response is verified with a key; None is any key."""
        keyring = self._keyring
        is_for_us = self._verifies or key_id is None
        if not self._fetches or not (is_for_us or keyring.has_fetched):
            return False
        if key_id is None:
            is_unknown = keyring.preferred_id is None
        else:
            is_serial = key_id != "" and not key_id.startswith(PUBLIC_KEY_PREFIX)
            is_unknown = is_for_us and is_serial and keyring.find(key_id) is None
        if keyring.has_only_public_keys:
            # A merchant that migrates to the public key must eventually stop requesting certificates:
            # https://pay.weixin.qq.com/doc/v3/merchant/4012154180
            return is_unknown
        is_old = time.monotonic() - self._adopted >= REFRESH_EVERY
        return is_unknown or is_old or keyring.fetched_until - time.time() < REFRESH_BEFORE_EXPIRY

    def adopt(self, response: Response) -> Steps[None]:
        """Adopts the certificates in the response to a caller's request for them, before the response is verified."""
        if self._fetches:
            self._keyring.refresh_error = yield from self._verify_and_adopt(response)

    def _join_or_start(self, key_id: str | None) -> tuple[Future[None] | None, bool]:
        """Returns the current download (None during the backoff), and True if the caller must perform it."""
        ours = _Download(Future(), time.monotonic())
        ours.future.set_running_or_notify_cancel()  # so that no waiting caller can cancel it for the others
        # setdefault is atomic. A lock could stay locked in a forked child.
        download = self._downloads.setdefault(current_process(), ours)
        if download is not ours:
            if time.monotonic() - download.started < ABANDONED_AFTER:
                return download.future, False
            self._end(download.future)
            return self._join_or_start(key_id)
        if self._seconds_to_next_try(key_id) > 0:
            self._end(ours.future)
            return None, False
        self._clock_at_last_try, self._last_try = _clock_offset(), time.monotonic()
        return ours.future, True

    def _end(self, download: Future[None]) -> None:
        current = self._downloads.get(current_process())
        if current is not None and current.future is download:
            self._downloads.pop(current_process(), None)
        with suppress(InvalidStateError):
            download.set_result(None)

    def _seconds_to_next_try(self, key_id: str | None) -> float:
        if abs(_clock_offset() - self._clock_at_last_try) > 1:
            return 0.0  # the machine's clock was set, and a wrong clock may have been the cause of the failure
        # Only a call that waits for its first key retries sooner: a forged serial number must not cause more downloads.
        is_outage = isinstance(self._keyring.refresh_error, TransportError)
        backoff = BACKOFF_AFTER_OUTAGE if key_id is None and is_outage else BACKOFF
        return self._last_try + backoff - time.monotonic()

    def _download(self, key_id: str | None, download: Future[None], request: Request, retries: bool) -> Steps[None]:
        is_interrupted = True
        try:
            if (yield from self._load_cached(key_id)) or (yield from self._await_other_process(key_id)):
                self._keyring.refresh_error = None
            else:
                self._keyring.refresh_error = yield from self._fetch_and_adopt(request, retries)
            is_interrupted = False
        finally:
            if is_interrupted:
                self._last_try = float("-inf")
            self._end(download)

    def _load_cached(self, key_id: str | None) -> Steps[bool]:
        """Adopts the cached certificates if they may be newer than this client's. A cache that fails is treated as empty.

        Returns:
            True if the keyring now has the key that is needed.
        """
        if self._cache is None or (self._shared is None and self._keyring.has_fetched):
            return False
        try:
            saved = time.monotonic() - (REFRESH_EVERY - CACHE_TTL)
            if self._shared is not None:
                age = yield Invoke(self._shared.age)
                if age is None or time.monotonic() - age < self._saved + 1:
                    return False
                saved = time.monotonic() - age
            content = yield Invoke(self._cache.load)
            if content is None:
                return False
            cached = self._read(content)
            self._keyring.adopt(cached)
        except Exception as error:
            logger.warning("the certificate cache cannot be used: %s: %s", type(error).__name__, error)
            return False
        self._adopted = self._saved = saved
        return key_id is None or self._keyring.find(key_id) is not None

    def _await_other_process(self, key_id: str | None) -> Steps[bool]:
        """Waits for the process that downloads for all; returns False for that process, or if it saved nothing in time.

        What was saved a moment ago is new enough, even without the key: a forged serial number must not cause more downloads.
        """
        if self._shared is None:
            return False
        began = time.monotonic()
        while time.monotonic() - self._saved > CLAIM:
            if time.monotonic() - began > OTHERS_WAIT:
                return False
            try:
                asked = time.monotonic()
                if self._claim[0] is current_process() and asked < self._claim[1]:
                    return False
                if (yield Invoke(partial(self._shared.claim, CLAIM))):
                    self._claim = current_process(), asked + CLAIM
                    return False
            except Exception as error:
                logger.warning("the certificate cache cannot be used: %s: %s", type(error).__name__, error)
                return False
            yield Sleep(LOOK_EVERY)
            yield from self._load_cached(key_id)
        return True

    def _fetch_and_adopt(self, request: Request, retries: bool) -> Steps[WeChatPayError | None]:
        """Fetches certificates and adopts them; returns the error if that failed."""
        try:
            response = yield from self._fetch(
                _certificates_request(request, self._timeout, self.certificates_query), retries
            )
        except WeChatPayError as error:
            failure = _explain(error)
            logger.warning("refreshing the platform certificates failed: %s", failure)
            return failure
        return (yield from self._verify_and_adopt(response))

    def _verify_and_adopt(self, response: Response) -> Steps[WeChatPayError | None]:
        """Verifies and adopts the certificates in a response; returns the error if that failed."""
        try:
            fetched = self._read(response.content)
            # The response may be signed with a configured public key, or with a certificate from the list itself.
            is_known = self._keyring.find(response.headers.get("Wechatpay-Serial", "")) is not None
            rejection = yield from check_signature(
                response.headers, response.content, self._keyring if is_known else fetched
            )
            if rejection is not None:
                clock = "; correct this machine's clock" if rejection.reason is Reason.CLOCK_SKEW else ""
                raise TransportError(
                    f"the list of platform certificates could not be verified: {rejection.why}{clock}", sent=False
                )
        except WeChatPayError as error:
            logger.warning("refreshing the platform certificates failed: %s", error)
            return error
        self._keyring.adopt(fetched)
        self._adopted = time.monotonic()
        if self._cache is not None:
            try:
                yield Invoke(partial(self._cache.save, response.content))
                self._saved = time.monotonic()
            except Exception as error:
                logger.warning("the certificate cache cannot be written: %s: %s", type(error).__name__, error)
        return None

    def _read(self, content: bytes) -> Keyring:
        """Reads a list of certificates.

        Raises:
            ConfigurationError: none of them is for keys of this client's type: the list is that of another merchant, or was asked for
                with another algorithm_type.
        """
        found = Keyring(self._certificates.read(content), scheme=self._keyring.scheme)
        if found.preferred_id is None:
            raise ConfigurationError(f"the list of certificates has no valid one with an {found.scheme.keys.name} key")
        return found

    def _explain_missing_key(self, request: Request) -> WeChatPayError:
        """Returns the error of a request that needs a key while there is none. The request was not sent."""
        call = f"{request.method} {request.template}"
        if not self._fetches:
            return ConfigurationError(
                f"certs: {call} needs a key of WeChat Pay, and there is none; add WeChat Pay's public key"
            )
        failure = self._keyring.refresh_error or TransportError(
            "no platform certificate has been fetched yet; another call may still be at it", sent=False
        )
        seconds = max(self._seconds_to_next_try(None), 0)
        error = copy(failure)
        error.args = (
            f"Nothing was sent of {call}, because it needs a key of WeChat Pay. {failure}. The certificates are "
            f"fetched again after {seconds:.0f} s at the earliest",
            *failure.args[1:],
        )
        error.sent, error.attempts = False, ()
        return error


def _certificates_request(request: Request, timeout: Timeout, query: str) -> Request:
    """Returns the request for the certificates of the service that another request is sent to.

    It has no Wechatpay-Serial header, so that the service signs the response with a certificate's key.
    """
    target = certificates_target(request.origin, query)
    copied = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
    headers = Headers({name: request.headers[name] for name in copied if name in request.headers})
    return Request("GET", target[1:].partition("?")[0], request.origin, target, headers, b"", timeout, idempotent=True)


def _explain(error: WeChatPayError) -> WeChatPayError:
    """Converts an error of the request for certificates to the error of the call that needs one."""
    if isinstance(error, (NotFoundError, ForbiddenError)):
        return ConfigurationError(
            f"certs: this merchant has no platform certificates, like all merchants registered since the end of 2024 "
            f"({error}); give WeChat Pay's public key from the merchant platform (账户中心 > API安全), "
            "certs={'PUB_KEY_ID_…': Path('pub_key.pem')}"
        )
    if isinstance(error, (RateLimitError, ServerError)):
        return TransportError(f"the platform certificates could not be fetched: {error}", sent=False)
    return error


def _clock_offset() -> float:
    """Returns the offset of the wall clock from the monotonic clock, which changes only when the clock is set."""
    return time.time() - time.monotonic()
