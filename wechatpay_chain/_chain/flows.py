"""The road of a call: encrypt, encode, then through the layers. A driver performs the flows that are made here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from wechatpay_chain._catalogue.certificates import certificates_path
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.encoding import Encoder
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.merchant_keys import MerchantKeys
from wechatpay_chain._keys.refresh import Refresh
from wechatpay_chain._messages.arguments import parse_download_timeout
from wechatpay_chain._messages.effects import Flow, Middleware, Steps, UseFile
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._pipeline.stack import Stack, run
from wechatpay_chain._schemes import rsa
from wechatpay_chain.errors import APIError, ArgumentError, PathVariableError, WeChatPayError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from wechatpay_chain._files.announcement import Source
    from wechatpay_chain._files.download import DownloadSink, Progress
    from wechatpay_chain._files.output import Target

__all__ = ["Flows"]


class Flows(NamedTuple):
    """Makes the flows of one client.

    Attributes:
        encoder: encodes calls.
        keyring: the keys of WeChat Pay.
        refresh: fetches platform certificates.
        merchant_keys: decrypts what is encrypted to the merchant.
        stack: the layers.
        origins: the domains of the service.
    """

    encoder: Encoder
    keyring: Keyring
    refresh: Refresh
    merchant_keys: MerchantKeys
    stack: Stack
    origins: Sequence[str]

    def call(self, call: Call, library: str) -> Flow:
        """Encrypts and encodes a call, and passes it through the layers.

        Args:
            call: what the caller wants.
            library: the HTTP library that sends it, for the User-Agent header.
        """
        try:
            request = yield from self._prepare(call.checked(), library)
            return (yield from _run(self.stack.layers, request))
        except (APIError, PathVariableError) as error:
            with no_fork:
                from wechatpay_chain._chain.advice import advise

            advise(error, call)
            raise

    def _prepare(self, call: Call, library: str) -> Steps[Request]:
        encode, file = self.encoder.encode, None
        key_id: str | None
        if call.files is not None:
            with no_fork:
                from wechatpay_chain._files.source import open_file

            # To read and hash a file takes time, which an event loop does not have.
            file = yield UseFile(partial(open_file, call.files))
        if call.is_sensitive:
            preferred = self.keyring.preferred
            if preferred is None:
                # Mistakes in the rest of the call show before anything is fetched.
                trial = partial(encode, call.encrypted(lambda _: ""), library, None, file)
                unencrypted: Request = trial() if file is None else (yield UseFile(trial))
                preferred = yield from self.refresh.fetch_first_key(unencrypted)
            key_id, key = preferred  # read once: the key that encrypts is the key that is named
            call = _encrypt(call, key_id, key)
        else:
            key_id = self.keyring.preferred_id
        make = partial(encode, call, library, key_id, file)
        request: Request = make() if file is None else (yield UseFile(make))
        if key_id is None and self.refresh.needs_first_key(request):
            # Otherwise the call could be acted on, and nothing could verify its response.
            yield from self.refresh.fetch_first_key(request)
        return request

    @contextmanager
    def download(
        self, source: Source, to: Target, gunzip: bool, progress: Progress | None, timeout: object, library: str
    ) -> Iterator[Flow]:
        """Makes the flow of a download, and removes an incomplete file on exit. `Client.download` has the arguments."""
        with no_fork:
            from wechatpay_chain._files.announcement import locate, read_announcement
            from wechatpay_chain._files.download import DownloadSink

        announcement, key = read_announcement(source), None
        if announcement.secret is not None:
            ciphertext, nonce = announcement.secret
            key = self.merchant_keys.decrypt_octets(ciphertext), nonce.encode()
        with DownloadSink(to, digest=announcement.digest, key=key, gunzip=gunzip, progress=progress) as saving:
            location = locate(announcement.url, self.origins)
            call = Call("GET", location.template, headers={"Accept": "*/*"}, idempotent=saving.is_repeatable)
            encoder = Encoder(location.origin, parse_download_timeout(timeout, self.encoder.timeout))
            request = encoder.encode(call, library, None, sink=saving)
            yield self._download(request, saving, location.is_signed)

    def _download(self, request: Request, saving: DownloadSink, is_signed: bool) -> Flow:
        # A file on another host, an invoice say, is fetched without a signature.
        outside, inside = self.stack._split("errors", without=() if is_signed else ("verify", "rotate", "sign"))
        if is_signed and self.refresh.needs_first_key(request):
            yield from self.refresh.fetch_first_key(request)
        return (yield from _run((*outside, saving.layer, *inside), request))

    def refresh_keys(self, key_id: str, library: str) -> Steps[None]:
        """Fetches certificates if the key that a notification names needs that."""
        request = self.encoder.encode(self.certificates_call, library, None)
        # Without retries: WeChat Pay waits only some seconds for the reply to a notification.
        yield from self.refresh.refresh(key_id, request, retries=False)

    @property
    def certificates_call(self) -> Call:
        """The call that lists the platform certificates."""
        return Call("GET", certificates_path(self.encoder.origin)[1:], idempotent=True)


def _run(layers: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through the layers. Whatever error ends it has the request."""
    try:
        return (yield from run(layers, request))
    except WeChatPayError as error:
        error.request = request
        raise


def _encrypt(call: Call, key_id: str, key: RSAPublicKey) -> Call:
    named = Headers(call.headers or {}).get("Wechatpay-Serial", key_id)
    if named != key_id:
        raise ArgumentError(
            f"headers: Wechatpay-Serial names {named!r}, but the `Sensitive` values are encrypted with {key_id!r}; leave the "
            "header out"
        )
    return call.encrypted(partial(rsa.encrypt, key=key))
