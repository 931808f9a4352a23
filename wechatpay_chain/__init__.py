"""WeChat Pay for Python: the chain of attributes is the URL, signed and verified, sync and async.

    client.v3.pay.transactions.id._transaction_id_.get(transaction_id="4200…", params={"mchid": "1900…"})
    await client.v3.pay.transactions.id._transaction_id_.get_async(transaction_id="4200…", params={"mchid": "1900…"})

Names are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from wechatpay_chain._version import __version__

if TYPE_CHECKING:
    from wechatpay_chain._chain.node import Node
    from wechatpay_chain._client import Client
    from wechatpay_chain._messages.faults import Attempt
    from wechatpay_chain._messages.request import Request
    from wechatpay_chain._messages.response import Response
    from wechatpay_chain._messages.sensitive import Sensitive
    from wechatpay_chain._notifications.notification import Notification
    from wechatpay_chain._notifications.notifications import Notifications, Reply
    from wechatpay_chain._pipeline.retry import Retry
    from wechatpay_chain.errors import (
        APIError,
        ArgumentError,
        AuthenticationError,
        BadRequestError,
        ClientError,
        ConfigurationError,
        ContentError,
        DecryptionError,
        ForbiddenError,
        NotFoundError,
        PathVariableError,
        RateLimitError,
        Reason,
        RedirectionError,
        ServerError,
        SignatureError,
        TransportError,
        TransportTimeout,
        UnsupportedError,
        WeChatPayError,
    )
    from wechatpay_chain.stores import SeenNonces

_HOMES = {
    "APIError": "errors",
    "ArgumentError": "errors",
    "Attempt": "errors",
    "AuthenticationError": "errors",
    "BadRequestError": "errors",
    "Client": "_client",
    "ClientError": "errors",
    "ConfigurationError": "errors",
    "ContentError": "errors",
    "DecryptionError": "errors",
    "ForbiddenError": "errors",
    "Node": "_chain.node",
    "NotFoundError": "errors",
    "Notification": "_notifications.notification",
    "Notifications": "_notifications.notifications",
    "PathVariableError": "errors",
    "RateLimitError": "errors",
    "Reason": "errors",
    "RedirectionError": "errors",
    "Reply": "_notifications.notifications",
    "Request": "_messages.request",
    "Response": "_messages.response",
    "Retry": "_pipeline.retry",
    "SeenNonces": "stores",
    "Sensitive": "_messages.sensitive",
    "ServerError": "errors",
    "SignatureError": "errors",
    "TransportError": "errors",
    "TransportTimeout": "errors",
    "UnsupportedError": "errors",
    "WeChatPayError": "errors",
}

__all__ = [
    "APIError",
    "ArgumentError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ClientError",
    "ConfigurationError",
    "ContentError",
    "DecryptionError",
    "ForbiddenError",
    "Node",
    "NotFoundError",
    "Notification",
    "Notifications",
    "PathVariableError",
    "RateLimitError",
    "Reason",
    "RedirectionError",
    "Reply",
    "Request",
    "Response",
    "Retry",
    "SeenNonces",
    "Sensitive",
    "ServerError",
    "SignatureError",
    "TransportError",
    "TransportTimeout",
    "UnsupportedError",
    "WeChatPayError",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wechatpay_chain._forks.importing import importing

    with importing:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
