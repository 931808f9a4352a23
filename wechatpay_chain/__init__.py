"""WeChat Pay for Python: a chain of attributes is the URL; requests are signed and responses verified, sync and async.

    client.v3.pay.transactions.id._transaction_id_.get(transaction_id="4200…", params={"mchid": "1900…"})
    await client.v3.pay.transactions.id._transaction_id_.get_async(transaction_id="4200…", params={"mchid": "1900…"})

Names are imported when they are first used, so importing the package takes almost no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from wechatpay_chain._version import __version__

if TYPE_CHECKING:
    from wechatpay_chain._bulk.bulk import Bulk, Result
    from wechatpay_chain._chain.node import Chain, Node
    from wechatpay_chain._chain.paging import Pages, pages
    from wechatpay_chain._chain.template import Params, PathValue
    from wechatpay_chain._client import Client
    from wechatpay_chain._files.source import Files
    from wechatpay_chain._messages.effects import Flow, Middleware
    from wechatpay_chain._messages.headers import Headers
    from wechatpay_chain._messages.protocols import (
        AsyncTransport,
        CertificateCache,
        NonceStore,
        SharedCertificateCache,
        Signer,
        Transport,
        Verifier,
    )
    from wechatpay_chain._messages.request import Request
    from wechatpay_chain._messages.response import Response
    from wechatpay_chain._messages.sensitive import Sensitive
    from wechatpay_chain._notifications.notification import Notification
    from wechatpay_chain._notifications.notifications import Notifications, Reply
    from wechatpay_chain._notifications.xml_notification import RefundNotice, XMLNotification
    from wechatpay_chain._payment import Payment
    from wechatpay_chain._payment_v2 import PaymentV2
    from wechatpay_chain._pipeline.retry import Retry
    from wechatpay_chain._pipeline.stack import Stack
    from wechatpay_chain._stores.memory_stores import SeenNonces
    from wechatpay_chain.errors import (
        APIError,
        ArgumentError,
        Attempt,
        AuthenticationError,
        BadRequestError,
        BillError,
        ClientError,
        ConfigurationError,
        ContentError,
        DecryptionError,
        ForbiddenError,
        NotFoundError,
        PathVariableError,
        RateExceededError,
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

_HOMES = {
    "APIError": "errors",
    "ArgumentError": "errors",
    "AsyncTransport": "_messages.protocols",
    "Attempt": "errors",
    "AuthenticationError": "errors",
    "BadRequestError": "errors",
    "BillError": "errors",
    "Bulk": "_bulk.bulk",
    "CertificateCache": "_messages.protocols",
    "Chain": "_chain.node",
    "Client": "_client",
    "ClientError": "errors",
    "ConfigurationError": "errors",
    "ContentError": "errors",
    "DecryptionError": "errors",
    "Files": "_files.source",
    "Flow": "_messages.effects",
    "ForbiddenError": "errors",
    "Headers": "_messages.headers",
    "Middleware": "_messages.effects",
    "Node": "_chain.node",
    "NonceStore": "_messages.protocols",
    "NotFoundError": "errors",
    "Notification": "_notifications.notification",
    "Notifications": "_notifications.notifications",
    "Pages": "_chain.paging",
    "Params": "_chain.template",
    "PathValue": "_chain.template",
    "PathVariableError": "errors",
    "Payment": "_payment",
    "PaymentV2": "_payment_v2",
    "RateExceededError": "errors",
    "RateLimitError": "errors",
    "Reason": "errors",
    "RedirectionError": "errors",
    "RefundNotice": "_notifications.xml_notification",
    "Reply": "_notifications.notifications",
    "Request": "_messages.request",
    "Response": "_messages.response",
    "Result": "_bulk.bulk",
    "Retry": "_pipeline.retry",
    "SeenNonces": "_stores.memory_stores",
    "Sensitive": "_messages.sensitive",
    "ServerError": "errors",
    "SignatureError": "errors",
    "SharedCertificateCache": "_messages.protocols",
    "Signer": "_messages.protocols",
    "Stack": "_pipeline.stack",
    "Transport": "_messages.protocols",
    "TransportError": "errors",
    "TransportTimeout": "errors",
    "UnsupportedError": "errors",
    "Verifier": "_messages.protocols",
    "WeChatPayError": "errors",
    "XMLNotification": "_notifications.xml_notification",
    "pages": "_chain.paging",
}

__all__ = [
    "APIError",
    "ArgumentError",
    "AsyncTransport",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BillError",
    "Bulk",
    "CertificateCache",
    "Chain",
    "Client",
    "ClientError",
    "ConfigurationError",
    "ContentError",
    "DecryptionError",
    "Files",
    "Flow",
    "ForbiddenError",
    "Headers",
    "Middleware",
    "Node",
    "NonceStore",
    "NotFoundError",
    "Notification",
    "Notifications",
    "Pages",
    "Params",
    "PathValue",
    "PathVariableError",
    "Payment",
    "PaymentV2",
    "RateExceededError",
    "RateLimitError",
    "Reason",
    "RedirectionError",
    "RefundNotice",
    "Reply",
    "Request",
    "Response",
    "Result",
    "Retry",
    "SeenNonces",
    "Sensitive",
    "ServerError",
    "SharedCertificateCache",
    "SignatureError",
    "Signer",
    "Stack",
    "Transport",
    "TransportError",
    "TransportTimeout",
    "UnsupportedError",
    "Verifier",
    "WeChatPayError",
    "XMLNotification",
    "__version__",
    "pages",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wechatpay_chain._forks.no_fork import no_fork

    with no_fork.current:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
