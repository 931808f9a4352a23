"""What has to be there before a call about product coupons can succeed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from tools.site.stage import Given, Preparation, Stage

__all__ = ["list_of_coupons"]

START = "v3.marketing.partner.product-coupon"
PRODUCT = f"{START}.product-coupons.product_coupon_id"
STOCK = f"{PRODUCT}.stocks.stock_id"
BUNDLES = f"{PRODUCT}.stock-bundles"
COUPON = f"{START}.users.openid.coupons"
COUPON_BUNDLES = f"{START}.users.openid.coupon-bundles"
OPENID = "oh-394z-6CGkNoJrsDLTTUKiAnp4"
BUDGET: Given = {
    "update_mode": "MAX_COUNT",
    "current_max_count": 100000,
    "target_max_count": 200000,
    "current_max_count_per_day": None,
    "target_max_count_per_day": None,
}
SENT: Given = {"send_request_no": "34657_20250101_123456", "appid": "wx233544546545989"}


def list_of_coupons() -> Iterator[tuple[str, Preparation]]:
    """Yields the preparations by the names of their pages."""
    yield f"{START}.notify-configs.get", Preparation("已设置通知地址", _notifications)
    yield f"{START}.product-coupons.post", Preparation("", _period)
    stock = Preparation("一个审核通过的商品券", _stock)
    for call in ("get", "patch", "deactivate.post", "stocks.get", "stocks.post"):
        yield f"{PRODUCT}.{call}", stock
    for call in ("get", "patch", "deactivate.post"):
        yield f"{STOCK}.{call}", stock
    yield f"{STOCK}.update-budget.post", Preparation(stock.words, _budget)
    stores = Preparation("一个审核通过的商品券，指定门店可用", partial(_stock, store_scope="SPECIFIC"))
    for call in ("associate-stores.post", "associated-stores.get", "disassociate-stores.post"):
        yield f"{STOCK}.{call}", stores
    uploaded = Preparation("一个审核通过的商品券，券 Code 由商户上传", partial(_stock, coupon_code_mode="UPLOAD"))
    yield f"{STOCK}.upload-coupon-codes.post", uploaded
    yield f"{COUPON}.post", stock
    sent = Preparation("一张已发放、待确认的商品券", _sent)
    yield f"{COUPON}.coupon_code.get", sent
    yield f"{COUPON}.coupon_code.confirm.post", sent
    confirmed = Preparation("一张可用的商品券", _confirmed)
    yield f"{COUPON}.coupon_code.use.post", confirmed
    yield f"{COUPON}.coupon_code.deactivate.post", confirmed
    yield f"{COUPON}.coupon_code.return.post", Preparation("一张已核销的商品券", _used)
    yield from _list_of_bundles()


def _list_of_bundles() -> Iterator[tuple[str, Preparation]]:
    yield f"{BUNDLES}.post", Preparation("一个审核通过的商品券", _product_of_bundle)
    bundle = Preparation("一个审核通过的商品券批次组", _bundle)
    yield f"{BUNDLES}.stock_bundle_id.patch", bundle
    yield f"{BUNDLES}.stock_bundle_id.update-budget.post", Preparation(bundle.words, _budget_of_bundle)
    stores = Preparation("一个审核通过的商品券批次组，指定门店可用", partial(_bundle, store_scope="SPECIFIC"))
    yield f"{BUNDLES}.stock_bundle_id.associate-stores.post", stores
    associated = Preparation("一个审核通过的商品券批次组，已关联一家门店", _stores_of_bundle)
    yield f"{BUNDLES}.stock_bundle_id.disassociate-stores.post", associated
    yield f"{COUPON_BUNDLES}.post", bundle
    sent = Preparation("一组已发放的商品券", _sent_bundle)
    yield f"{COUPON_BUNDLES}.user_coupon_bundle_id.deactivate.post", sent


def _notifications(stage: Stage) -> Given:
    stage.call(f"{START}.notify-configs.post")
    return {}


def _period(stage: Stage) -> Given:
    """Returns the members of a coupon that is used once, and can be used now."""
    now = stage.sandbox.now.replace(microsecond=0)
    return {
        "available_begin_time": now.isoformat(),
        "available_end_time": (now + timedelta(days=30)).isoformat(),
        "use_time": now.isoformat(),
        "wait_days_after_receive": None,
        "irregular_available_period_list": None,
        "weekly_available_period": None,
        "sequential_usage_rule": None,
        "sequential_usage_info": None,
        "sequential_coupon_index": None,
    }


def _stock(stage: Stage, **given: Any) -> Given:
    """Makes a product coupon, waits for its audit, and returns its numbers."""
    made = stage.call(f"{START}.product-coupons.post", **_period(stage), **given)
    stage.sandbox.advance(60)
    numbers = {"product_coupon_id": made["product_coupon_id"], "stock_id": made["stock"]["stock_id"]}
    return {**_period(stage), **numbers, "brand_id": "120344", "openid": OPENID, "coupon_code": None}


def _budget(stage: Stage) -> Given:
    return {**_stock(stage), **BUDGET}


def _sent(stage: Stage) -> Given:
    found = {**_stock(stage), **SENT}
    stage.call(f"{COUPON}.post", **found)
    return {**found, "coupon_code": stage.sandbox.coupons[found["send_request_no"]].coupon_code}


def _confirmed(stage: Stage) -> Given:
    found = _sent(stage)
    stage.call(f"{COUPON}.coupon_code.confirm.post", **found)
    return {**found, "associated_pay_score_order_info": None}


def _used(stage: Stage) -> Given:
    found = _confirmed(stage)
    stage.call(f"{COUPON}.coupon_code.use.post", **found)
    return found


def _product_of_bundle(stage: Stage) -> Given:
    """Makes a product coupon, and returns its number and the coupons of a bundle, which are of one kind."""
    coupons = [{"threshold": 10000, "discount_amount": amount} for amount in (1000, 2000)]
    kinds = {"normal_coupon_list": coupons, "discount_coupon_list": None, "exchange_coupon_list": None}
    return {**_stock(stage), **kinds}


def _bundle(stage: Stage, **given: Any) -> Given:
    """Makes a bundle, waits for its audit, and returns its numbers."""
    found = {**_product_of_bundle(stage), **given}
    made = stage.call(f"{BUNDLES}.post", **found)
    stage.sandbox.advance(60)
    return {**found, "stock_bundle_id": made["stock_bundle_id"]}


def _budget_of_bundle(stage: Stage) -> Given:
    return {**_bundle(stage), **BUDGET}


def _stores_of_bundle(stage: Stage) -> Given:
    found = _bundle(stage, store_scope="SPECIFIC")
    stage.call(f"{BUNDLES}.stock_bundle_id.associate-stores.post", **found)
    return found


def _sent_bundle(stage: Stage) -> Given:
    found = {**_bundle(stage), **SENT}
    sent = stage.call(f"{COUPON_BUNDLES}.post", **found)
    return {**found, "user_coupon_bundle_id": sent["user_coupon_bundle_id"]}
