"""Reads the replies to notifications of APIv2, which say in their XML whether they were received.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985004
"""

from __future__ import annotations

from wechatpay_chain._messages.xml_body import MalformedXMLError, parse_xml
from wechatpay_chain._schemes.apiv2 import V2Keys

__all__ = ["confirms_receipt", "confirms_scan"]


def confirms_receipt(reply: str) -> bool:
    """Tells whether a reply says that a notification was received. There may be nothing around its XML.

    Args:
        reply: the body of the reply.
    """
    return _read(reply).get("return_code") == "SUCCESS"


def confirms_scan(keys: V2Keys, reply: str) -> bool:
    """Tells whether a reply says that a scan was received. It is the only one that is signed, because it has an order for the user.

    Args:
        keys: the APIv2 key of the merchant.
        reply: the body of the reply.
    """
    fields = _read(reply)
    return fields.get("return_code") == "SUCCESS" and bool(fields.get("prepay_id")) and keys.verify(fields)


def _read(reply: str) -> dict[str, str]:
    if not (reply.startswith("<xml>") and reply.endswith("</xml>")):
        return {}
    try:
        return parse_xml(reply.encode())
    except MalformedXMLError:
        return {}
