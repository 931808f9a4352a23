"""What can go wrong, as a tree.

    WeChatPayError
    ├── ConfigurationError      a setting of the client is missing, of a wrong kind or contradicts another
    ├── PathVariableError       a path variable is missing, unknown or unsafe
    ├── ArgumentError           a body, query, header or timeout that cannot be put on the wire
    ├── UnsupportedError        a part of the protocol that this version does not speak
    ├── TransportError          no whole response came
    │   └── TransportTimeout        within the seconds that the timeout allows
    ├── ContentError            the content of a response is larger than may be read into memory, or is not JSON
    ├── SignatureError          a response or a notification came, and nothing proves that WeChat Pay wrote it
    ├── DecryptionError         a ciphertext is not one, or not for this key
    └── APIError                a response with a status other than 2xx
        ├── RedirectionError            3xx, never followed
        ├── ClientError                 4xx
        │   ├── BadRequestError         400
        │   ├── AuthenticationError     401, the service refused our signature
        │   ├── ForbiddenError          403
        │   ├── NotFoundError           404
        │   └── RateLimitError          429
        └── ServerError                 5xx, the outcome is unknown

Every error has `sent`: whether the service may have received the call, and acted on it. Of a call, the first four are raised
before anything is sent.

Any other exception that comes out of a call is a bug of this package, but for these: an `OSError` of a file of your own, a
`TypeError` or an `AttributeError` where the call is written wrongly, what your own layers and callbacks raise, and the
cancellation of a task.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from wechatpay_chain._messages.faults import (
    ArgumentError,
    Attempt,
    ConfigurationError,
    ContentError,
    DecryptionError,
    PathVariableError,
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
    "ClientError",
    "ConfigurationError",
    "ContentError",
    "DecryptionError",
    "ForbiddenError",
    "NotFoundError",
    "PathVariableError",
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
    """Why a response is not proven to be WeChat Pay's."""

    __str__ = str.__str__

    MISSING_HEADER = "missing header"
    """One of Wechatpay-Timestamp, -Nonce, -Signature, -Serial is absent or empty."""
    BAD_TIMESTAMP = "bad timestamp"
    """Wechatpay-Timestamp is not a number of seconds."""
    CLOCK_SKEW = "clock skew"
    """Wechatpay-Timestamp is 300 seconds or more away from this machine's clock."""
    UNKNOWN_SERIAL = "unknown serial"
    """Wechatpay-Serial names a key that the client was not given."""
    BAD_SIGNATURE = "bad signature"
    """The signature does not fit the bytes that came, or is not one (a probe, for example)."""
    DIGEST_MISMATCH = "digest mismatch"
    """A statement, a bill or a receipt is not the text whose digest was signed or announced."""
    VERIFIER_FAILED = "verifier failed"
    """The `verifier=` of the client raised an error of its own."""
    REPLAYED = "replayed"
    """A notification came before under the same nonce."""


class SignatureError(WeChatPayError):
    """A response of status 2xx, or a notification, is not proven to be WeChat Pay's, so it is not believed.

    What the request of such a response did is unknown: query before it is repeated.

    Attributes:
        reason: which check failed.
        response: the response as it came; None of a notification. Nothing in it can be trusted.
    """

    def __init__(self, message: str, reason: Reason, response: Response | None) -> None:
        super().__init__(message, reason, response)
        self.reason = reason
        self.response = response
        self.sent = response is not None

    def __str__(self) -> str:
        return str(self.args[0])


class APIError(WeChatPayError):
    """The service answered with a status other than 2xx.

    Such a response may be unsigned (https://pay.weixin.qq.com/doc/v3/merchant/4012081709), so take `code` and `message`
    for hints: a 404 is no proof that an order was not made.

    Attributes:
        status_code: the HTTP status.
        code: the service's error code, such as ``PARAM_ERROR``; empty where the response has none.
        message: the service's own words; empty where the response has none.
        detail: what the service adds, often an object with ``field``, ``value``, ``issue`` and ``location``; or None.
        request_id: the Request-ID header, which WeChat Pay's support asks for; empty where the response has none.
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

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class RedirectionError(APIError):
    """3xx: a redirect, which is never followed, for it would carry the signature elsewhere."""


class ClientError(APIError):
    """4xx: the service refused the request."""


class BadRequestError(ClientError):
    """400: a parameter is wrong, or the state of things does not allow the operation."""


class AuthenticationError(ClientError):
    """401: the service did not accept the signature, the serial, the merchant number or the clock."""


class ForbiddenError(ClientError):
    """403: no permission, or a business rule forbids it."""


class NotFoundError(ClientError):
    """404: it does not exist, or does not exist yet."""


class RateLimitError(ClientError):
    """429: slow down, then repeat with the same parameters."""


class ServerError(APIError):
    """5xx: the outcome is unknown; query, or repeat with the very same parameters."""


# Tracebacks and pickles name these classes as users import them, wherever they are written down.
for _name in __all__:
    globals()[_name].__module__ = __name__
