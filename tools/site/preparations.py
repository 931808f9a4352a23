"""What has to be there before a call can succeed, such as the order that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tools.site.coupons import list_of_coupons
from tools.site.deductions import list_of_deductions
from tools.site.service_orders import list_of_service_orders
from tools.site.stage import Given, Preparation, Stage
from tools.site.v2_preparations import list_of_v2

__all__ = ["find_preparation", "list_prepared"]

DAY = 86400.0
NUMBER = "1217752501201407033233368018"
SUB_MCHID = "1900000109"


def find_preparation(slug: str) -> Preparation:
    """Returns what has to be there before the call of an operation.

    Args:
        slug: the name of the operation's page.
    """
    return _PREPARATIONS.get(slug, Preparation("", lambda _: {}))


def list_prepared() -> list[str]:
    """Returns the names of the pages whose calls need something."""
    return list(_PREPARATIONS)


def _order(stage: Stage, start: str, **given: Any) -> Given:
    """Places an order, and returns its number."""
    stage.call(f"{start}.native.post", out_trade_no=NUMBER, time_expire=None, **given)
    return {"out_trade_no": NUMBER}


def _paid(stage: Stage, start: str, **given: Any) -> Given:
    """Places an order, pays it, and returns its numbers."""
    _order(stage, start, **given)
    stage.sandbox.pay(NUMBER, notify=False)
    payment = stage.sandbox.orders[NUMBER].payment
    assert payment
    return {"out_trade_no": NUMBER, "transaction_id": payment.transaction_id}


def _codepay(stage: Stage, start: str) -> Given:
    """Pays by a payment code, and returns the number of the order."""
    stage.call(f"{start}.codepay.post", out_trade_no=NUMBER, total=100)
    return {"out_trade_no": NUMBER}


def _paid_for_refund(stage: Stage) -> Given:
    paid = _paid(stage, _PAY, total=888)
    amount = {"refund": 888, "total": 888, "currency": "CNY"}
    return {"transaction_id": paid["transaction_id"], "out_trade_no": None, "sub_mchid": None, "amount": amount}


def _refund(stage: Stage) -> Given:
    stage.call("v3.refund.domestic.refunds.post", **{**_paid_for_refund(stage), "out_refund_no": NUMBER})
    return {"out_refund_no": NUMBER, "sub_mchid": None}


def _abnormal_refund(stage: Stage) -> Given:
    found = _refund(stage)
    refund = stage.sandbox.refunds[NUMBER]
    refund.finish("ABNORMAL", notify=False)
    return {**found, "refund_id": refund.refund_id}


def _paid_for_platform_refund(stage: Stage) -> Given:
    """Pays an order of a sub-merchant, which is not a combined one, and returns what its refund needs."""
    paid = _paid(stage, _PARTNER, total=888, sub_mchid=SUB_MCHID)
    return {
        "transaction_id": paid["transaction_id"],
        "sub_mchid": SUB_MCHID,
        "amount": {"refund": 888, "total": 888, "currency": "CNY"},
        "out_refund_no": NUMBER,
        **dict.fromkeys(("out_trade_no", "combine_mchid", "combine_out_trade_no", "combine_transaction_id")),
        "individual_auth_id": None,
    }


def _platform_refund(stage: Stage, status: str = "SUCCESS", **given: Any) -> Given:
    """Refunds an order of a sub-merchant, and returns the numbers of the refund."""
    found = _paid_for_platform_refund(stage)
    refund_id = stage.call(f"{_PLATFORM_REFUNDS}.apply.post", **found, **given)["refund_id"]
    stage.sandbox.refunds[NUMBER].finish(status, notify=False)
    return {**found, "refund_id": refund_id}


def _advanced_refund(stage: Stage) -> Given:
    return _platform_refund(stage, refund_account="REFUND_SOURCE_PARTNER_ADVANCE")


def _returned_advance(stage: Stage) -> Given:
    found = _advanced_refund(stage)
    stage.call(f"{_PLATFORM_REFUNDS}.refund_id.return-advance.post", **found)
    return found


def _bill_day(stage: Stage) -> Given:
    """Pays an order of the merchant and one of a sub-merchant, and returns the day when its bills are ready."""
    _paid(stage, _PAY)
    stage.call(f"{_PARTNER}.native.post", out_trade_no="20260101-0001", time_expire=None, sub_mchid=SUB_MCHID)
    stage.sandbox.pay("20260101-0001", notify=False)
    day = stage.sandbox.now.date()
    stage.sandbox.advance(2 * DAY)
    return {"bill_date": day.isoformat(), "sub_mchid": SUB_MCHID}


def _bill_of_merchant(stage: Stage) -> Given:
    return {**_bill_day(stage), "sub_mchid": None}


def _bill_file(stage: Stage) -> Given:
    announced = stage.call("v3.bill.tradebill.get", **_bill_of_merchant(stage))
    query = parse_qs(urlsplit(announced["download_url"]).query)
    return {"token": query["token"][0], "tartype": None}


def _combined(stage: Stage) -> Given:
    number = "P20150806125346"
    stage.call("v3.combine-transactions.native.post", combine_out_trade_no=number, time_expire=None, time_start=None)
    return {"combine_out_trade_no": number, "individual_auth_id": None}


def _sub_applyment(stage: Stage) -> Given:
    number = "APPLYMENT_00000000001"
    made = stage.call("v3.applyment4sub.applyment.empty.post", business_code=number)
    return {"business_code": number, "applyment_id": str(made["applyment_id"])}


def _shop_applyment(stage: Stage) -> Given:
    number = "APPLYMENT_00000000001"
    made = stage.call("v3.ecommerce.applyments.empty.post", out_request_no=number)
    return {"out_request_no": number, "applyment_id": str(made["applyment_id"])}


def _transfer(start: str) -> Callable[[Stage], Given]:
    def prepare(stage: Stage) -> Given:
        given = {"out_bill_no": "plfk2020042013", "sub_mchid": SUB_MCHID, "openid": "o-MYE42l80oelYMDE34nYD456Xoy"}
        made = stage.call(f"{start}.post", **given, transfer_amount=400000)
        return {**given, "transfer_bill_no": made["transfer_bill_no"]}

    return prepare


def _complaint_url(stage: Stage) -> Given:
    stage.call("v3.merchant-service.complaint-notifications.post")
    return {}


def _complaint(stage: Stage) -> Given:
    _paid(stage, _PAY)
    complaint = stage.sandbox.complain(NUMBER, problem_type="REFUND", refund=100, images=[b"\xff\xd8\xff picture"])
    uploaded = stage.call("v3.merchant-service.images.upload.post", files=None)
    return {
        "complaint_id": complaint.complaint_id,
        "complainted_mchid": stage.client.mchid,
        "response_images": [uploaded["media_id"]],
        "reject_media_list": [uploaded["media_id"]],
    }


def _handled_complaint(stage: Stage) -> Given:
    found = _complaint(stage)
    stage.call("v3.merchant-service.complaints-v2.complaint_id.response.post", **found)
    return found


def _image(stage: Stage) -> Given:
    return {"media_id": stage.call("v3.merchant-service.images.upload.post")["media_id"]}


def _sharing_order(stage: Stage) -> Given:
    """Pays an order whose money can be shared, and adds the receiver."""
    paid = _paid(stage, _PAY, profit_sharing=True, total=10_000)
    stage.sandbox.advance(60)
    receiver = {"type": "MERCHANT_ID", "account": "86693852", "appid": "wx8888888888888888", "name": None}
    stage.call("v3.profitsharing.receivers.add.post", **receiver, sub_mchid=None, sub_appid=None)
    return {"transaction_id": paid["transaction_id"], "sub_mchid": None, "sub_appid": None, "name": None}


def _shared(stage: Stage) -> Given:
    found = {**_sharing_order(stage), "out_order_no": "P20150806125346", "unfreeze_unsplit": False}
    stage.call("v3.profitsharing.orders.post", **found)
    stage.sandbox.advance(60)
    return {**found, "order_id": None}


def _returned(stage: Stage) -> Given:
    found = {**_shared(stage), "out_return_no": "R20190516001"}
    stage.call("v3.profitsharing.return-orders.post", **found)
    return found


_PAY = "v3.pay.transactions"
_PARTNER = "v3.pay.partner.transactions"
_PLATFORM_REFUNDS = "v3.ecommerce.refunds"

_COMPLAINTS = "v3.merchant-service.complaints-v2.complaint_id"
_TRANSFERS = (
    "v3.fund-app.mch-transfer.transfer-bills",
    "v3.fund-app.mch-transfer.partner.transfer-bills",
    "v3.ecommerce.mch-transfer.transfer-bills",
)


def _list_preparations() -> Iterator[tuple[str, Preparation]]:
    """Yields the preparations by the names of their pages."""
    yield "v3.certificates.get", Preparation("", lambda _: {"algorithm_type": "RSA"})
    for start, place in ((_PAY, "一笔订单"), (_PARTNER, "一笔特约商户的订单")):
        paid = Preparation(f"{place}，用户已支付", partial(_paid, start=start))
        yield f"{start}.id.transaction_id.get", paid
        yield f"{start}.out-trade-no.out_trade_no.get", paid
        yield (
            f"{start}.out-trade-no.out_trade_no.close.post",
            Preparation(f"{place}，尚未支付", partial(_order, start=start)),
        )
        yield (
            f"{start}.out-trade-no.out_trade_no.reverse.post",
            Preparation("一笔已支付的付款码订单", partial(_codepay, start=start)),
        )
    combined = Preparation("一笔合单，尚未支付", _combined)
    yield "v3.combine-transactions.out-trade-no.combine_out_trade_no.get", combined
    yield "v3.combine-transactions.out-trade-no.combine_out_trade_no.close.post", combined
    yield "v3.refund.domestic.refunds.post", Preparation("一笔已支付的订单", _paid_for_refund)
    yield "v3.refund.domestic.refunds.out_refund_no.get", Preparation("一笔退款", _refund)
    yield (
        "v3.refund.domestic.refunds.refund_id.apply-abnormal-refund.post",
        Preparation("一笔异常的退款", _abnormal_refund),
    )
    yield "v3.bill.tradebill.get", Preparation("前天有一笔已支付的订单", _bill_of_merchant)
    yield "v3.bill.fundflowbill.get", Preparation("前天有一笔已支付的订单", _bill_of_merchant)
    yield "v3.bill.sub-merchant-fundflowbill.get", Preparation("前天有一笔特约商户的已支付订单", _bill_day)
    yield "v3.ecommerce.bill.fundflowbill.get", Preparation("前天有一笔二级商户的已支付订单", _bill_of_merchant)
    yield "v3.billdownload.file.get", Preparation("已申请交易账单，得到下载地址中的 `token`", _bill_file)
    for start in _TRANSFERS:
        transfer = Preparation("一笔等待用户确认的转账", _transfer(start))
        yield f"{start}.out-bill-no.out_bill_no.get", transfer
        yield f"{start}.out-bill-no.out_bill_no.cancel.post", transfer
        if "partner" not in start:
            yield f"{start}.transfer-bill-no.transfer_bill_no.get", transfer
    yield from _list_of_platform_refunds()
    yield from _list_of_sharing()
    yield from _list_of_complaints()
    yield from _list_of_applyments()
    yield from list_of_coupons()
    yield from list_of_deductions()
    yield from list_of_service_orders()
    yield from list_of_v2()


def _list_of_platform_refunds() -> Iterator[tuple[str, Preparation]]:
    order = Preparation("一笔二级商户的已支付订单", _paid_for_platform_refund)
    yield f"{_PLATFORM_REFUNDS}.apply.post", order
    refund = Preparation("一笔二级商户的退款，已成功", _platform_refund)
    yield f"{_PLATFORM_REFUNDS}.id.refund_id.get", refund
    yield f"{_PLATFORM_REFUNDS}.out-refund-no.out_refund_no.get", refund
    abnormal = Preparation("一笔二级商户的异常退款", partial(_platform_refund, status="ABNORMAL"))
    yield f"{_PLATFORM_REFUNDS}.refund_id.apply-abnormal-refund.post", abnormal
    advanced = Preparation("一笔由平台垫付的退款，已成功", _advanced_refund)
    yield f"{_PLATFORM_REFUNDS}.refund_id.return-advance.post", advanced
    returned = Preparation("一笔由平台垫付的退款，二级商户已回补", _returned_advance)
    yield f"{_PLATFORM_REFUNDS}.refund_id.return-advance.get", returned


def _list_of_sharing() -> Iterator[tuple[str, Preparation]]:
    order = Preparation("一笔已支付的分账订单和一个分账接收方", _sharing_order)
    yield "v3.profitsharing.orders.post", order
    yield "v3.profitsharing.orders.unfreeze.post", order
    yield "v3.profitsharing.transactions.transaction_id.amounts.get", order
    shared = Preparation("一笔已完成的分账", _shared)
    yield "v3.profitsharing.orders.out_order_no.get", shared
    yield "v3.profitsharing.return-orders.post", shared
    yield "v3.profitsharing.return-orders.out_return_no.get", Preparation("一笔分账回退", _returned)


def _list_of_complaints() -> Iterator[tuple[str, Preparation]]:
    for verb in ("get", "put", "delete"):
        yield f"v3.merchant-service.complaint-notifications.{verb}", Preparation("已设置通知地址", _complaint_url)
    complaint = Preparation("一笔已支付的订单，用户投诉并要求退款", _complaint)
    for call in ("get", "negotiation-historys.get", "response.post", "update-refund-progress.post"):
        yield f"{_COMPLAINTS}.{call}", complaint
    yield f"{_COMPLAINTS}.response-immediate-service.post", complaint
    yield f"{_COMPLAINTS}.complete.post", Preparation("一个已回复的投诉", _handled_complaint)
    yield "v3.merchant-service.images.media_id.get", Preparation("一张已上传的图片", _image)


def _list_of_applyments() -> Iterator[tuple[str, Preparation]]:
    sub = Preparation("一个特约商户的申请单", _sub_applyment)
    yield "v3.applyment4sub.applyment.applyment_id.applyment_id.get", sub
    yield "v3.applyment4sub.applyment.business_code.business_code.get", sub
    shop = Preparation("一个二级商户的申请单", _shop_applyment)
    for call in ("out-request-no.out_request_no.get", "out-request-no.out_request_no.revoke.post"):
        yield f"v3.ecommerce.applyments.{call}", shop
    for call in ("applyment_id.get", "applyment_id.revoke.post"):
        yield f"v3.ecommerce.applyments.{call}", shop


_PREPARATIONS = dict(_list_preparations())
