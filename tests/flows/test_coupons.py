"""The sandbox's product coupons: states, limits, numbers, notifications."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documented import assert_response
from wechatpay_chain import APIError, ConfigurationError

BASE = "/v3/marketing/partner/product-coupon"
PRODUCT = f"{BASE}/product-coupons/{{product_coupon_id}}"
STOCK = f"{PRODUCT}/stocks/{{stock_id}}"
COUPON = f"{BASE}/users/{{openid}}/coupons/{{coupon_code}}"
OPENID = "oh-394z-6CGkNoJrsDLTTUKiAnp4"
PAY_ORDER = {"transaction_id": "4200000000123456789123456789", "mchid": "1900000109"}
REFUSED = (400, "INVALID_REQUEST")
INVALID = (400, "PARAM_ERROR")
NOT_FOUND = (404, "NOT_FOUND")


def stock_body(sandbox, period=None, **more):
    now = sandbox.now.replace(microsecond=0)
    return {
        "coupon_code_mode": "WECHATPAY",
        "stock_send_rule": {"max_count": 10, "max_count_per_user": 5},
        "single_usage_rule": {
            "coupon_available_period": {
                "available_begin_time": now.isoformat(),
                "available_end_time": (now + timedelta(days=30)).isoformat(),
                **(period or {}),
            },
            "normal_coupon": {"threshold": 10000, "discount_amount": 100},
        },
        "usage_rule_display_info": {"coupon_usage_method_list": ["OFFLINE"], "usage_description": "工作日可用"},
        "coupon_display_info": {"code_display_mode": "QRCODE"},
        "notify_config": {"notify_appid": "wx23232232323"},
        "store_scope": "NONE",
        **more,
    }


def product_body(sandbox, number="make-1", stock=None, **more):
    return {
        "brand_id": "120344",
        "out_request_no": number,
        "scope": "ALL",
        "type": "NORMAL",
        "usage_mode": "SINGLE",
        "single_usage_info": {"normal_coupon": {"threshold": 10000, "discount_amount": 100}},
        "display_info": {"name": "满减券", "image_url": "https://a.example/i", "background_url": "https://a.example/b"},
        "stock": stock or stock_body(sandbox),
        **more,
    }


class Brand:
    """A stock of a product coupon that is SENDING, and the calls about it."""

    def __init__(self, sandbox, client, *, is_audited=True, period=None, product=None, **stock):
        self.sandbox, self.client = sandbox, client
        body = product_body(sandbox, stock=stock_body(sandbox, period, **stock), **(product or {}))
        made = assert_response(
            "POST", f"{BASE}/product-coupons", client[BASE[1:]].product_coupons.post(json=body).json()
        )
        self.ids = {"brand_id": "120344", "product_coupon_id": made["product_coupon_id"]}
        self.stock_id = made["stock"]["stock_id"]
        self.product = sandbox.product_coupons[made["product_coupon_id"]]
        self.stock = self.product.stocks[self.stock_id]
        if is_audited:
            sandbox.advance(60)

    def call(self, verb, template, operation="", *, openid=OPENID, code="", json=None, params=None):
        """Calls an operation, checks its response and returns it."""
        path = f"{template}{operation}"
        variables = {"product_coupon_id": self.product.product_coupon_id, "stock_id": self.stock_id}
        variables |= {"openid": openid, "coupon_code": code}
        arguments = {name: value for name, value in variables.items() if f"{{{name}}}" in path}
        if json is not None:
            arguments["json"] = {"brand_id": "120344", **json}
        else:
            arguments["params"] = {"brand_id": "120344", **(params or {})}
        return assert_response(verb, path, getattr(self.client[path[1:]], verb.lower())(**arguments).json())

    def body(self, number, **more):
        return {**self.ids, "stock_id": self.stock_id, "appid": "wx1", "send_request_no": number, **more}

    def pre_send(self, number="send-01", *, openid=OPENID, **more):
        node = self.client[BASE[1:]].users._openid_.pre_send_coupon
        token = node.post(openid=openid, json=self.body(number, **more)).json()["token"]
        assert token
        return self.sandbox.coupons[number]

    def send(self, number="send-01", *, openid=OPENID, **more):
        self.call("POST", f"{BASE}/users/{{openid}}/coupons", openid=openid, json=self.body(number, **more))
        return self.sandbox.coupons[number]

    def change(self, operation, coupon, number, **more):
        given = {"product_coupon_id": self.product.product_coupon_id, "stock_id": self.stock_id, "appid": "wx1"}
        body = {**given, "out_request_no": number, **more}
        return self.call("POST", COUPON, f"/{operation}", openid=coupon.openid, code=coupon.coupon_code, json=body)

    def use(self, coupon, number="use-0001", **more):
        paid = {} if "associated_pay_score_order_info" in more else {"associated_order_info": PAY_ORDER}
        return self.change("use", coupon, number, use_time="2026-07-24T00:00:00+08:00", **paid, **more)

    def effective(self, number="send-01", **more):
        coupon = self.send(number, **more)
        self.change("confirm", coupon, f"confirm-{number}")
        return coupon

    def query(self, coupon):
        params = {**self.ids, "stock_id": self.stock_id, "appid": "wx1"}
        return self.call("GET", COUPON, openid=coupon.openid, code=coupon.coupon_code, params=params)

    def query_stock(self):
        return self.call("GET", STOCK)


@pytest.fixture
def brand(sandbox, client):
    return Brand(sandbox, client)


def outcome(call, *arguments, **more):
    with pytest.raises(APIError) as caught:
        call(*arguments, **more)
    return caught.value.status_code, caught.value.code


# Product coupons and stocks


def test_a_new_product_coupon_is_audited_for_a_minute(sandbox, client):
    brand = Brand(sandbox, client, is_audited=False)
    assert brand.call("GET", PRODUCT)["state"] == brand.query_stock()["state"] == "AUDITING"
    assert outcome(brand.pre_send) == outcome(brand.send) == REFUSED
    sandbox.advance(60)
    assert brand.call("GET", PRODUCT)["state"] == "EFFECTIVE"
    assert brand.query_stock()["state"] == "SENDING"
    assert brand.query_stock()["sent_count_info"] == {"total_count": 0, "today_count": 0}


def test_the_same_number_makes_one_product_coupon(sandbox, client, send):
    node = client[BASE[1:]].product_coupons
    body = product_body(sandbox)
    made = send(node, "post", json=body).json()
    assert send(node, "post", json=body).json() == made
    assert list(sandbox.product_coupons) == [made["product_coupon_id"]]
    assert outcome(send, node, "post", json={**body, "scope": "SINGLE"}) == (400, "ALREADY_EXISTS")
    assert send(node, "post", json={**body, "out_request_no": "make-2"}).json() != made


def test_a_number_has_6_to_40_characters(sandbox, client):
    for number in ("short", "x" * 41, "a b c d e"):
        assert outcome(client[BASE[1:]].product_coupons.post, json=product_body(sandbox, number)) == INVALID


@pytest.mark.parametrize("invalid", ["2026-13-01T00:00:00+08:00", "2026-02-30T00:00:00Z"])
def test_a_period_that_does_not_exist_is_refused(sandbox, client, invalid):
    stock = stock_body(sandbox, {"available_end_time": invalid})
    assert outcome(client[BASE[1:]].product_coupons.post, json=product_body(sandbox, stock=stock)) == INVALID
    assert sandbox.product_coupons == {}


def test_a_product_coupon_and_a_stock_can_be_changed(brand):
    info = {"name": "新名", "image_url": "https://a.example/i", "background_url": "https://a.example/b"}
    assert (
        brand.call("PATCH", PRODUCT, json={"out_request_no": "change-1", "display_info": info})["display_info"] == info
    )
    assert brand.call("GET", PRODUCT)["display_info"] == info
    assert brand.call("PATCH", STOCK, json={"out_request_no": "change-2", "remark": "备注"})["remark"] == "备注"


def test_stocks_are_added_listed_and_paged(sandbox, brand):
    stocks = f"{PRODUCT}/stocks"
    for number in range(2):
        json = {"out_request_no": f"stock-{number}", "stock": stock_body(sandbox)}
        added = brand.call("POST", stocks, json=json)
        assert added["state"] == "AUDITING"
        assert brand.call("POST", stocks, json=json) == added
    first = brand.call("GET", stocks, params={"page_size": 2})
    assert (len(first["stock_list"]), first["total_count"]) == (2, 3)
    second = brand.call("GET", stocks, params={"page_size": 2, "page_token": first["next_page_token"]})
    assert [stock["stock_id"] for stock in first["stock_list"] + second["stock_list"]] == list(brand.product.stocks)
    assert "next_page_token" not in second
    assert brand.call("GET", stocks, params={"state": "SENDING"})["total_count"] == 1
    assert outcome(brand.call, "GET", stocks, params={"page_token": "x"}) == INVALID


def test_a_deactivated_product_coupon_ends_its_stocks_but_not_its_coupons(brand, sandbox):
    coupon = brand.effective()
    json = {"out_request_no": "deactivate", "deactivate_reason": "下线"}
    gone = brand.call("POST", PRODUCT, "/deactivate", json=json)
    assert (gone["state"], gone["deactivate_reason"]) == ("DEACTIVATED", "下线")
    assert brand.call("POST", PRODUCT, "/deactivate", json=json) == gone
    assert outcome(brand.call, "POST", PRODUCT, "/deactivate", json={**json, "out_request_no": "another"}) == REFUSED
    assert outcome(brand.call, "POST", PRODUCT, "/deactivate", json={**json, "deactivate_reason": "x"}) == REFUSED
    assert brand.query_stock()["state"] == "DEACTIVATED"
    assert outcome(brand.send, "send-02") == REFUSED
    more = {"out_request_no": "stock-1", "stock": stock_body(sandbox)}
    assert outcome(brand.call, "POST", f"{PRODUCT}/stocks", json=more) == REFUSED
    assert brand.use(coupon)["coupon_state"] == "USED"


def test_a_product_coupon_in_audit_cannot_be_deactivated(sandbox, client):
    brand = Brand(sandbox, client, is_audited=False)
    json = {"out_request_no": "deactivate", "deactivate_reason": "下线"}
    assert outcome(brand.call, "POST", PRODUCT, "/deactivate", json=json) == REFUSED
    sandbox.advance(60)
    assert brand.call("POST", PRODUCT, "/deactivate", json=json)["state"] == "DEACTIVATED"


def test_a_stock_is_paused_resumed_deactivated_and_stops(sandbox, client, brand):
    brand.stock.pause()
    assert brand.query_stock()["state"] == "PAUSED"
    assert outcome(brand.send) == REFUSED
    with pytest.raises(ConfigurationError, match="its state is PAUSED; expected SENDING"):
        brand.stock.pause()
    brand.stock.resume()
    with pytest.raises(ConfigurationError, match="its state is SENDING; expected PAUSED"):
        brand.stock.resume()
    json = {"out_request_no": "deactivate", "deactivate_reason": "下线"}
    assert brand.call("POST", STOCK, "/deactivate", json=json)["state"] == "DEACTIVATED"
    assert outcome(brand.call, "POST", STOCK, "/deactivate", json={**json, "out_request_no": "another"}) == REFUSED
    other = Brand(sandbox, client, product={"out_request_no": "make-2"})
    sandbox.advance(31 * 86400)
    assert other.query_stock()["state"] == "STOPPED"
    assert outcome(other.send) == REFUSED


def test_a_budget_is_changed_if_it_is_what_the_caller_believes(brand):
    def update(number, **more):
        return brand.call("POST", STOCK, "/update-budget", json={"out_request_no": number, **more})

    budget = {"update_mode": "MAX_COUNT", "current_max_count": 10, "target_max_count": 2}
    assert update("budget-1", **budget)["stock_send_rule"]["max_count"] == 2
    assert update("budget-1", **budget)["stock_send_rule"]["max_count"] == 2
    assert outcome(update, "budget-2", **budget) == REFUSED
    assert outcome(update, "budget-3", update_mode="MAX_COUNT", current_max_count=2) == INVALID
    brand.send("send-01"), brand.send("send-02")
    assert outcome(brand.send, "send-03") == REFUSED
    less = {"update_mode": "MAX_COUNT", "current_max_count": 2, "target_max_count": 1}
    assert outcome(update, "budget-4", **less) == REFUSED
    update("budget-5", **{**less, "target_max_count": 3})
    assert brand.send("send-03").state == "CONFIRMING"


def test_uploaded_codes_are_given_to_coupons(sandbox, client):
    brand = Brand(sandbox, client, coupon_code_mode="UPLOAD")
    assert outcome(brand.send) == REFUSED
    upload = {"out_request_no": "upload-1", "code_list": ["a1", "a2", "a1"]}
    done = brand.call("POST", STOCK, "/upload-coupon-codes", json=upload)
    assert (done["success_code_list"], done["duplicate_code_list"], done["total_count"]) == (["a1", "a2"], ["a1"], 3)
    assert brand.call("POST", STOCK, "/upload-coupon-codes", json=upload) == done
    more = brand.call("POST", STOCK, "/upload-coupon-codes", json={**upload, "out_request_no": "upload-2"})
    assert (more["success_code_list"], more["already_exist_code_list"]) == ([], ["a1", "a2"])
    codes = {brand.send("send-01").coupon_code, brand.send("send-02").coupon_code}
    assert codes == {"a1", "a2"}
    assert brand.query_stock()["coupon_code_count_info"] == {"total_count": 2, "available_count": 0}
    assert outcome(brand.pre_send, "send-03") == REFUSED
    many = {"out_request_no": "upload-3", "code_list": ["x"] * 201}
    assert outcome(brand.call, "POST", STOCK, "/upload-coupon-codes", json=many) == INVALID


def test_codes_are_uploaded_only_to_a_stock_of_uploaded_codes(brand):
    upload = {"out_request_no": "upload-1", "code_list": ["a1"]}
    assert outcome(brand.call, "POST", STOCK, "/upload-coupon-codes", json=upload) == REFUSED


def test_stores_are_associated_and_limit_the_use(sandbox, client):
    brand = Brand(sandbox, client, store_scope="SPECIFIC")
    stores = {"store_list": [{"store_id": "1"}, {"store_id": "2"}]}
    assert brand.call("POST", STOCK, "/associate-stores", json=stores)["success_store_list"] == stores["store_list"]
    listed = brand.call("GET", STOCK, "/associated-stores")
    assert (listed["store_list"], listed["total_count"]) == (stores["store_list"], 2)
    left = brand.call(
        "POST", STOCK, "/disassociate-stores", json={"store_list": [{"store_id": "2"}, {"store_id": "3"}]}
    )
    assert left["success_store_list"] == [{"store_id": "2"}]
    assert [store["store_id"] for store in left["failed_store_list"]] == ["3"]
    coupon = brand.effective()
    assert outcome(brand.use, coupon, store_id="2") == REFUSED
    assert brand.use(coupon, store_id="1")["coupon_state"] == "USED"
    everywhere = Brand(sandbox, client, store_scope="ALL", product={"out_request_no": "make-2"})
    assert outcome(everywhere.call, "POST", STOCK, "/associate-stores", json=stores) == REFUSED


# Coupons of users


def test_a_user_takes_a_pre_sent_coupon(sandbox, client, shop, brand):
    node = client[BASE[1:]].notify_configs
    assert outcome(node.get) == NOT_FOUND
    assert node.post(json={"notify_url": shop.url}).json()["notify_url"] == shop.url
    assert assert_response("GET", f"{BASE}/notify-configs", node.get().json())["notify_url"] == shop.url
    coupon = brand.pre_send(attach="附加")
    assert (coupon.state, coupon.coupon_code) == ("", "")
    assert brand.call("GET", f"{BASE}/users/{{openid}}/coupons", params={"appid": "wx1"})["total_count"] == 0
    coupon.take()
    event_type, resource = shop.receive()
    assert event_type == "PRODUCT_COUPON_SP.SEND"
    assert resource["coupon_code"] == coupon.coupon_code
    assert (resource["send_request_no"], resource["attach"]) == ("send-01", "附加")
    assert (resource["send_channel"], resource["openid"]) == ("RECEIVE_COMPONENT", OPENID)
    found = brand.query(coupon)
    assert found["coupon_state"] == "CONFIRMING"
    for name in ("receive_time", "valid_begin_time", "valid_end_time", "coupon_code", "send_channel"):
        assert found[name] == resource[name]
    with pytest.raises(
        ConfigurationError, match="its state is CONFIRMING; expected one that is pre-sent and not received"
    ):
        coupon.take()
    assert brand.pre_send(attach="附加") is coupon  # the same parameters give a token even now


def test_a_sent_coupon_is_announced_too(client, shop, brand):
    client[BASE[1:]].notify_configs.post(json={"notify_url": shop.url})
    coupon = brand.send()
    assert brand.send() is coupon
    assert shop.receive()[1]["send_channel"] == "API"
    assert shop.is_empty()


def test_a_token_is_valid_for_five_minutes(sandbox, brand):
    coupon = brand.pre_send()
    sandbox.advance(300)
    with pytest.raises(ConfigurationError, match="its state is an expired token"):
        coupon.take()
    brand.pre_send().take()
    assert coupon.state == "CONFIRMING"


def test_a_coupon_goes_through_its_states(brand):
    coupon = brand.send()
    assert outcome(brand.use, coupon) == outcome(brand.change, "return", coupon, "return-0") == REFUSED
    confirmed = brand.change("confirm", coupon, "confirm-1")
    assert (confirmed["coupon_state"], confirmed["confirm_request_no"]) == ("EFFECTIVE", "confirm-1")
    assert brand.change("confirm", coupon, "confirm-1") == confirmed
    assert outcome(brand.change, "confirm", coupon, "confirm-2") == REFUSED
    assert outcome(brand.change, "return", coupon, "return-1") == REFUSED
    used = brand.use(coupon, "use-0001")
    assert used["coupon_state"] == "USED"
    assert used["single_usage_detail"] == {
        "use_request_no": "use-0001",
        "use_time": "2026-07-24T00:00:00+08:00",
        "associated_order_info": PAY_ORDER,
    }
    assert brand.use(coupon, "use-0001") == used
    assert outcome(brand.use, coupon, "use-0002") == REFUSED
    assert outcome(brand.change, "deactivate", coupon, "deactivate", deactivate_reason="x") == REFUSED
    returned = brand.change("return", coupon, "return-1")
    assert returned["coupon_state"] == "EFFECTIVE"
    assert returned["single_usage_detail"]["return_request_no"] == "return-1"
    again = brand.use(coupon, "use-0003")
    assert again["single_usage_detail"].keys() == {"use_request_no", "use_time", "associated_order_info"}
    assert brand.query(coupon) == again


def test_a_deactivated_coupon_cannot_be_used(brand):
    coupon = brand.effective()
    gone = brand.change("deactivate", coupon, "deactivate", deactivate_reason="下线")
    assert (gone["coupon_state"], gone["deactivate_request_no"]) == ("DEACTIVATED", "deactivate")
    assert outcome(brand.use, coupon) == REFUSED
    assert outcome(brand.change, "deactivate", coupon, "another", deactivate_reason="x" * 151) == INVALID
    with pytest.raises(ConfigurationError, match="its state is DEACTIVATED; expected one that the user has"):
        coupon.delete()


def test_a_deleted_coupon_cannot_be_used(brand):
    coupon = brand.effective()
    coupon.delete()
    assert brand.query(coupon)["coupon_state"] == "DELETED"
    assert outcome(brand.use, coupon) == REFUSED
    with pytest.raises(ConfigurationError, match="its state is not received"):
        brand.pre_send("send-02").delete()


def test_a_coupon_is_valid_from_and_until(sandbox, client):
    brand = Brand(sandbox, client, period={"wait_days_after_receive": 1, "available_days": 2})
    coupon = brand.effective()
    assert coupon.valid_begin_time - coupon.receive_time == timedelta(days=1)
    assert brand.query(coupon)["coupon_state"] == "PENDING"
    assert outcome(brand.use, coupon) == REFUSED
    sandbox.advance(86400)
    assert brand.query(coupon)["coupon_state"] == "EFFECTIVE"
    sandbox.advance(2 * 86400)
    assert brand.query(coupon)["coupon_state"] == "EXPIRED"
    assert outcome(brand.use, coupon) == REFUSED


def test_a_coupon_that_is_not_confirmed_expires(sandbox, client):
    brand = Brand(sandbox, client, period={"available_days": 1})
    coupon = brand.send()
    sandbox.advance(86400)
    assert brand.query(coupon)["coupon_state"] == "EXPIRED"
    assert outcome(brand.change, "confirm", coupon, "confirm-1") == REFUSED


def test_a_coupon_ends_with_the_period_of_its_stock(sandbox, client):
    brand = Brand(sandbox, client, period={"available_days": 90})
    end = brand.stock.members["single_usage_rule"]["coupon_available_period"]["available_end_time"]
    assert brand.send().valid_end_time == datetime.fromisoformat(end)


def test_a_coupon_of_a_stock_without_a_period_is_valid_for_30_days(sandbox, client):
    body = stock_body(sandbox)
    del body["single_usage_rule"]
    made = client[BASE[1:]].product_coupons.post(json=product_body(sandbox, stock=body)).json()
    sandbox.advance(60)
    json = {name: made["stock"][name] for name in ("brand_id", "product_coupon_id", "stock_id")}
    json |= {"appid": "wx1", "send_request_no": "send-01"}
    client[BASE[1:]].users._openid_.coupons.post(openid=OPENID, json=json)
    coupon = sandbox.coupons["send-01"]
    assert coupon.valid_end_time - coupon.receive_time == timedelta(days=30)


def test_a_use_names_one_order(brand):
    coupon = brand.effective()
    time = {"use_time": "2026-07-24T00:00:00+08:00"}
    score = {"associated_pay_score_order_info": {"mchid": "1900000109", "out_order_no": "1"}}
    assert outcome(brand.change, "use", coupon, "use-0001", **time) == INVALID
    both = {"associated_order_info": PAY_ORDER, **score}
    assert outcome(brand.change, "use", coupon, "use-0001", **time, **both) == INVALID
    assert brand.use(coupon, **score)["coupon_state"] == "USED"


def test_a_sequential_coupon_is_used_in_its_order(sandbox, client):
    info = {"count": 3, "type": "EQUAL", "available_days": 20}
    now = sandbox.now
    times = {"available_begin_time": now.isoformat(), "available_end_time": (now + timedelta(days=90)).isoformat()}
    brand = Brand(
        sandbox,
        client,
        product={"usage_mode": "SEQUENTIAL", "sequential_usage_info": info},
        sequential_usage_rule={"coupon_available_period": times},
    )
    coupon = brand.send()
    client[f"{COUPON[1:]}/confirm"].post(
        openid=OPENID,
        coupon_code=coupon.coupon_code,
        json={**brand.ids, "stock_id": brand.stock_id, "appid": "wx1", "out_request_no": "confirm-1"},
    )

    def states(described):
        return [item["detail_state"] for item in described["sequential_usage_detail"]["detail_item_list"]]

    assert states(brand.query(coupon)) == ["EFFECTIVE", "PENDING", "PENDING"]
    assert outcome(brand.use, coupon, "use-0001", sequential_coupon_index=1) == REFUSED
    assert states(brand.use(coupon, "use-0001", sequential_coupon_index=0)) == ["USED", "EFFECTIVE", "PENDING"]
    assert brand.use(coupon, "use-0002")["coupon_state"] == "EFFECTIVE"
    assert outcome(brand.change, "return", coupon, "return-1", sequential_coupon_index=0) == REFUSED
    returned = brand.change("return", coupon, "return-1", sequential_coupon_index=1)
    assert states(returned) == ["USED", "EFFECTIVE", "PENDING"]
    assert returned["sequential_usage_detail"]["used_count"] == 1
    brand.use(coupon, "use-0003")
    assert brand.use(coupon, "use-0004")["coupon_state"] == "USED"
    other = brand.send("send-02")
    assert states(brand.query(other)) == ["PENDING"] * 3
    sandbox.advance(20 * 86400)
    assert states(brand.query(other)) == ["EXPIRED"] * 3


def test_the_code_of_the_merchant_is_used_once(sandbox, client):
    brand = Brand(sandbox, client, coupon_code_mode="API_ASSIGN")
    assert outcome(brand.send) == INVALID
    early = brand.pre_send("send-01", coupon_code="code-1")
    assert brand.send("send-02", coupon_code="code-1").coupon_code == "code-1"
    assert outcome(brand.send, "send-03", coupon_code="code-1") == REFUSED
    with pytest.raises(ConfigurationError, match="INVALID_REQUEST"):
        early.take()
    other = Brand(sandbox, client, product={"out_request_no": "make-2"})
    assert outcome(other.send, "send-04", coupon_code="code-1") == INVALID


def test_a_send_request_no_is_of_one_coupon(brand):
    brand.pre_send()
    assert outcome(brand.pre_send, attach="other") == REFUSED
    assert outcome(brand.send, openid="another") == REFUSED
    assert brand.send().state == "CONFIRMING"


def test_a_user_takes_no_more_than_allowed(sandbox, client):
    rule = {"max_count": 3, "max_count_per_user": 1, "max_count_per_day": 2}
    brand = Brand(sandbox, client, stock_send_rule=rule)
    first, second = brand.pre_send("send-01"), brand.pre_send("send-02")
    first.take()
    with pytest.raises(ConfigurationError, match="a coupon left for the user"):
        second.take()
    assert outcome(brand.pre_send, "send-03") == REFUSED
    brand.send("send-04", openid="another")
    assert outcome(brand.send, "send-05", openid="a third") == REFUSED
    sandbox.advance(86400)
    brand.send("send-05", openid="a third")
    assert brand.query_stock()["sent_count_info"] == {"total_count": 3, "today_count": 1}
    sandbox.advance(86400)
    assert outcome(brand.send, "send-06", openid="a fourth") == REFUSED


def test_the_coupons_of_a_user_are_listed(brand):
    for number in range(3):
        brand.send(f"send-0{number}")
    brand.send("send-03", openid="another")
    brand.change("confirm", brand.sandbox.coupons["send-01"], "confirm-1")
    users = f"{BASE}/users/{{openid}}/coupons"
    listed = brand.call("GET", users, params={"appid": "wx1", "page_size": 2})
    assert [coupon["send_request_no"] for coupon in listed["user_coupon_list"]] == ["send-00", "send-01"]
    assert listed["total_count"] == 3
    for params, count in (
        ({"coupon_state": "CONFIRMING"}, 2),
        ({"coupon_state": "EFFECTIVE"}, 1),
        ({"stock_id": brand.stock_id}, 3),
        ({"stock_id": "1"}, 0),
        ({"product_coupon_id": "1"}, 0),
    ):
        assert brand.call("GET", users, params={"appid": "wx1", **params})["total_count"] == count
    assert brand.call("GET", users, params={"appid": "wx2"})["total_count"] == 0


def test_what_does_not_exist_or_is_another_brands_is_not_found(client, brand):
    coupon = brand.send()
    assert outcome(brand.call, "GET", PRODUCT, params={"brand_id": "1"}) == NOT_FOUND
    assert outcome(brand.call, "GET", f"{PRODUCT}/stocks", params={"brand_id": "1"}) == NOT_FOUND
    params = {**brand.ids, "stock_id": brand.stock_id, "appid": "wx1"}
    for wrong in ({"brand_id": "1"}, {"stock_id": "1"}, {"product_coupon_id": "1"}, {"appid": "wx2"}):
        more = {"code": coupon.coupon_code, "params": {**params, **wrong}}
        assert outcome(brand.call, "GET", COUPON, **more) == NOT_FOUND
    assert outcome(brand.call, "GET", COUPON, code="1", params=params) == NOT_FOUND
    more = {"code": coupon.coupon_code, "params": params}
    assert outcome(brand.call, "GET", COUPON, openid="another", **more) == NOT_FOUND
    json = brand.body("send-02", stock_id="1")
    assert outcome(brand.call, "POST", f"{BASE}/users/{{openid}}/coupons", json=json) == NOT_FOUND


def test_a_coupon_of_a_product_that_the_sandbox_does_not_know_has_a_token(sandbox, client):
    body = {"brand_id": "1", "product_coupon_id": "1", "stock_id": "1", "appid": "wx1", "send_request_no": "send-01"}
    assert client[BASE[1:]].users._openid_.pre_send_coupon.post(openid=OPENID, json=body).json()["token"]
    assert sandbox.coupons == {}


def test_users_who_take_at_once_take_no_more_than_there_are(sandbox, client):
    brand = Brand(sandbox, client, stock_send_rule={"max_count": 3, "max_count_per_user": 1})
    coupons = [brand.pre_send(f"send-{user:02}", openid=f"user-{user}") for user in range(12)]

    def take(coupon):
        try:
            coupon.take()
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(take, coupons)) == 3
    assert brand.query_stock()["sent_count_info"]["total_count"] == 3


STEPS = st.tuples(st.sampled_from(["pre-send", "send", "take", "delete", "day"]), st.integers(0, 2), st.integers(0, 5))


@given(st.lists(STEPS, max_size=20), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_no_limit_of_a_stock_is_ever_exceeded(shared_sandbox, steps, in_all, per_day, per_user):
    sandbox = shared_sandbox
    sandbox.reset()
    with sandbox.client(retry=None) as client:
        rule = {"max_count": in_all, "max_count_per_day": per_day, "max_count_per_user": per_user}
        period = {"available_end_time": "2099-01-01T00:00:00+08:00"}
        brand = Brand(sandbox, client, period=period, stock_send_rule=rule)
        for step, user, number in steps:
            name = f"send-{user}-{number}"
            try:
                match step:
                    case "day":
                        sandbox.advance(86400)
                    case "pre-send":
                        brand.pre_send(name, openid=f"user-{user}")
                    case "send":
                        brand.send(name, openid=f"user-{user}")
                    case _ if name in sandbox.coupons:
                        getattr(sandbox.coupons[name], step)()
            except (APIError, ConfigurationError):
                pass
            received = [coupon for coupon in sandbox.coupons.values() if coupon.state]
            today = [coupon for coupon in received if coupon.receive_time.date() == sandbox.now.date()]
            assert brand.stock.count_sent() == {"total_count": len(received), "today_count": len(today)}
            assert len(received) <= in_all
            assert len(today) <= per_day
            for each in range(3):
                assert sum(coupon.openid == f"user-{each}" for coupon in received) <= per_user
