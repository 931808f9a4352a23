"""The response to a call."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, cast

from wechatpay_chain._messages.faults import ContentError, DecryptionError, WeChatPayError
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.redaction import escape
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.sensitive import decrypt_at

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    J = TypeVar("J", covariant=True, default=Any)
else:
    from typing import TypeVar  # which has no default before Python 3.13

    J = TypeVar("J", covariant=True)

__all__ = ["Response"]


@dataclass(frozen=True)
class Response(Generic[J]):
    """A response, the same for sync and async calls. The signature of a response that a verb returns has been verified.

    `Response[T]` is one whose `json()` is a T, for type checkers; `Response` alone is one of any JSON value.

    Attributes:
        status_code: the HTTP status.
        headers: the HTTP headers, with case-insensitive names.
        content: the bytes of the body.
        request: the request as it was sent.
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
        """True if the status is 2xx."""
        return 200 <= self.status_code < 300

    @property
    def text(self) -> str:
        """The body as text. It is decoded as UTF-8, which the service uses; invalid bytes become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> J:
        """Parses the body as JSON.

        Returns:
            The value; None for a 2xx response without a body, such as a 204.

        Raises:
            ContentError: the body is not JSON, is nested too deeply, or contains a number with thousands of digits. It
                is also a `ValueError`.
        """
        if not self.content and self.ok:
            return None  # type: ignore[return-value]
        try:
            value: J = json.loads(self.content)
            return value
        except (json.JSONDecodeError, UnicodeDecodeError):
            fault = "is not JSON"
        except RecursionError:
            fault = "is nested too deeply to be parsed as JSON"
        except ValueError:  # sys.set_int_max_str_digits
            fault = "contains a number with too many digits"
        raise self._content_error(fault)

    def xml(self) -> J:
        """Parses the body of a response of APIv2.

        Returns:
            The fields as texts. Fields with a number at their end, such as coupon_id_0, are there as a list too, by their
            documented name: `coupon_id_$n`.

        Raises:
            ContentError: the body is not XML of the service; a bill, for example. It is also a `ValueError`.
        """
        from wechatpay_chain._messages.xml_body import list_families  # only APIv2 needs XML

        fields = deepcopy(self._fields())
        value: Any = {**fields, **list_families(fields)}
        return cast("J", value)

    def _fields(self) -> dict[str, Any]:
        """Parses the body of a response of APIv2, once for all who ask. They must not change it."""
        from wechatpay_chain._messages.xml_body import MalformedXMLError, parse_xml

        parsed: dict[str, Any] | None = self.__dict__.get("_parsed")
        if parsed is None:
            try:
                parsed = self.__dict__["_parsed"] = parse_xml(self.content)
            except MalformedXMLError as error:
                raise self._content_error(str(error)) from None
        return parsed

    def decrypt(self, *paths: str) -> J:
        """Parses the body as JSON and decrypts fields that the service encrypted with the merchant's public key.

        Args:
            paths: the path of each field: keys joined by dots, such as "payer.name". A path continues through lists:
                "data.name" is the name of every item of the list `data`.

        Returns:
            The value of the whole body, with these fields in plain text.

        Raises:
            ContentError: the body cannot be parsed as JSON.
            ArgumentError: the response has no such field.
            DecryptionError: a field cannot be decrypted with any of the merchant's keys.

        Each of these errors has the `request`, and its `sent` is True: the service has acted on the call.
        """
        try:
            value = self.json()
            for path in paths:
                value = decrypt_at(value, path, self._decrypt_text)
        except RecursionError:
            raise self._content_error("is nested too deeply to be decrypted") from None
        except WeChatPayError as error:
            error.request, error.sent = self.request, True
            raise
        return value

    def _content_error(self, fault: str) -> ContentError:
        """Makes the error for content that is not the expected JSON or XML. It shows nothing of the content."""
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.request.headers.get("Accept") == "*/*" or media_type not in _TEXT_TYPES:
            advice = "its bytes are in .content, and client.download(url, to) writes a file to disk"
        else:
            advice = "its bytes are in .content"
        error = ContentError(
            f"{self.request.method} {self.request.template}: the content of the response {self.status_code} {fault}: "
            f"came {len(self.content)} bytes of {escape(media_type) or 'no Content-Type'}; {advice}"
        )
        error.request = self.request
        return error

    def _with_decryption(self, decrypt: Callable[[str], str]) -> Response:
        """Returns a copy of the response whose `decrypt` uses this function."""
        changed = object.__new__(Response)
        changed.__dict__.update(self.__dict__, _decrypt=decrypt)
        return changed

    def __reduce__(self) -> tuple[object, ...]:
        # The decrypting function contains the merchant's private keys, which must not leave the process.
        return Response, (self.status_code, self.headers, self.content, copy(self.request))

    def _decrypt_text(self, text: str) -> str:
        if self._decrypt is None:
            raise DecryptionError("the response did not come from a client, so there is no key to decrypt it with")
        return self._decrypt(text)

    @property
    def request_id(self) -> str:
        """The Request-ID header, which WeChat Pay's support asks for; empty if the response has none.

        It is unchecked input of the peer: escape it before you log it, as this package's own log does.
        """
        return self.headers.get("Request-ID", "")


_TEXT_TYPES = ("", "application/json", "text/html", "text/plain", "application/xml", "text/xml")
"""Media types of error messages and web pages, as opposed to files."""
