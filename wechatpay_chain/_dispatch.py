"""Sends the calls, downloads and refreshes of a client, in both modes: a flow, a transport, and the driver between them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.flows import Flows
from wechatpay_chain._chain.node import Chain, Node
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.certificate_list import CertificateList
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline import sync_driver
from wechatpay_chain._transport.transports import Transports
from wechatpay_chain.errors import APIError, ArgumentError, ContentError, SignatureError, TransportError, WeChatPayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cryptography import x509

    from wechatpay_chain._files.announcement import Source
    from wechatpay_chain._files.download import Progress
    from wechatpay_chain._files.output import Target

__all__ = ["Dispatch"]


class Dispatch(NamedTuple):
    """Drives the flows of a client.

    Attributes:
        flows: makes the flows.
        transports: send requests.
    """

    flows: Flows
    transports: Transports

    def send(self, call: Call) -> Response:
        """Sends a call and returns its verified response."""
        transport = self.transports.blocking
        try:
            return sync_driver.drive(self.flows.call(call, transport.library), transport.send)
        except WeChatPayError as error:
            raise _without_frames(error) from error.__cause__

    async def send_async(self, call: Call) -> Response:
        """Sends a call for callers that await."""
        transport, drive = self.transports.awaiting, _async_drive()
        try:
            return await drive(self.flows.call(call, transport.library), transport.send)
        except WeChatPayError as error:
            raise _without_frames(error) from error.__cause__

    def download(
        self, source: Source | Chain, to: Target, xml: object, gunzip: bool, progress: Progress | None, timeout: object
    ) -> Response:
        """Downloads a file; see `Client.download`."""
        transport = self.transports.blocking
        try:
            with self.flows.download(self._own(source), to, xml, gunzip, progress, timeout, transport.library) as flow:
                return sync_driver.drive(flow, transport.send)
        except WeChatPayError as error:
            raise _without_frames(error) from error.__cause__

    async def download_async(
        self, source: Source | Chain, to: Target, xml: object, gunzip: bool, progress: Progress | None, timeout: object
    ) -> Response:
        """Downloads a file for callers that await."""
        transport, drive = self.transports.awaiting, _async_drive()
        try:
            with self.flows.download(self._own(source), to, xml, gunzip, progress, timeout, transport.library) as flow:
                return await drive(flow, transport.send)
        except WeChatPayError as error:
            raise _without_frames(error) from error.__cause__

    def _own(self, source: Source | Chain) -> Source | Chain:
        """Returns a source of a download, unless it is an operation of another client, with another merchant's keys."""
        if isinstance(source, Node) and source._sender is not self:
            raise ArgumentError("source: it is an operation of another client; call download of that client")
        return source

    def platform_certificates(self, certificates: CertificateList) -> dict[str, x509.Certificate]:
        """Fetches the platform certificates; see `Client.platform_certificates`."""
        try:
            response = self.send(self.flows.certificates_call)
        except SignatureError as error:
            # A list that cannot be decrypted has no key to verify it with. Then the list is the cause to report.
            certificates.read(error.response.content if error.response else b"")
            raise
        return certificates.read(response.content)

    def refresh(self, key_id: str) -> None:
        """Fetches certificates if the key that a notification names needs that."""
        if self.flows.refresh.is_needed(key_id):
            transport = self.transports.blocking
            sync_driver.drive(self.flows.refresh_keys(key_id, transport.library), transport.send)

    async def refresh_async(self, key_id: str) -> None:
        """Fetches certificates as `refresh` does, for callers that await."""
        if self.flows.refresh.is_needed(key_id):
            transport, drive = self.transports.awaiting, _async_drive()
            await drive(self.flows.refresh_keys(key_id, transport.library), transport.send)


@cache
def _async_drive() -> Callable[..., Awaitable[Response]]:
    with no_fork.current:
        from wechatpay_chain._pipeline import async_driver  # it imports asyncio, which not every program needs

    return async_driver.drive


def _without_frames(error: WeChatPayError) -> WeChatPayError:
    """Drops the frames of our layers from the errors of the service and of the connection: they tell the caller nothing."""
    is_of_the_service = isinstance(error, (APIError, SignatureError, ContentError, TransportError))
    return error.with_traceback(None) if is_of_the_service else error
