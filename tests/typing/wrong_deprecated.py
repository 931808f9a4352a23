# mypy: enable-error-code="deprecated"
# pyright: reportDeprecated=true
"""Calls of operations that are no longer offered: an editor strikes them through, and a type checker reports them if it is asked to."""

from __future__ import annotations

from wechatpay_chain import Client

client = Client(mchid="1900007291")
node = client["v3/ebike/charge/contracts/<contract_id>"]

client.v3.ebike.charge.contracts._contract_id_.get(contract_id="1")  # type: ignore[deprecated]
node.get(contract_id="1")  # type: ignore[deprecated]


async def awaited() -> None:
    await node.get_async(contract_id="1")  # type: ignore[deprecated]


client.v3.merchant_service.complaints_v2._complaint_id_.get(complaint_id="1")
