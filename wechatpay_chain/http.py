"""The values that travel: a request, a response, their headers, the messages that are signed.

Nothing in here knows of requests, aiohttp or cryptography.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from wechatpay_chain.errors import ArgumentError, ContentError, DecryptionError, WeChatPayError
from wechatpay_chain.file_operations import is_file
from wechatpay_chain.redaction import escape
from wechatpay_chain.sensitive import opened

if TYPE_CHECKING:
    from concurrent.futures import Future

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = [
    "AUTHORIZATION_SCHEME",
    "RESERVED_FIELDS",
    "Ask",
    "Compute",
    "Effect",
    "Flow",
    "Headers",
    "Middleware",
    "Request",
    "Response",
    "Sink",
    "Sleep",
    "Steps",
    "Timeout",
    "Upload",
    "Wait",
    "body_bytes",
    "check_body",
    "check_fields",
    "copied",
    "is_field_name",
    "is_loopback",
    "json_bytes",
    "parse_authorization",
    "request_message",
    "response_message",
    "split_origin",
]

AUTHORIZATION_SCHEME = "WECHATPAY2-SHA256-RSA2048"

T = TypeVar("T")


class Timeout(NamedTuple):
    """The seconds that one attempt of a call may take.

    Attributes:
        connect: to get a connection: a free one of the pool, or a new one.
        read: to wait for the next bytes of the response. The head of an awaited response counts as one piece.
        total: for all of it, from the start of the attempt to the last byte of the response; None for no limit, which
            only downloads have.
    """

    connect: float
    read: float
    total: float | None = None

    def within(self, left: float) -> Timeout:
        """Returns the same timeout, none of its seconds more than what is left."""
        total = None if self.total is None else min(self.total, left)
        return Timeout(min(self.connect, left), min(self.read, left), total)


class Headers(Mapping[str, str]):
    """Immutable HTTP headers, found by name in any case. Its repr shows names only, for values can be secret."""

    __slots__ = ("_items",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._items = {name.lower(): (name, value) for name, value in headers.items()}

    @classmethod
    def joined(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """Of fields as they came. Those of one name, which the service does not send, are joined: RFC 9110, 5.3."""
        headers = cls.__new__(cls)
        items = headers._items = {}
        for item in fields:
            key = item[0].lower()
            items[key] = (item[0], f"{items[key][1]}, {item[1]}") if key in items else item
        return headers

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    # Mapping's own takes 2 µs, this one 0.3, and a call asks for some twenty.
    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header, or another where there is none."""
        item = self._items.get(name.lower())
        return item[1] if item else default

    def __or__(self, other: Mapping[str, str]) -> Headers:
        merged = Headers.__new__(Headers)
        merged._items = {**self._items, **(other if isinstance(other, Headers) else Headers(other))._items}
        return merged

    def without(self, name: str) -> Headers:
        """Returns the same headers but for one."""
        rest = Headers.__new__(Headers)
        rest._items = {key: item for key, item in self._items.items() if key != name.lower()}
        return rest

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of these is there, in lower case."""
        return not names.isdisjoint(self._items)

    def as_dict(self) -> dict[str, str]:
        """Names as they were written, and values."""
        return dict(self._items.values())

    def __repr__(self) -> str:
        return f"<Headers {', '.join(map(escape, self))}>"


@dataclass(frozen=True)
class Upload:
    """A body that is sent in pieces, and as often as it is needed from its beginning.

    Attributes:
        content_type: of the whole.
        length: in bytes.
        chunks: begins to read it.
    """

    content_type: str
    length: int
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)


class Sink(Protocol):
    """Where the body of a 2xx answer goes that is not to be held in memory."""

    @property
    def has_digest(self) -> bool:
        """Whether it keeps nothing but what has the digest that a proven answer told."""
        ...

    def begin(self, headers: Headers) -> None:
        """Forgets what came before: this is another attempt."""
        ...

    def write(self, octets: bytes) -> None:
        """Takes in some bytes, which may take its time."""
        ...

    def report(self) -> None:
        """Says how far it has come, to whoever wants to know."""
        ...


@dataclass(frozen=True)
class Request:
    """One HTTP request, complete but for what the middleware adds.

    A copy of it, and what is pickled, has no Authorization header: a signature does not leave the call that it was made
    for. What is pickled lacks `upload`, `sink` and `seal` too, which belong to this process.

    Attributes:
        method: the verb in upper case.
        template: the path template it came from, without its query; for logs and errors.
        origin: scheme, host and port, without a trailing slash.
        target: path and query, percent-encoded: these very characters are signed and sent.
        headers: what is sent besides the HTTP library's own.
        body: the bytes that are signed and sent; empty when there is no body.
        upload: what is sent in place of the body, which then is signed only; None where the body is sent.
        timeout: seconds to connect, to wait for bytes, and for the whole attempt.
        idempotent: whether it may be sent again although the service may have acted on it.
        sink: where the body of a 2xx answer goes; None keeps it in the response.
        seal: makes the request anew with what is sensitive encrypted, given a key and its id; None where nothing is.
    """

    method: str
    template: str
    origin: str = field(repr=False)
    target: str = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    timeout: Timeout = field(repr=False)
    idempotent: bool = field(default=False, repr=False)
    upload: Upload | None = field(default=None, repr=False, compare=False)
    sink: Sink | None = field(default=None, repr=False, compare=False)
    seal: Callable[[str, RSAPublicKey], Request] | None = field(default=None, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The absolute URL that is called."""
        return self.origin + self.target

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """The same request with headers added; one of the same name is replaced."""
        return copied(self, headers=self.headers | headers)

    def __copy__(self) -> Request:
        return copied(self, headers=self.headers.without("Authorization"))

    def __deepcopy__(self, memo: object) -> Request:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__copy__().__dict__, "upload": None, "sink": None, "seal": None}


def copied(value: T, **changes: Any) -> T:
    """A dataclass's value with some fields changed; `dataclasses.replace`, which takes 6 µs, does it in 0.8."""
    changed = object.__new__(type(value))
    changed.__dict__.update(value.__dict__, **changes)
    return changed


@dataclass(frozen=True)
class Response:
    """An answer, the same in both modes. When a verb returns it, its signature has been verified.

    Attributes:
        status_code: the HTTP status.
        headers: found by name in any case.
        content: the body's bytes.
        request: what was sent.
        opener: decrypts a text that is encrypted to the merchant; a client sets it.
    """

    status_code: int
    headers: Headers = field(repr=False)
    content: bytes = field(repr=False)
    request: Request
    opener: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

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
        if is_file(self.request.method, self.request.target) or media_type not in _TEXTS:
            advice = "its bytes are in .content, and client.download(url, to) writes a file to disk"
        else:
            advice = "its bytes are in .content"
        error = ContentError(
            f"{self.request.method} {self.request.template}: the content of the response {self.status_code} {fault}: came "
            f"{len(self.content)} bytes of {escape(media_type) or 'no Content-Type'}; {advice}"
        )
        error.request = self.request
        return error

    def __reduce__(self) -> tuple[object, ...]:
        # What opens it holds the merchant's keys, and must not go to another process.
        return Response, (self.status_code, self.headers, self.content, copy(self.request))

    def _open(self, text: str) -> str:
        if self.opener is None:
            raise DecryptionError("the answer did not come through a client, whose key could decrypt it")
        return self.opener(text)

    @property
    def request_id(self) -> str:
        """The Request-ID header as it came, which WeChat Pay's support asks for; empty where the response has none.

        Whoever wrote the response wrote it: escape it before it goes into a log. This package's own log does.
        """
        return str(self.headers.get("Request-ID", ""))


_TEXTS = ("", "application/json", "text/html", "text/plain", "application/xml", "text/xml")
"""Media types of errors and pages, which are no files."""


class Wait(NamedTuple):
    """An effect: go on when somebody else has finished, or after some seconds, whichever is first.

    The flow is resumed with True when it has finished, False when it is late, None when waiting would never end, for this
    very thread is needed to finish it.

    Attributes:
        future: what is waited for. Its result is not asked for.
        seconds: how long at the most.
    """

    future: Future[None]
    seconds: float


class Sleep(NamedTuple):
    """An effect: go on after some seconds. The flow is resumed with None.

    Attributes:
        seconds: how many.
    """

    seconds: float


class Ask(NamedTuple):
    """An effect: go on with what somebody else's code answers, which may take its time.

    The flow is resumed with the answer. A plain function is called where it holds up no event loop, a coroutine function is
    awaited.

    Attributes:
        function: takes no arguments, and returns the answer or an awaitable of it.
    """

    function: Callable[[], Any]


class Compute(NamedTuple):
    """An effect: go on with what a function of ours computes, which lets other threads run meanwhile.

    A blocking call computes it at once; on an event loop it takes turns with whatever else is to be done there.

    Attributes:
        function: takes no arguments, and waits for nothing.
    """

    function: Callable[[], Any]


Effect = Wait | Sleep | Ask | Compute
"""What a flow asks the world for besides an answer of the service."""

Steps = Generator[Request | Effect, Any, T]
"""A part of a call. It yields a request and is resumed with its response, or has the transport's error thrown into it; it
yields an effect and is resumed with what the effect says, which no type can tell apart; it returns its result."""

Flow = Steps[Response]
"""A whole call under way, which returns the response."""

Middleware = Callable[[Request], Flow]
"""Begins a flow that passes its request on by yielding it."""


def request_message(method: str, target: str, timestamp: int | str, nonce: str, body: bytes | str) -> bytes:
    """The canonical message of a request: five lines, each ended by a line feed, the body's too.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342

    Args:
        method: the verb.
        target: path and query exactly as sent.
        timestamp: Unix time in seconds.
        nonce: the random text of the Authorization header.
        body: exactly what is sent; empty when there is none.
    """
    return f"{method.upper()}\n{target}\n{timestamp}\n{nonce}\n".encode() + _octets(body) + b"\n"


def response_message(timestamp: int | str, nonce: str, body: bytes | str) -> bytes:
    """The canonical message of an answer or a notification: timestamp, nonce, raw body, each ended by a line feed.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
    """
    return f"{timestamp}\n{nonce}\n".encode() + _octets(body) + b"\n"


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_bytes(value: object, argument: str = "json", place: str = "") -> bytes:
    """Writes a value as compact JSON in UTF-8, the bytes that are both signed and sent.

    Args:
        value: what JSON can write.
        argument: the name of the argument that it came in, for the error.
        place: where it stands in there; empty for the argument itself.

    Raises:
        ArgumentError: the value holds what JSON or UTF-8 cannot write: NaN, half of a surrogate pair, an object. The
            message says where, and what to write instead.
    """
    try:
        return _JSON.encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        from wechatpay_chain.unwritable import find_fault

        fault = find_fault(value, place) or f"{place or 'it'} holds what JSON cannot write"
        raise ArgumentError(f"{argument}: {fault}") from None


def body_bytes(value: object) -> bytes:
    """Writes the body of a request: an object or a list, as JSON.

    Raises:
        ArgumentError: the value is neither a dict nor a list, or holds what JSON cannot write.
    """
    check_body(value)
    return json_bytes(value)


def check_body(value: object) -> None:
    """Sees to it that a body is an object or a list; no operation takes another.

    Raises:
        ArgumentError: it is not. For a text the reason is most often that it is JSON already.
    """
    if isinstance(value, (dict, list, tuple)):
        return
    from wechatpay_chain.unwritable import advise, name_kind

    is_text = isinstance(value, (str, bytes, bytearray, memoryview))
    advice = "json= is written as JSON by the client, so leave json.dumps out" if is_text else advise(value)
    raise ArgumentError(f"json: came {name_kind(value)}; expected a dict or a list{advice and f'; {advice}'}")


# The signature, the framing of the message and the host are not the caller's to set.
RESERVED_FIELDS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_FIELD_VALUE = re.compile(r"[\x20-\x7e]*")


@lru_cache(maxsize=1024)
def is_field_name(name: str) -> bool:
    """Whether a text can be a header's name."""
    return _FIELD_NAME.fullmatch(name) is not None


def check_fields(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers that a caller adds, if they can be sent and are his to set.

    Raises:
        ArgumentError: one cannot, or is not.
    """
    if not isinstance(headers, Mapping):
        raise ArgumentError(f"headers: came a {type(headers).__name__}; expected a mapping from names to texts")
    for name, value in headers.items():
        if not isinstance(name, str) or not is_field_name(name):
            raise ArgumentError(f"headers: {name!r} is not a header's name")
        if name.lower() in RESERVED_FIELDS:
            raise ArgumentError(f"headers: {name} is made by the client and cannot be set")
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            raise ArgumentError(f"headers: the value of {name} is not a text of printable ASCII characters")
    return headers


_CREDENTIAL = re.compile(r'([a-z_]+)="([^"]*)"')
_CREDENTIALS = re.compile(rf"{_CREDENTIAL.pattern}(?:,{_CREDENTIAL.pattern})*", re.ASCII)


def parse_authorization(value: str) -> dict[str, str]:
    """The items of an Authorization header of ours, in whatever order; empty for a header of any other form."""
    scheme, _, credentials = value.partition(" ")
    if scheme != AUTHORIZATION_SCHEME or not _CREDENTIALS.fullmatch(credentials):
        return {}
    items = _CREDENTIAL.findall(credentials)
    return dict(items) if len(dict(items)) == len(items) else {}


_HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


def split_origin(url: str) -> tuple[str, str]:
    """Scheme and host of a URL.

    Raises:
        ValueError: it has no host that a connection could be made to.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        ipaddress.IPv6Address(host)
    if parts.port == 0:
        raise ValueError("port 0 is none")
    return parts.scheme, host


def is_loopback(host: str) -> bool:
    """Tells whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
