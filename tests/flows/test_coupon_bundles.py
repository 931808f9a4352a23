"""The stocks of a bundle are made, changed and sent together; each coupon is used alone."""

from __future__ import annotations

import pytest

from tests.documented import assert_response
from tests.flows.test_coupons import BASE, NOT_FOUND, OPENID, PAY_ORDER, REFUSED, Brand, stock_body
from tests.flows.test_orders import code_of
from wechatpay_chain import ConfigurationError
from wechatpay_chain.sandbox import CouponBundle

PRODUCT = f"{BASE}/product-coupons/{{product_coupon_id}}"
BUNDLES = f"{PRODUCT}/stock-bundles"
BUNDLE = f"{BUNDLES}/{{stock_bundle_id}}"
USER = f"{BASE}/users/{{openid}}"
COUPONS = [{"threshold": 10_000, "discount_amount": amount} for amount in (100, 200, 300)]


class Bundle:
    """A bundle of three stocks that are SENDING, and the calls about it."""

    def __init__(self, sandbox, client, send, *, product=None, **changes):
        self.client, self.send, self.sandbox = client, send, sandbox
        self.brand = Brand(sandbox, client, product=product)
        stock = stock_body(sandbox, **changes)
        period = stock.pop("single_usage_rule")["coupon_available_period"]
        rule = {"coupon_available_period": period, "normal_coupon_list": COUPONS}
        self.made = {"out_request_no": "bundle-1", "stock_bundle": {**stock, "progressive_bundle_usage_rule": rule}}
        self.made |= {"brand_id": "120344"}
        body = self.post(BUNDLES, self.made)
        self.number, self.stocks = body["stock_bundle_id"], body["stock_list"]
        sandbox.advance(60)

    def call(self, verb, path, json, **variables):
        known = {"product_coupon_id": self.brand.ids["product_coupon_id"], "openid": OPENID}
        known |= {"stock_bundle_id": getattr(self, "number", ""), **variables}
        taken = {name: value for name, value in known.items() if f"{{{name}}}" in path}
        response = self.send(self.client[path], verb, **taken, json={"brand_id": "120344", **json})
        return assert_response(verb.upper(), path, response.json())

    def post(self, path, json, **variables):
        return self.call("post", path, json, **variables)

    def of_user(self, number="send-1", **changes):
        """Returns the parameters of a send or a pre-send."""
        ids = {"product_coupon_id": self.brand.ids["product_coupon_id"], "stock_bundle_id": self.number}
        return {"appid": "wx1", **ids, "send_request_no": number, **changes}

    def give(self, number="send-1"):
        return self.post(f"{USER}/coupon-bundles", self.of_user(number))

    def act(self, coupon, operation, number, **more):
        path = f"{USER}/coupons/{{coupon_code}}/{operation}"
        ids = {"appid": "wx1", "product_coupon_id": self.brand.ids["product_coupon_id"]}
        body = {**ids, "stock_id": coupon["stock"]["stock_id"], "out_request_no": number, **more}
        response = self.send(
            self.client[path],
            "post",
            openid=OPENID,
            coupon_code=coupon["coupon_code"],
            json={"brand_id": "120344", **body},
        )
        return response.json()


@pytest.fixture
def bundle(sandbox, client, send):
    return Bundle(sandbox, client, send)


def test_a_bundle_has_a_stock_for_each_coupon(sandbox, bundle):
    assert bundle.post(BUNDLES, bundle.made)["stock_list"] != bundle.stocks, "they are no longer audited"
    assert [stock["stock_bundle_info"]["stock_bundle_index"] for stock in bundle.stocks] == [0, 1, 2]
    rules = [stock["progressive_bundle_usage_rule"]["normal_coupon"] for stock in bundle.stocks]
    assert rules == COUPONS
    product = sandbox.product_coupons[bundle.brand.ids["product_coupon_id"]]
    assert [stock.state for stock in product.bundles[bundle.number]] == ["SENDING"] * 3
    assert {stock["stock_id"] for stock in bundle.stocks} < product.stocks.keys()


def test_a_bundle_is_changed_as_a_whole(sandbox, bundle):
    changed = bundle.call("patch", BUNDLE, {"out_request_no": "change-1", "remark": "周四"})
    assert [stock["remark"] for stock in changed["stock_list"]] == ["周四"] * 3
    budget = {"update_mode": "MAX_COUNT", "current_max_count": 10, "target_max_count": 20}
    updated = bundle.post(f"{BUNDLE}/update-budget", {"out_request_no": "budget-1", **budget})
    assert [stock["stock_send_rule"]["max_count"] for stock in updated["stock_list"]] == [20] * 3
    again = {"out_request_no": "budget-2", **budget}
    assert code_of(bundle.post, f"{BUNDLE}/update-budget", again) == REFUSED


def test_the_stocks_of_a_bundle_have_the_same_stores(sandbox, client, send):
    bundle = Bundle(sandbox, client, send, store_scope="SPECIFIC")
    stores = [{"store_id": "100000001"}, {"store_id": "100000002"}]
    done = bundle.post(f"{BUNDLE}/associate-stores", {"store_list": stores})
    assert done["success_store_list"] == stores
    product = sandbox.product_coupons[bundle.brand.ids["product_coupon_id"]]
    bundle.post(f"{BUNDLE}/disassociate-stores", {"store_list": stores[:1]})
    assert [list(stock.stores) for stock in product.bundles[bundle.number]] == [["100000002"]] * 3


def test_a_bundle_is_sent_once_for_each_number(sandbox, client, shop, send, bundle):
    client[f"{BASE}/notify-configs"].post(json={"notify_url": shop.url})
    given = bundle.give()
    assert bundle.give() == given
    assert code_of(bundle.post, f"{USER}/coupon-bundles", bundle.of_user(attach="x")) == REFUSED
    assert [coupon["coupon_state"] for coupon in given["user_product_coupon_list"]] == ["CONFIRMING"] * 3
    assert len({coupon["coupon_code"] for coupon in given["user_product_coupon_list"]}) == 3
    place = given["user_product_coupon_list"][1]["user_product_coupon_bundle_info"]
    assert (place["user_coupon_bundle_index"], place["total_count"], place["used_count"]) == (1, 3, 0)
    received = [shop.receive() for _ in range(3)]
    assert {event_type for event_type, _ in received} == {"PRODUCT_COUPON_SP.SEND"}
    assert {resource["user_coupon_bundle_id"] for _, resource in received} == {given["user_coupon_bundle_id"]}
    assert {resource["stock_bundle_id"] for _, resource in received} == {bundle.number}
    listed = send(client[f"{USER}/coupons"], "get", openid=OPENID, params={"appid": "wx1", "brand_id": "120344"}).json()
    assert listed["total_count"] == 3


def test_a_user_takes_a_bundle_that_was_pre_sent(sandbox, bundle):
    asked = bundle.of_user("pre-send-1")
    token = bundle.post(f"{USER}/pre-send-coupon-bundle", asked)["token"]
    waiting = sandbox.coupon_bundles["pre-send-1"]
    assert isinstance(waiting, CouponBundle)
    assert not waiting.is_received
    assert waiting.take() == [], "no URL is set"
    assert waiting.is_received
    assert {coupon.send_channel for coupon in waiting.coupons} == {"RECEIVE_COMPONENT"}
    with pytest.raises(ConfigurationError, match="pre-send-1"):
        waiting.take()
    assert bundle.post(f"{USER}/pre-send-coupon-bundle", asked)["token"] == token
    late = bundle.of_user("pre-send-2")
    bundle.post(f"{USER}/pre-send-coupon-bundle", late)
    sandbox.advance(300)
    with pytest.raises(ConfigurationError, match="pre-send-2"):
        sandbox.coupon_bundles["pre-send-2"].take()
    foreign = {**late, "product_coupon_id": "1"}
    assert bundle.post(f"{USER}/pre-send-coupon-bundle", foreign)["token"] != token


def test_all_coupons_of_a_bundle_are_given_or_none(sandbox, client, bundle):
    product = sandbox.product_coupons[bundle.brand.ids["product_coupon_id"]]
    last = product.bundles[bundle.number][-1]
    last.pause()
    assert code_of(bundle.give) == REFUSED
    assert sandbox.coupons == sandbox.coupon_bundles == {}
    last.resume()
    bundle.post(f"{USER}/pre-send-coupon-bundle", bundle.of_user("pre-send-1"))
    last.pause()
    with pytest.raises(ConfigurationError, match="INVALID_REQUEST"):
        sandbox.coupon_bundles["pre-send-1"].take()
    assert not sandbox.coupon_bundles["pre-send-1"].is_received


def test_the_coupon_that_was_used_last_is_returned_first(sandbox, bundle):
    first, second, _ = bundle.give()["user_product_coupon_list"]
    for coupon in (first, second):
        bundle.act(coupon, "confirm", f"confirm-{coupon['coupon_code']}")
        use = {"use_time": sandbox.now.isoformat(timespec="seconds"), "associated_order_info": PAY_ORDER}
        bundle.act(coupon, "use", f"use-{coupon['coupon_code']}", **use)
    given = bundle.give()["user_product_coupon_list"]
    assert given[0]["user_product_coupon_bundle_info"]["used_count"] == 2
    assert given[0]["progressive_bundle_usage_detail"]["use_request_no"] == f"use-{first['coupon_code']}"
    assert code_of(bundle.act, first, "return", "return-1") == REFUSED
    for coupon, number in ((second, "return-2"), (first, "return-1")):
        bundle.act(coupon, "return", number)
    assert bundle.give()["user_product_coupon_list"][0]["coupon_state"] == "EFFECTIVE"


def test_a_bundle_of_a_user_is_deactivated(sandbox, bundle):
    given = bundle.give()
    path, number = f"{USER}/coupon-bundles/{{user_coupon_bundle_id}}/deactivate", given["user_coupon_bundle_id"]
    body = {"appid": "wx1", "product_coupon_id": bundle.brand.ids["product_coupon_id"]}
    body |= {"stock_bundle_id": bundle.number, "out_request_no": "deactivate-1", "deactivate_reason": "商品已下线"}
    for _ in range(2):
        ended = bundle.post(path, body, user_coupon_bundle_id=number)
        assert [coupon["coupon_state"] for coupon in ended["user_product_coupon_list"]] == ["DEACTIVATED"] * 3
    again = {**body, "out_request_no": "deactivate-2"}
    assert code_of(bundle.post, path, again, user_coupon_bundle_id=number) == REFUSED
    assert code_of(bundle.post, path, body, user_coupon_bundle_id="1") == NOT_FOUND
    assert code_of(bundle.post, path, body, user_coupon_bundle_id=number, openid="other") == NOT_FOUND


def test_what_is_no_bundle(sandbox, client, send, bundle):
    empty = {**bundle.made["stock_bundle"]["progressive_bundle_usage_rule"], "normal_coupon_list": []}
    stock = {**bundle.made["stock_bundle"], "progressive_bundle_usage_rule": empty}
    assert code_of(bundle.post, BUNDLES, {"out_request_no": "bundle-2", "stock_bundle": stock}) == REFUSED
    other = {**bundle.made, "stock_bundle": {**bundle.made["stock_bundle"], "remark": "x"}}
    assert code_of(bundle.post, BUNDLES, other) == REFUSED
    assert code_of(bundle.post, f"{USER}/coupon-bundles", bundle.of_user(stock_bundle_id="1")) == NOT_FOUND
    product = sandbox.product_coupons[bundle.brand.ids["product_coupon_id"]]
    product.deactivation["deactivate_reason"] = "x"
    assert code_of(bundle.post, BUNDLES, {**bundle.made, "out_request_no": "bundle-3"}) == REFUSED
