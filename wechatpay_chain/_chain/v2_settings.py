"""What the calls of APIv2 need of a client's settings."""

from __future__ import annotations

from typing import NamedTuple

from wechatpay_chain._messages.request import Timeout
from wechatpay_chain._schemes.apiv2 import V2Keys

__all__ = ["V2Settings"]


class V2Settings(NamedTuple):
    """The settings of the calls of APIv2.

    Attributes:
        keys: the APIv2 keys, and the secret of an application of enterprise WeChat; there may be none.
        mchid: the merchant number.
        origin: scheme, host and port of the service.
        obeys_hosts: whether an operation is called at a host of its own, as the service has it; a sandbox or a gateway has one.
        timeout: of calls that have none of their own.
        has_certificate: whether the merchant's TLS certificate can be presented.
    """

    keys: V2Keys
    mchid: str
    origin: str
    obeys_hosts: bool
    timeout: Timeout
    has_certificate: bool

    def __repr__(self) -> str:
        return f"<V2Settings {self.mchid} {self.origin}>"
