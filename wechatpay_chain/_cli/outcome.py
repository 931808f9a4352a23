"""How a command ends: its exit status, and the line that says why."""

from __future__ import annotations

from enum import IntEnum

from wechatpay_chain.errors import (
    APIError,
    ContentError,
    DecryptionError,
    ServerError,
    SignatureError,
    TransportError,
    WeChatPayError,
)

__all__ = ["Failure", "Status", "describe_failure", "find_status"]


class Status(IntEnum):
    """The exit status of a command."""

    DONE = 0
    """The command has done what it was asked to."""
    REFUSED = 1
    """The service refused the request with 3xx or 4xx, or a check found an error."""
    USAGE = 2
    """The arguments, the settings or a file are wrong. Nothing was sent that changes anything."""
    UNKNOWN = 3
    """There is no response, a 5xx, or a response that cannot be read or shown: query the outcome before a repetition."""
    UNVERIFIED = 4
    """A signature is not verified, or a text cannot be decrypted."""


class Failure(Exception):
    """An error of a command.

    Attributes:
        status: the exit status.
    """

    def __init__(self, message: str, status: Status = Status.USAGE) -> None:
        super().__init__(message)
        self.status = status


def find_status(error: Failure | WeChatPayError | OSError) -> Status:
    """Returns the exit status of an error."""
    match error:
        case Failure():
            return error.status
        case SignatureError() | DecryptionError():
            return Status.UNVERIFIED
        case TransportError() | ServerError() | ContentError():
            return Status.UNKNOWN
        case APIError():
            return Status.REFUSED
    return Status.USAGE


def describe_failure(error: Failure | WeChatPayError | OSError) -> str:
    """Returns what an error says and advises, on one line."""
    if isinstance(error, OSError):
        where = f"{str(error.filename)!r}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error}"
    notes: list[str] = getattr(error, "__notes__", [])
    return "; ".join(" ".join(text.split()) for text in (str(error), *notes))
