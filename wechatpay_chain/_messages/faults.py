"""Errors that need no response."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wechatpay_chain._messages.request import Request

if TYPE_CHECKING:
    from wechatpay_chain._messages.request import Request

__all__ = [
    "ArgumentError",
    "Attempt",
    "ConfigurationError",
    "ContentError",
    "DecryptionError",
    "PathVariableError",
    "TransportError",
    "TransportTimeout",
    "UnsupportedError",
    "WeChatPayError",
]


class WeChatPayError(Exception):
    """The root of every error that this package raises on purpose.

    Attributes:
        sent: whether the service may have received the call that ended with this error, and acted on it. Where it is True,
            ask for the outcome, or repeat the call with the very same number, before anything else. False for what was
            never sent, and for what is no call, a notification for example.
        request: the request of the call; None where the error came before there was one, or is not about a call.
        attempts: each time that the call was tried, this last one included; empty for what was never tried.
    """

    sent: bool = False
    request: Request | None = None
    attempts: tuple[Attempt, ...] = ()


class ConfigurationError(WeChatPayError, ValueError):
    """A setting cannot be used. The message names the setting, what came and what is expected."""


class PathVariableError(WeChatPayError, ValueError):
    """A path variable is missing, unknown or unsafe, or a template is malformed. Nothing was sent."""


class ArgumentError(WeChatPayError, ValueError):
    """An argument of a call cannot be put on the wire as it is. Nothing was sent."""


class UnsupportedError(WeChatPayError, NotImplementedError):
    """The call belongs to a part of the protocol that this version does not speak. Nothing was sent."""


class TransportError(WeChatPayError):
    """No whole response came back.

    Attributes:
        sent: False only when the service cannot have received the request whole.
    """

    def __init__(self, message: str, sent: bool) -> None:
        self.args = (message, sent)
        self.sent = sent

    def __str__(self) -> str:
        return str(self.args[0])


class TransportTimeout(TransportError, TimeoutError):
    """No whole response came back within the seconds that the timeout allows. It is a `TimeoutError` of Python's too.

    Attributes:
        seconds: how many.
        setting: which of the three seconds of `timeout=` it was: "connect", "read" or "total".
    """

    def __init__(self, message: str, sent: bool, seconds: float, setting: str) -> None:
        super().__init__(message, sent)
        self.args = (message, sent, seconds, setting)
        self.seconds, self.setting = seconds, setting


class ContentError(WeChatPayError, ValueError):
    """A response came whose content is of no use: larger than may be read into memory, or not JSON.

    The service has received the call, and may have acted on it.
    """

    sent = True


class DecryptionError(WeChatPayError):
    """A ciphertext was altered, is not a ciphertext, or was made for another key."""


class Attempt(NamedTuple):
    """One attempt of a call that failed.

    Attributes:
        origin: scheme and host that it was for.
        error: the class of its error.
        status: the HTTP status of the response; None if there was none.
        sent: whether the service may have received it.
        seconds: how long it took.
    """

    origin: str
    error: type[WeChatPayError]
    status: int | None
    sent: bool
    seconds: float

    def __str__(self) -> str:
        return " ".join(filter(None, (self.error.__name__, str(self.status or ""), f"sent={self.sent}")))
