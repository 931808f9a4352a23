"""Types of every documented operation and notification, named as the chain is.

    from wechatpay_chain.types import v3
    from wechatpay_chain.types.v3 import pay

    order: v3.pay.transactions.native.PostBody = {…}

A name is the chain as attributes, a variable and `_empty_` without their underscores; then the verb and `Body` (`json=`), `Query`
(`params=`) or `Result` (of `response.json()`); then, for an object within it, the member's path: `PostBodyAmount`. `notifications`
has a type for the resource of each event: `notifications.RefundSuccess`.

The types are TypedDicts: plain dicts at run time, which nothing checks. They describe what is documented; where they are wrong or
behind, `client.chain("…")` is a node without them. Modules are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Not when a name is first used: a child that is forked during that import could never finish it.
from wechatpay_chain.types._lazy import import_product

if TYPE_CHECKING:
    from wechatpay_chain.types import global_, hk, notifications, v2, v3

__all__ = ["global_", "hk", "notifications", "v2", "v3"]


def __getattr__(name: str) -> object:
    return import_product(__name__, name)


def __dir__() -> list[str]:
    return __all__
