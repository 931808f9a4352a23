"""The road of a call: a request is made of it, which passes through the layers. A driver performs the flows that are made here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from wechatpay_chain._catalogue.certificates import certificates_target
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.calls import CallsByRoot
from wechatpay_chain._chain.encoding import Encoder
from wechatpay_chain._chain.node import Chain
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.merchant_keys import MerchantKeys
from wechatpay_chain._keys.refresh import Refresh
from wechatpay_chain._messages.arguments import parse_download_timeout
from wechatpay_chain._messages.effects import Flow, Middleware, Steps
from wechatpay_chain._messages.request import Request, Timeout
from wechatpay_chain._pipeline.stack import Stack, run
from wechatpay_chain.errors import APIError, ArgumentError, PathVariableError, WeChatPayError

if TYPE_CHECKING:
    from wechatpay_chain._files.announcement import Location, Source
    from wechatpay_chain._files.download import DownloadSink, Progress
    from wechatpay_chain._files.output import Target

__all__ = ["Flows"]


class Flows(NamedTuple):
    """Makes the flows of one client.

    Attributes:
        calls: make the requests.
        encoder: encodes the requests of APIv3 that the client makes by itself.
        refresh: fetches platform certificates.
        merchant_keys: decrypts what is encrypted to the merchant.
        stack: the layers.
        origins: the domains of the service.
    """

    calls: CallsByRoot
    encoder: Encoder
    refresh: Refresh
    merchant_keys: MerchantKeys
    stack: Stack
    origins: Sequence[str]

    def call(self, call: Call, library: str) -> Flow:
        """Makes the request of a call, and passes it through the layers.

        Args:
            call: what the caller wants.
            library: the HTTP library that sends it, for the User-Agent header.
        """
        try:
            checked = call.checked()
            request = yield from self.calls.find(checked).prepare(checked, library)
            return (yield from _run(self.stack.layers, request))
        except (APIError, PathVariableError) as error:
            with no_fork.current:
                from wechatpay_chain._chain.advice import advise

            advise(error, call)
            raise

    @contextmanager
    def download(
        self,
        source: Source | Chain,
        to: Target,
        xml: object,
        gunzip: bool,
        progress: Progress | None,
        timeout: object,
        library: str,
    ) -> Iterator[Flow]:
        """Makes the flow of a download, and removes an incomplete file on exit. `Client.download` has the arguments."""
        with no_fork.current:
            from wechatpay_chain._files.announcement import locate, read_announcement
            from wechatpay_chain._files.download import DownloadSink

        if isinstance(source, Chain):
            with DownloadSink(to, gunzip=gunzip, progress=progress) as saving:
                yield self._download_bill(str(source), xml, saving, timeout, library)
            return
        if xml is not None:
            raise ArgumentError(
                "xml: it belongs to an operation of APIv2, such as client.v2.pay.downloadbill as the source"
            )
        announcement, key = read_announcement(source), None
        if announcement.secret is not None:
            ciphertext, nonce = announcement.secret
            key = self.merchant_keys.decrypt_octets(ciphertext), nonce.encode()
        with DownloadSink(to, digest=announcement.digest, key=key, gunzip=gunzip, progress=progress) as saving:
            location = locate(announcement.url, self.origins)
            headers, again = {"Accept": "*/*"}, saving.is_repeatable
            call = Call("GET", location.template, headers=headers, idempotent=again, sink=saving)
            seconds = parse_download_timeout(timeout, self.encoder.timeout)
            yield self._download(call, location, saving, seconds, library)

    def _download(self, call: Call, location: Location, saving: DownloadSink, timeout: Timeout, library: str) -> Flow:
        if location.is_signed:
            request = yield from self.calls.find(call).prepare(call, library)
        else:  # a file on another host, an invoice say
            request = self.encoder.encode(call, library, None)
        request = request.with_route(location.origin, timeout)
        outside, inside = self.stack._split(
            "errors", without=() if location.is_signed else ("verify", "rotate", "sign")
        )
        return (yield from _run((*outside, saving.layer, *inside), request))

    def _download_bill(self, template: str, xml: object, saving: DownloadSink, timeout: object, library: str) -> Flow:
        """Makes a call of APIv2 whose response is a file."""
        from wechatpay_chain._catalogue.formats import XML, format_of
        from wechatpay_chain._catalogue.v2_rules import RULES
        from wechatpay_chain._files.bill_sink import BillSink  # only APIv2 has such files

        # An operation that the catalogue does not know may return a file, and may change something.
        form = format_of(template)
        rule = RULES.get(f"POST {form.to_wire(template)}")
        if form is not XML or (rule is not None and rule.content != "file"):
            raise ArgumentError(
                f"source: {template} returns no file; expected the response in which an operation of APIv3 announces one, or an "
                "operation of APIv2 that returns one, such as client.v2.pay.downloadbill"
            )
        sink, again = BillSink(saving), saving.is_repeatable and rule is not None
        call = Call("POST", template, xml=xml, idempotent=again, sink=sink).checked()
        request = yield from self.calls.find(call).prepare(call, library)
        request = request.with_route(request.origin, parse_download_timeout(timeout, self.encoder.timeout))
        outside, inside = self.stack._split("errors")
        return (yield from _run((*outside, saving.layer, *inside, sink.layer), request))

    def refresh_keys(self, key_id: str, library: str) -> Steps[None]:
        """Fetches certificates if the key that a notification names needs that."""
        request = self.encoder.encode(self.certificates_call, library, None)
        # Without retries: WeChat Pay waits only some seconds for the reply to a notification.
        yield from self.refresh.refresh(key_id, request, retries=False)

    @property
    def certificates_call(self) -> Call:
        """The call that lists the platform certificates."""
        query = self.refresh.certificates_query
        return Call("GET", certificates_target(self.encoder.origin, query)[1:], idempotent=True)


def _run(layers: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through the layers. Whatever error ends it has the request."""
    try:
        return (yield from run(layers, request))
    except WeChatPayError as error:
        error.request = request
        raise
