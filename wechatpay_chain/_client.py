"""The client: its settings, its stack of middleware, its transports; here all is put together.

What not every program needs (files, notifications, payments, the HTTP libraries) is imported where it is first used.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from wechatpay_chain._catalogue.file_operations import is_file
from wechatpay_chain._catalogue.v2_segments import V2_SEGMENTS
from wechatpay_chain._chain.node import Draft, Node, Seconds
from wechatpay_chain._chain.template import expand, hide_query, without_query
from wechatpay_chain._config import (
    certificates,
    download_seconds,
    former_keys,
    kept_certificates,
    merchant_number,
    merchant_serial,
    most_bytes,
    origin,
    origins,
    seconds,
    truth,
    with_method,
)
from wechatpay_chain._forks.importing import importing
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.loading import CertificateSource, PrivateKeySource, PublicKeySource, load_identity
from wechatpay_chain._keys.own_keys import OwnKey
from wechatpay_chain._keys.signing import Credentials, with_key, with_nothing, with_signer
from wechatpay_chain._messages.effects import Flow, Middleware
from wechatpay_chain._messages.fields import check_fields
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.json_body import body_bytes, check_body
from wechatpay_chain._messages.protocols import CertificateCache, Signer, Verifier
from wechatpay_chain._messages.request import Request, copied
from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.sensitive import Sensitive, holds_sensitive, sealed
from wechatpay_chain._pipeline.encrypt import encrypt
from wechatpay_chain._pipeline.errors import raise_for_status
from wechatpay_chain._pipeline.log import log
from wechatpay_chain._pipeline.retry import Retry
from wechatpay_chain._pipeline.retry import retry as retrying
from wechatpay_chain._pipeline.rotate import refresh_for, rotate
from wechatpay_chain._pipeline.sign import sign
from wechatpay_chain._pipeline.stack import Stack, run
from wechatpay_chain._pipeline.verify import verify
from wechatpay_chain._schemes import rsa
from wechatpay_chain._schemes.apiv3_key import key_octets
from wechatpay_chain._shielding import shielded
from wechatpay_chain._transport.content import MOST_IN_MEMORY
from wechatpay_chain._transport.route import Route
from wechatpay_chain._version import __version__
from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    ConfigurationError,
    ContentError,
    DecryptionError,
    SignatureError,
    TransportError,
    UnsupportedError,
    WeChatPayError,
)

if TYPE_CHECKING:
    import aiohttp
    import requests
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
    from typing_extensions import Self

    from wechatpay_chain._files.download import Progress, Source, Target
    from wechatpay_chain._files.upload import File
    from wechatpay_chain._messages.protocols import NonceStore
    from wechatpay_chain._notifications.notifications import Notifications
    from wechatpay_chain._payment import Payment
    from wechatpay_chain._transport.aiohttp import AiohttpTransport
    from wechatpay_chain._transport.requests import RequestsTransport

    class _Transports(TypedDict, total=False):
        requests: RequestsTransport
        aiohttp: AiohttpTransport


__all__ = ["Client"]

T = TypeVar("T")

_MODEST = Retry()

ROOTS = ("v2", "v3", "hk", "global_", "brand")
"""The attributes at which a chain begins."""


class Client:
    """A signed, verified door to every operation of WeChat Pay.

    The constructor opens no connection and starts no thread. One client serves any number of threads and event loops,
    and goes on working in a forked child.

    Every call ends in bounded time, with a verified response or with a `WeChatPayError`, whose `sent` says whether the service
    may have acted on the call; `wechatpay_chain.errors` has the tree and the few other exceptions that a call may raise.

    Args:
        mchid: the merchant number that calls.
        serial: the serial number of the merchant API certificate, in any notation; or that certificate
            (apiclient_cert.pem) in any form that keys have, which is then checked to be for `private_key`. May be left out
            where the certificate comes with `private_key`.
        private_key: the private key of that certificate (apiclient_key.pem): a path, PEM text, PEM or DER bytes, base64 of
            them, or a loaded key. From apiclient_cert.p12 come key and certificate at once.
        certs: WeChat Pay's keys: each public key under its `PUB_KEY_ID_…`, each platform certificate under its serial
            number; both kinds may be mixed.
        apiv3_key: the APIv3 key, 32 bytes. With it, `certs` may be left out: platform certificates are fetched at the first
            need, for an unknown serial number, and every 12 hours in use. Where `certs` holds public keys alone, they are
            fetched only when a response names the serial number of one.
        fetch_certificates: False never fetches platform certificates.
        apiv2_key: the APIv2 key, 32 characters, for those of `client.payment`'s signatures that need it.
        certificate_cache: a file, or an object with `load` and `save`, that keeps fetched certificates for the next
            process.
        signer: signs in place of `private_key`, for an HSM, a KMS or a signing service: an object with
            `sign(message: bytes) -> str`, RSA-SHA256 in base64, or an `async def` of the same.
        verifier: judges signatures in place of `certs`: an object with `verify(message: bytes, signature: str, serial:
            str) -> bool`, or an `async def` of the same. `certs` then serves to encrypt only.
        trust_anchors: the certificates that fetched ones must have been issued by, in any form that keys have. Of a file
            with several, the first is taken.
        seen: a memory of nonces for notifications, such as `SeenNonces()`; see `Notifications`.
        passphrase: of encrypted private keys. That of a PKCS#12 file is the merchant number where none is given.
        former_private_keys: older keys of the merchant, which decrypt what was encrypted to them before a renewal.
        base_url: scheme and host of the service; https, or http to this machine.
        timeout: seconds that each attempt of a call may take: to get a connection, to wait for the next bytes, and in
            total, `(5.0, 30.0, 60.0)`. Without the third, the total is 60 seconds, or the sum of the other two where that
            is more; one number stands for the first two. A download has no total unless its own `timeout=` has three.
        retry: how often and how long a call is tried that cannot pay twice; None tries each once.
        proxies: proxy URLs by scheme, as requests takes them; None reads the environment, `{}` goes direct.
        max_response_bytes: how much of a 2xx response is read into memory, as it comes and decoded; 64 MiB. A download to
            a file is not bounded by it.
        ca_bundle: a file or folder of certificate authorities to trust; None reads REQUESTS_CA_BUNDLE and SSL_CERT_FILE
            from the environment, else trusts what the HTTP libraries trust.
        allow_http: accept an http base_url on another machine, for an egress proxy of your own.
        session: a requests.Session of your own, for its adapters and proxies. You close it, and after a fork you make
            another.
        async_session: an aiohttp.ClientSession of your own. You close it. Its client middlewares are not used.

    Raises:
        ConfigurationError: a setting is missing or wrong. The message names it, and never shows a secret.
    """

    # Defaults of "" and {} stand for "missing", so that a missing setting gets the same clear error as a wrong one.
    @shielded
    def __init__(
        self,
        *,
        mchid: str | int = "",
        serial: int | CertificateSource = "",
        private_key: PrivateKeySource = "",
        certs: Mapping[str, PublicKeySource] = {},
        apiv3_key: str | bytes | None = None,
        apiv2_key: str | bytes | None = None,
        fetch_certificates: bool = True,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
        certificate_cache: str | os.PathLike[str] | CertificateCache | None = None,
        trust_anchors: Sequence[PublicKeySource] = (),
        seen: NonceStore | None = None,
        passphrase: str | bytes | None = None,
        former_private_keys: Sequence[PrivateKeySource] = (),
        base_url: str = "https://api.mch.weixin.qq.com/",
        timeout: float | tuple[float, float] | tuple[float, float, float] = (5.0, 30.0),
        retry: Retry | None = _MODEST,
        max_response_bytes: int = MOST_IN_MEMORY,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        allow_http: bool = False,
        session: requests.Session | None = None,
        async_session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.mchid = merchant_number(mchid)
        with_method("signer", signer, "sign")
        with_method("verifier", verifier, "verify")
        if not private_key and signer is None and verifier is None:
            raise ConfigurationError(
                "private_key: it is missing; expected the merchant's RSA private key (apiclient_key.pem)"
            )
        identity = load_identity("private_key", private_key, passphrase, self.mchid) if private_key else None
        key = identity.key if identity else None
        self.serial = merchant_serial(serial, self.mchid, identity, passphrase)
        formers = former_keys(former_private_keys, passphrase, self.mchid)
        self._private_keys = tuple(map(OwnKey, (key, *formers) if key else formers))
        local = with_key(self._private_keys[0]) if key else with_nothing
        signature = local if signer is None else with_signer(signer)
        self._credentials = Credentials(self.mchid, self.serial, signature)
        self._apiv3_key = None if apiv3_key is None else key_octets("apiv3_key", apiv3_key)
        self._apiv2_key = None if apiv2_key is None else key_octets("apiv2_key", apiv2_key)
        with_method("seen", seen, "add")
        self._seen = seen
        self._keyring = Keyring(
            certs,
            self._apiv3_key,
            certificates(trust_anchors),
            kept_certificates(certificate_cache),
            merchant=(self.serial, key.public_key() if key else None),
            verifies=verifier is None,
            fetches=truth("fetch_certificates", fetch_certificates, ConfigurationError),
        )
        self._verifier = verifier
        self._origin = origin(base_url, allow_http)
        self._timeout = seconds(timeout, ConfigurationError)
        self._most = most_bytes(max_response_bytes)
        self._route = Route(self._origin, proxies, ca_bundle)
        self._session, self._async_session = session, async_session
        self._sign = sign(self._credentials)
        policy = Retry(attempts=1) if retry is None else retry
        self._origins = origins(policy, self._origin, allow_http)
        # Not a method: the stack must not hold the client, which is to go when nobody else holds it.
        self._opened = partial(_with_one_of, self._private_keys, rsa.decrypt)
        again = retrying(policy, self._origins)
        layers = [
            ("log", log),
            ("encrypt", encrypt(self._keyring, self._opened, self._timeout)),
            ("retry", again),
            ("errors", raise_for_status),
            ("verify", verify(self._keyring, verifier)),
            ("rotate", rotate(self._keyring, self._timeout, again)),
            ("sign", self._sign),
        ]
        self._middleware = Stack(layers, fixed=("encrypt", "verify"))
        self._transports: _Transports = {}
        # Whoever brings a session has paid for the import of its library, so its faults can show at once.
        if session is not None:
            self._blocking()
        if async_session is not None:
            self._awaiting()

    @property
    def middleware(self) -> Stack:
        """What a request passes through, outermost first: log, encrypt, retry, errors, verify, rotate, sign."""
        return self._middleware

    @property
    def v2(self) -> Node:
        """Where the chains of APIv2 begin."""
        return Node(self, "v2")

    @property
    def v3(self) -> Node:
        """Where the chains of APIv3 begin."""
        return Node(self, "v3")

    @property
    def hk(self) -> Node:
        """Where the chains of the older cross-border operations begin."""
        return Node(self, "hk")

    @property
    def global_(self) -> Node:
        """Where the chains of the global customs operations begin."""
        return Node(self, "global")

    @property
    def brand(self) -> Node:
        """Where the chains of brand merchants begin."""
        return Node(self, "brand")

    def chain(self, path: str) -> Node:
        """The node of a path as written; `<name>` is another spelling of the variable `{name}`."""
        return Node(self, "").chain(path)

    def __getitem__(self, path: str) -> Node:
        return self.chain(path)

    if not TYPE_CHECKING:  # a type checker is to report a misspelt attribute by itself

        def __getattr__(self, attribute: str) -> object:
            import difflib

            public = [name for name in dir(type(self)) if not name.startswith("_")]
            meant = difflib.get_close_matches(attribute.lower(), public, n=1)
            raise AttributeError(
                f"{attribute!r} is not an attribute of a client"
                + (f"; did you mean {meant[0]!r}?" if meant else ".")
                + f' A chain begins at {", ".join(ROOTS)}, or anywhere with client["…"]'
            )

    @property
    def notifications(self) -> Notifications:
        """Reads what WeChat Pay posts to this merchant: `client.notifications.parse(headers, body)`.

        Certificates that a notification needs are fetched as for an answer.

        Raises:
            ConfigurationError: `apiv3_key` is missing, which notifications are encrypted with.
        """
        if self._apiv3_key is None:
            raise ConfigurationError("apiv3_key: it is missing; notifications are encrypted with it")
        with importing:
            from wechatpay_chain._notifications.notifications import Notifications

        return Notifications(
            self._keyring,
            self._apiv3_key,
            seen=self._seen,
            refresh=self._refresh_keys,
            refresh_async=self._refresh_keys_async,
            verifier=self._verifier,
            credentials=self._credentials,
        )

    @property
    def payment(self) -> Payment:
        """Signs what a front end passes on to bring up a payment: `client.payment.jsapi(appid, prepay_id)`."""
        with importing:
            from wechatpay_chain._payment import Payment

        return Payment(self._credentials, self._apiv2_key)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypts a text that WeChat Pay encrypted to the merchant.

        Raises:
            DecryptionError: it was made for none of the merchant's keys.
        """
        return self._opened(ciphertext)

    def download(
        self,
        source: Source,
        to: Target,
        *,
        gunzip: bool = False,
        progress: Progress | None = None,
        timeout: Seconds = None,
    ) -> Response:
        """Fetches a file that an answer announced: a bill, a receipt. It is streamed, in constant memory.

        Where the answer told a digest, nothing but what has it is kept. Where it told none, the file is as good as the TLS
        certificate of its host.

            bill = client.v3.bill.tradebill.get(params={"bill_date": "2026-01-01", "tar_type": "GZIP"})
            client.download(bill, "2026-01-01.csv", gunzip=True)

        Args:
            source: the answer, an item of its `download_bill_list`, or a bare URL.
            to: a path, which gets the whole file or nothing, mode 0600; or an open binary file, which gets the bytes as they
                come and is worth something only when this returns.
            gunzip: unpack what comes packed.
            progress: called with the bytes that have come and their whole number, or None where that is not known.
            timeout: seconds to connect and to wait for the next bytes, as of a call. There is no total, for a file may be
                large; give three to set one.

        Returns:
            The answer that the file came with, its content empty.

        Raises:
            ArgumentError: the source announces no file, or several; nothing can be written there.
            SignatureError: the file is not what was announced (DIGEST_MISMATCH), or nothing proves it.
            DecryptionError: the file of a sub-merchant was altered, or is not encrypted to the merchant.
            OSError: it cannot be written.
            TransportError, ContentError, ConfigurationError, APIError: as of any call.
        """
        transport = self._blocking()
        try:
            with self._downloading(source, to, gunzip, progress, timeout, transport.library) as flow:
                return transport.drive(flow)
        except WeChatPayError as error:
            raise _ended(error) from error.__cause__

    async def download_async(
        self,
        source: Source,
        to: Target,
        *,
        gunzip: bool = False,
        progress: Progress | None = None,
        timeout: Seconds = None,
    ) -> Response:
        """The same, awaited."""
        transport = self._awaiting()
        try:
            with self._downloading(source, to, gunzip, progress, timeout, transport.library) as flow:
                return await transport.drive(flow)
        except WeChatPayError as error:
            raise _ended(error) from error.__cause__

    def platform_certificates(self) -> dict[str, x509.Certificate]:
        """Fetches WeChat Pay's platform certificates: those that are valid now, by serial number, each checked.

        Calls do this by themselves where they need it; this is for programs that hand them to others.

        Raises:
            ConfigurationError: `apiv3_key` is missing, or not the one that the list was encrypted with; or the list is not
                what it should be.
            TransportError, SignatureError, APIError: as of any call.
        """
        try:
            answer = self.v3.certificates.get()
        except SignatureError as error:
            # With a list that cannot be opened there is no key that could prove it; what is wrong is the list.
            self._keyring.opened(error.response.content if error.response else b"")
            raise
        return self._keyring.opened(answer.content)

    def close(self) -> None:
        """Closes the connections of the blocking calls. A later call opens new ones."""
        if "requests" in self._transports:
            self._blocking().close()

    async def aclose(self) -> None:
        """Closes the connections of the blocking calls, and those of the awaited calls on the running event loop.

        Those on other event loops are closed when their loop ends.
        """
        self.close()
        if "aiohttp" in self._transports:
            await self._awaiting().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Client mchid={self.mchid} serial={self.serial} {self._origin} {self._keyring!r}>"

    def _send(self, draft: Draft) -> Response:
        transport, request = self._blocking(), None
        try:
            request = self._request(draft, transport.library)
            return transport.drive(run(self._middleware.layers, request))
        except WeChatPayError as error:
            raise _ended(error, request) from error.__cause__

    async def _send_async(self, draft: Draft) -> Response:
        transport, request = self._awaiting(), None
        try:
            if draft.files is None:
                request = self._request(draft, transport.library)
            else:
                # The file is read for its digest, which may take longer than a loop can wait.
                request = await transport.in_thread(partial(self._request, draft, transport.library))
            return await transport.drive(run(self._middleware.layers, request))
        except WeChatPayError as error:
            raise _ended(error, request) from error.__cause__

    def _refresh_keys(self, key_id: str) -> None:
        if self._keyring.needs_refresh(key_id):
            transport = self._blocking()
            transport.drive(run(self._refreshing(key_id), self._request(_CERTIFICATES, transport.library)))

    async def _refresh_keys_async(self, key_id: str) -> None:
        if self._keyring.needs_refresh(key_id):
            transport = self._awaiting()
            request = self._request(_CERTIFICATES, transport.library)
            await transport.drive(run(self._refreshing(key_id), request))

    def _refreshing(self, key_id: str) -> tuple[Middleware, ...]:
        return refresh_for(self._keyring, key_id, self._timeout), self._sign

    def _blocking(self) -> RequestsTransport:
        # Two threads may come here at once; setdefault gives both the same transport.
        transport = self._transports.get("requests")
        if transport is None:
            with importing:
                from wechatpay_chain._transport.requests import RequestsTransport

            transport = self._transports.setdefault(
                "requests", RequestsTransport(self._route, self._most, self._session)
            )
        return transport

    def _awaiting(self) -> AiohttpTransport:
        transport = self._transports.get("aiohttp")
        if transport is None:
            with importing:
                from wechatpay_chain._transport.aiohttp import AiohttpTransport

            transport = self._transports.setdefault(
                "aiohttp", AiohttpTransport(self._route, self._most, self._async_session)
            )
        return transport

    @contextmanager
    def _downloading(
        self, source: Source, to: Target, gunzip: bool, progress: Progress | None, timeout: Seconds, library: str
    ) -> Iterator[Flow]:
        with importing:
            from wechatpay_chain._files.download import Saving, announced, located

        found, key = announced(source), None
        if found.secret is not None:
            ciphertext, nonce = found.secret
            key = _with_one_of(self._private_keys, rsa.decrypt_octets, ciphertext), nonce.encode()
        with Saving(to, digest=found.digest, key=key, gunzip=gunzip, progress=progress) as saving:
            place = located(found.url, self._origins)
            is_repeatable = isinstance(to, (str, os.PathLike))  # what went into an open file cannot be taken back
            draft = Draft("GET", place.template, {}, None, None, {"Accept": "*/*"}, None, is_repeatable, None)
            request = copied(
                self._encoded(draft, None, library, None),
                origin=place.origin,
                sink=saving,
                timeout=download_seconds(timeout, self._timeout),
            )
            # A file on a host that is none of the API's, an invoice say, is fetched as anybody would, without a signature.
            stack = self._middleware
            layers = stack.layers if place.is_of_the_api else stack.without("encrypt", "verify", "rotate", "sign")
            try:
                yield run(stack.around("retry", saving.finished, layers), request)
            except WeChatPayError as error:
                error.request = request
                raise

    def _request(self, draft: Draft, library: str) -> Request:
        preferred = self._keyring.preferred
        key_id = preferred[0] if preferred else None
        _refuse_v2(draft.template)
        if draft.params is not None and not isinstance(draft.params, (Mapping, str, bytes)):
            draft = draft._replace(params=_listed(draft.params))  # it is read more than once
        try:
            is_sensitive = holds_sensitive(draft.json) or holds_sensitive(draft.params)
        except (RecursionError, TypeError):
            raise _unwritable(draft) from None
        file = None
        if draft.files is not None:
            with importing:
                from wechatpay_chain._files.upload import opened_file

            file = opened_file(draft.files)
        if not is_sensitive:
            return self._encoded(draft, file, library, key_id)
        # What is wrong with the rest of it shows before anything is fetched or sent.
        request = self._encoded(_sealed(draft, lambda _: ""), file, library, key_id)

        def seal(key_id: str, key: RSAPublicKey) -> Request:
            named = Headers(draft.headers or {}).get("Wechatpay-Serial", key_id)
            if named != key_id:
                raise ArgumentError(
                    f"headers: Wechatpay-Serial names {named!r}, and what is sensitive is encrypted with {key_id!r}; leave "
                    "the header out"
                )
            return self._encoded(_sealed(draft, partial(rsa.encrypt, key=key)), file, library, key_id)

        return copied(request, seal=seal)

    def _encoded(self, draft: Draft, file: File | None, library: str, key_id: str | None) -> Request:
        target = expand(draft.template, draft.variables, draft.params)
        headers = _headers(library, key_id, "*/*" if is_file(draft.method, target) else "application/json")
        headers = headers | check_fields(draft.headers) if draft.headers else headers
        sent = None
        if file is not None:
            with importing:
                from wechatpay_chain._files.upload import upload

            body, sent = upload(target.partition("?")[0], file, draft.json)
            headers = headers | {"Content-Type": sent.content_type}
        else:
            body = b"" if draft.json is None else body_bytes(draft.json)
        return Request(
            method=draft.method,
            template=without_query(draft.template),
            origin=self._origin,
            target=target,
            headers=headers,
            body=body,
            upload=sent,
            timeout=self._timeout if draft.timeout is None else seconds(draft.timeout, ArgumentError),
            idempotent=truth("idempotent", draft.idempotent, ArgumentError),
        )


def _ended(error: WeChatPayError, request: Request | None = None) -> WeChatPayError:
    """Returns the error that a call ends with, to be raised where the verb was called.

    Of what the service answered, and of what became of the connection, the frames of the layers say nothing.
    """
    if request is not None:
        error.request = request
    return error.with_traceback(None) if isinstance(error, _OF_THE_SERVICE) else error


_OF_THE_SERVICE = (APIError, SignatureError, ContentError, TransportError)


@lru_cache(maxsize=4096)
def _headers(library: str, key_id: str | None, accept: str) -> Headers:
    return Headers(
        {
            "Accept": accept,
            "Accept-Encoding": "identity",  # what was signed is the body before any encoding
            "Content-Type": "application/json",
            "User-Agent": f"{_USER_AGENT} {library}",
            # Names the key that the answer should be signed with: https://pay.weixin.qq.com/doc/v3/merchant/4012154180
            **({"Wechatpay-Serial": key_id} if key_id else {}),
        }
    )


def _listed(params: Any) -> Any:
    try:
        return list(params)
    except TypeError:
        return params  # which is refused where the query is written


def _sealed(draft: Draft, encrypt: Callable[[str], str]) -> Draft:
    if isinstance(draft.json, Sensitive):
        check_body(draft.json)
    try:
        return draft._replace(json=sealed(draft.json, encrypt), params=sealed(draft.params, encrypt))
    except (RecursionError, TypeError):
        raise _unwritable(draft) from None


def _unwritable(draft: Draft) -> ArgumentError:
    """Makes the error of what cannot be gone through: it holds itself, is nested too deeply, or has a name that is no text."""
    from wechatpay_chain._messages.json_faults import find_fault

    for argument, value in (("json", draft.json), ("params", draft.params)):
        if fault := find_fault(value):
            return ArgumentError(f"{argument}: {fault}")
    return ArgumentError("json: it is nested too deeply; expected what JSON can write")


@lru_cache(maxsize=4096)
def _refuse_v2(template: str) -> None:
    """Refuses what is an operation of APIv2 by its path, which, signed as APIv3, the service would refuse.

    Raises:
        UnsupportedError: it is one.
    """
    first = re.split("[/?{]", template, maxsplit=1)[0]
    if first == "v2" or first in V2_SEGMENTS:
        raise UnsupportedError(
            f"{hide_query(template)}: it belongs to APIv2, which speaks XML; this version does not, and nothing was sent"
        )


def _with_one_of(
    keys: Sequence[OwnKey[RSAPrivateKey]], decrypt: Callable[[str, RSAPrivateKey], T], ciphertext: str
) -> T:
    """What a ciphertext holds that was made for one of the merchant's keys."""
    if not keys:
        raise ConfigurationError("private_key: it is missing; what is encrypted to the merchant is opened with it")
    *others, last = keys
    for key in others:
        with suppress(DecryptionError):
            return decrypt(ciphertext, key.here)
    return decrypt(ciphertext, last.here)


_CERTIFICATES = Draft("GET", "v3/certificates", {}, None, None, None, None, True, None)

_PYTHON = ".".join(map(str, sys.version_info[:3]))
_USER_AGENT = f"wechatpay-chain/{__version__} ({sys.platform}) Python/{_PYTHON}"
