"""The request of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from wechatpay_chain._messages.headers import Headers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["Request", "Sink", "Timeout", "Upload", "copied"]


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
