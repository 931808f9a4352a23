"""Takes the response to a request for a bill of APIv2: the bill itself, or an error in XML, both with the status 200.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985040
"""

from __future__ import annotations

from wechatpay_chain._files.download import DownloadSink
from wechatpay_chain._messages.effects import Flow
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.xml_body import HEAD, find_first_byte
from wechatpay_chain.errors import ContentError

__all__ = ["BillSink"]

MOST_BYTES = 1 << 20
"""The size of the largest error that is kept. The service's have some hundred bytes."""


class BillSink:
    """Writes a bill to its file, and keeps an error for the layers that judge responses.

    Args:
        saving: writes the file.
    """

    has_digest = False

    def __init__(self, saving: DownloadSink) -> None:
        self._saving = saving
        self._headers, self._head, self._is_bill = Headers({}), b"", False

    def begin(self, headers: Headers) -> None:
        """Starts an attempt, and discards what an earlier one wrote. The file is begun when its first bytes show that it is one.

        Raises:
            TransportError: what was written cannot be discarded.
        """
        self._saving.restart()
        self._headers, self._head, self._is_bill = headers, b"", False

    def write(self, octets: bytes) -> None:
        """Writes some bytes, of a bill or of an error.

        Raises:
            ContentError: an error is too long.
            TransportError: nothing would show whether the bill is complete.
        """
        if self._is_bill:
            self._saving.write(octets)
            return
        self._head += octets
        first = find_first_byte(self._head)
        # A bill begins with the names of its columns, or is a gzip file. An error of the service is XML; one of a proxy, HTML or JSON.
        if first in (b"<", b"{"):
            if len(self._head) > MOST_BYTES:
                raise ContentError(f"the response is an error of more than {MOST_BYTES} bytes; expected a bill")
        elif first or len(self._head) >= HEAD:
            self._is_bill = True
            self._saving.begin(self._headers)
            self._saving.write(self._head)

    def report(self) -> None:
        """Calls the progress callback."""
        if self._is_bill:
            self._saving.report()

    def layer(self, request: Request) -> Flow:
        """Gives an error to the layers outside, which raise it. A middleware, next to the transport."""
        response: Response = yield request
        if self._is_bill or not response.ok:
            return response
        return Response(response.status_code, response.headers, self._head, response.request)
