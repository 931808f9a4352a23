"""The response of the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from wechatpay_chain._messages.faults import ContentError, DecryptionError, WeChatPayError
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.redaction import escape
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.sensitive import opened

__all__ = ["Response"]


@dataclass(frozen=True)
class Response:
    """An answer, the same in both modes. When a verb returns it, its signature has been verified.

    Attributes:
        status_code: the HTTP status.
        headers: found by name in any case.
        content: the body's bytes.
        request: what was sent.
    """

    status_code: int
    headers: Headers = field(repr=False)
    content: bytes = field(repr=False)
    request: Request
    _decrypt: Callable[[str], str] | None = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", Headers(self.headers))

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    @property
    def text(self) -> str:
        """The body as text. The service writes UTF-8; what is not UTF-8 shows as U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Reads the body as JSON.

        Returns:
            The value; None of a 2xx response without a body, such as a 204.

        Raises:
            ContentError: the body is not JSON, or cannot be read: it is nested too deeply, or holds a number of thousands
                of digits. It is a `ValueError` too.
        """
        if not self.content and self.ok:
            return None
        try:
            return json.loads(self.content)
        except (json.JSONDecodeError, UnicodeDecodeError):
            fault = "is not JSON"
        except RecursionError:
            fault = "is nested too deeply to be read as JSON"
        except ValueError:  # from Python's limit on the digits of a number
            fault = "holds a number of too many digits"
        raise self._useless(fault)

    def decrypt(self, *paths: str) -> Any:
        """Reads the body as JSON, and decrypts some of its fields that the service encrypted to the merchant.

        Args:
            paths: where each field is, names of members joined by dots, such as "payer.name". Lists are gone through:
                "data.name" is the name of each item of the list `data`.

        Raises:
            ContentError: the body is not JSON, or cannot be read.
            ArgumentError: a field is not there.
            DecryptionError: a field is not encrypted to any of the merchant's keys.

        Each of these errors has the `request`, and `sent` is True: the service has acted on the call.
        """
        try:
            value = self.json()
            for path in paths:
                value = opened(value, path, self._open)
        except RecursionError:
            raise self._useless("is nested too deeply to be decrypted") from None
        except WeChatPayError as error:
            error.request, error.sent = self.request, True
            raise
        return value

    def _useless(self, fault: str) -> ContentError:
        """Makes the error of content that cannot be read as JSON. It shows nothing of the content."""
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.request.headers.get("Accept") == "*/*" or media_type not in _TEXTS:
            advice = "its bytes are in .content, and client.download(url, to) writes a file to disk"
        else:
            advice = "its bytes are in .content"
        error = ContentError(
            f"{self.request.method} {self.request.template}: the content of the response {self.status_code} {fault}: came "
            f"{len(self.content)} bytes of {escape(media_type) or 'no Content-Type'}; {advice}"
        )
        error.request = self.request
        return error

    def with_decryption(self, decrypt: Callable[[str], str]) -> Response:
        """Returns the response with a function that decrypts what is encrypted to the merchant; see `decrypt`."""
        changed = object.__new__(Response)
        changed.__dict__.update(self.__dict__, _decrypt=decrypt)
        return changed

    def __reduce__(self) -> tuple[object, ...]:
        # The function that decrypts holds the merchant's keys, which must not go to another process.
        return Response, (self.status_code, self.headers, self.content, copy(self.request))

    def _open(self, text: str) -> str:
        if self._decrypt is None:
            raise DecryptionError("the answer did not come through a client, whose key could decrypt it")
        return self._decrypt(text)

    @property
    def request_id(self) -> str:
        """The Request-ID header as it came, which WeChat Pay's support asks for; empty where the response has none.

        Whoever wrote the response wrote it: escape it before it goes into a log. This package's own log does.
        """
        return str(self.headers.get("Request-ID", ""))


_TEXTS = ("", "application/json", "text/html", "text/plain", "application/xml", "text/xml")
"""Media types of errors and pages, which are no files."""
