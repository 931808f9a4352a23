"""The exception tree.

    WeChatPayError
    ├── ConfigurationError      a setting of the client is missing, invalid or contradicts another
    ├── PathVariableError       a path variable is missing, unknown or unsafe
    ├── ArgumentError           a body, query, header, file or timeout cannot be sent as it is
    ├── UnsupportedError        the call is one of another kind of customer; or there is no asyncio
    ├── RateExceededError       the client's own rate limit is used up; the service was not asked
    ├── TransportError          no complete response was received
    │   └── TransportTimeout        a timeout passed before the response was complete
    ├── ContentError            the content of a response is too large for memory, or is not JSON or XML
    ├── SignatureError          the signature of a response or a notification is not verified
    ├── BillError               a file is not a bill, or a line of it cannot be read
    ├── DecryptionError         a ciphertext was altered, is malformed, or is for another key
    └── APIError                the service responded with an error: a status other than 2xx, or a failure in APIv2
        ├── RedirectionError            3xx, never followed
        ├── ClientError                 4xx
        │   ├── BadRequestError         400; in APIv2, every failure that no other class is for
        │   ├── AuthenticationError     401, the service refused the signature
        │   ├── ForbiddenError          403
        │   ├── NotFoundError           404
        │   └── RateLimitError          429
        └── ServerError                 5xx, the outcome is unknown

Every error has `sent`, which tells whether the service may have received the call and acted on it. A call raises the
first four errors before anything is sent.

Any other exception that a call raises is a bug of this package, except: an `OSError` of one of your files, a
`TypeError` or an `AttributeError` for a call that is written wrongly, whatever your own layers and callbacks raise, and
the cancellation of a task.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from wechatpay_chain._messages.faults import (
    ArgumentError,
    Attempt,
    BillError,
    ConfigurationError,
    ContentError,
    DecryptionError,
    PathVariableError,
    RateExceededError,
    TransportError,
    TransportTimeout,
    UnsupportedError,
    WeChatPayError,
)

if TYPE_CHECKING:
    from wechatpay_chain._messages.response import Response

__all__ = [
    "APIError",
    "ArgumentError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BillError",
    "ClientError",
    "ConfigurationError",
    "ContentError",
    "DecryptionError",
    "ForbiddenError",
    "NotFoundError",
    "PathVariableError",
    "RateExceededError",
    "RateLimitError",
    "Reason",
    "RedirectionError",
    "ServerError",
    "SignatureError",
    "TransportError",
    "TransportTimeout",
    "UnsupportedError",
    "WeChatPayError",
]


class Reason(str, enum.Enum):
    """The check that a response or a notification failed."""

    __str__ = str.__str__

    MISSING_SIGNATURE = "missing signature"
    """A response or a notification of APIv2 has no `sign`."""
    MISSING_HEADER = "missing header"
    """One of Wechatpay-Timestamp, -Nonce, -Signature, -Serial is absent or empty."""
    BAD_TIMESTAMP = "bad timestamp"
    """Wechatpay-Timestamp is not a number of seconds."""
    CLOCK_SKEW = "clock skew"
    """Wechatpay-Timestamp differs from this machine's clock by 300 seconds or more."""
    UNKNOWN_SERIAL = "unknown serial"
    """Wechatpay-Serial names a key that the client does not have."""
    BAD_SIGNATURE = "bad signature"
    """The signature does not match the received bytes, or is malformed (that of a probe, for example)."""
    DIGEST_MISMATCH = "digest mismatch"
    """The digest of a statement, a bill or a receipt is not the one that was signed or announced."""
    VERIFIER_FAILED = "verifier failed"
    """The `verifier=` of the client raised an error."""
    REPLAYED = "replayed"
    """A notification with the same nonce was received before."""
    NONCE_STORE_FAILED = "nonce store failed"
    """`seen=` raised an error, so that it is unknown whether the notification is a replay."""


class SignatureError(WeChatPayError):
    """The signature of a 2xx response or of a notification is not verified. Do not trust its content.

    It is unknown what the request of such a response did: query the outcome before you repeat the call.

    Attributes:
        reason: the check that failed.
        response: the unverified response; None for a notification.
    """

    def __init__(self, message: str, reason: Reason, response: Response | None) -> None:
        super().__init__(message, reason, response)
        self.reason = reason
        self.response = response
        self.sent = response is not None

    def __str__(self) -> str:
        return str(self.args[0])


class APIError(WeChatPayError):
    """The service responded with a status other than 2xx; in APIv2 also with a return_code or result_code other than SUCCESS.

    Such a response may be unsigned (https://pay.weixin.qq.com/doc/v3/merchant/4012081709), so treat `code` and
    `message` as hints: a 404 does not prove that an order was not created.

    Attributes:
        status_code: the HTTP status.
        code: the service's error code, such as ``PARAM_ERROR``; empty if the response has none. In APIv2, its err_code or
            error_code, otherwise its return_code.
        message: the service's message; empty if the response has none. In APIv2, its err_code_des or return_msg.
        detail: more from the service, often an object with ``field``, ``value``, ``issue`` and ``location``; None if
            the response has none. In APIv2, its return_code, result_code, err_code and err_code_des.
        request_id: the Request-ID header, which WeChat Pay's support asks for; empty if the response has none.
        response: the whole response.
    """

    sent = True

    def __init__(self, explanation: str, code: str, message: str, detail: Any, response: Response) -> None:
        super().__init__(explanation, code, message, detail, response)
        self.code = code
        self.message = message
        self.detail = detail
        self.response = response
        self.status_code = response.status_code
        self.request_id = response.request_id

    def _field(self, name: str) -> str:
        return str(self.detail.get(name, "")) if isinstance(self.detail, dict) else ""

    @property
    def return_code(self) -> str:
        """In APIv2, FAIL or another word if the call was not accepted at all; empty in APIv3."""
        return self._field("return_code")

    @property
    def result_code(self) -> str:
        """In APIv2, FAIL if the call was accepted and failed; empty in APIv3."""
        return self._field("result_code")

    @property
    def err_code(self) -> str:
        """In APIv2, the code of the failure, such as ORDERPAID; empty if there is none, and in APIv3."""
        return self._field("err_code")

    @property
    def err_code_des(self) -> str:
        """In APIv2, the failure in words for people; empty if there is none, and in APIv3."""
        return self._field("err_code_des")

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class RedirectionError(APIError):
    """3xx: a redirect. It is never followed, because that would send the signature to another address."""


class ClientError(APIError):
    """4xx: the service refused the request."""


class BadRequestError(ClientError):
    """400: a parameter is wrong, or the current state does not allow the operation."""


class AuthenticationError(ClientError):
    """401: the service did not accept the signature, the serial, the merchant number or the clock."""


class ForbiddenError(ClientError):
    """403: no permission, or a business rule forbids it."""


class NotFoundError(ClientError):
    """404: the resource does not exist, or not yet."""


class RateLimitError(ClientError):
    """429: too many requests; slow down, then repeat with the same parameters."""


class ServerError(APIError):
    """5xx: the outcome is unknown; query it, or repeat with exactly the same parameters."""


# Tracebacks and pickles must name these classes by their public path, wherever they are defined.
for _name in __all__:
    globals()[_name].__module__ = __name__
