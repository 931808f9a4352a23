"""Limits of the fields of APIv2 that the catalogue lacks: amounts and numbers of things, which no order can have below zero.

Sources: the pages of the operations.
"""

from __future__ import annotations

from wechatpay_chain._catalogue.operations import Schema

__all__ = ["limit_v2"]

_POSITIVE = (
    "amount",
    "consume_fee",
    "deposit_amount",
    "openid_count",
    "refund_fee",
    "return_amount",
    "total_amount",
    "total_fee",
    "total_num",
)
_NOT_NEGATIVE = (
    "cancel_fee",
    "compensation_fee",
    "duty",
    "offset",
    "order_fee",
    "other_fee",
    "overdue_fine",
    "product_fee",
    "rent_fee",
    "rent_unit_fee",
    "room_rate",
    "transport_fee",
)
"""Parts of an amount, any of which can be missing in it, and the offset of a page."""

_FREE = "/wxv/"
"""Operations of rented things and rooms, whose whole amount is zero if nothing is charged."""


def limit_v2(path: str, schema: Schema) -> Schema:
    """Returns the schema of the fields of an operation, with the least value of each amount.

    Args:
        path: the path of the operation.
        schema: the schema of the catalogue.
    """
    least = {**dict.fromkeys(_POSITIVE, 1), **dict.fromkeys(_NOT_NEGATIVE, 0)}
    if path.startswith(_FREE):
        least["total_amount"] = 0
    properties = {
        name: {**member, "minimum": least[name]} if name in least else member
        for name, member in schema["properties"].items()
    }
    return {**schema, "properties": properties}
