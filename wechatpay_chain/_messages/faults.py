"""Errors that carry no response; `wechatpay_chain.errors` exports them, and adds those that do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wechatpay_chain._messages.request import Request

__all__ = [
    "ArgumentError",
    "Attempt",
    "BillError",
    "ConfigurationError",
    "ContentError",
    "DecryptionError",
    "PathVariableError",
    "RateExceededError",
    "TransportError",
    "TransportTimeout",
    "UnsupportedError",
    "WeChatPayError",
]


class WeChatPayError(Exception):
    """The base class of every error that this package raises on purpose.

    Attributes:
        sent: whether the service may have received the failed call and acted on it. If True, query the outcome, or
            repeat the call with the same order number, before anything else. False if nothing was sent, and for errors
            that are not about a call, such as those of a notification.
        request: the request of the call; None if the error came before the request was made, or is not about a call.
        attempts: every attempt of the call, the last one included; empty if there was none.
    """

    sent: bool = False
    request: Request | None = None
    attempts: tuple[Attempt, ...] = ()


class ConfigurationError(WeChatPayError, ValueError):
    """A setting cannot be used. The message names the setting, what was given and what is expected."""


class PathVariableError(WeChatPayError, ValueError):
    """A path variable is missing, unknown or unsafe, or a template is malformed. Nothing was sent."""


class ArgumentError(WeChatPayError, ValueError):
    """An argument cannot be used. Nothing was sent, unless `Response.decrypt` raises it: then `sent` is True."""


class UnsupportedError(WeChatPayError, NotImplementedError):
    """The call belongs to another kind of customer, a merchant or a brand, or there is no asyncio. Nothing was sent."""


class TransportError(WeChatPayError):
    """No complete response was received.

    Attributes:
        sent: False only if the service cannot have received the complete request.
    """

    def __init__(self, message: str, sent: bool) -> None:
        self.args = (message, sent)
        self.sent = sent

    def __str__(self) -> str:
        return str(self.args[0])


class TransportTimeout(TransportError, TimeoutError):
    """No complete response was received within the timeout. Also a built-in `TimeoutError`.

    Attributes:
        seconds: the timeout.
        setting: the part of `timeout=` that set it: "connect", "read" or "total".
    """

    def __init__(self, message: str, sent: bool, seconds: float, setting: str) -> None:
        super().__init__(message, sent)
        self.args = (message, sent, seconds, setting)
        self.seconds, self.setting = seconds, setting


class ContentError(WeChatPayError, ValueError):
    """The content of a response cannot be used: it is larger than may be read into memory, or is not JSON or XML.

    The service has received the call, and may have acted on it.
    """

    sent = True


class BillError(WeChatPayError, ValueError):
    """A file is not a bill, or a line of it cannot be read. The message has the number of the line, and nothing of its content."""


class RateExceededError(WeChatPayError):
    """A rate limit of the client is used up, and waiting would take too long; see `wechatpay_chain.rates`.

    Attributes:
        seconds: after which a call may be sent, as far as is known.
        sent: True only if an earlier attempt of the same call was sent.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


class DecryptionError(WeChatPayError):
    """A ciphertext was altered, is malformed, or was encrypted for another key."""


class Attempt(NamedTuple):
    """One failed attempt of a call.

    Attributes:
        origin: the scheme and host that it was sent to.
        error: the class of its error.
        status: the HTTP status of the response; None if there was none.
        sent: whether the service may have received the request.
        seconds: how long the attempt took.
    """

    origin: str
    error: type[WeChatPayError]
    status: int | None
    sent: bool
    seconds: float

    def __str__(self) -> str:
        return " ".join(filter(None, (self.error.__name__, str(self.status or ""), f"sent={self.sent}")))
