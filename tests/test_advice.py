"""An error names the operation that was probably meant and what its call lacks; nothing is refused for it."""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import subprocess
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Reply, json_body
from wechatpay_chain import APIError, PathVariableError, Sensitive, WeChatPayError
from wechatpay_chain._chain.advice import advise
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.spelling import spell

SECRET = "6222000000000000"
TRANSFER = {
    "appid": "wx",
    "out_bill_no": "1",
    "transfer_scene_id": "1000",
    "openid": "o",
    "transfer_amount": 1,
    "transfer_remark": "r",
    "transfer_scene_report_infos": [],
}


def refuse(wire, status, code):
    wire.respond = lambda received: Reply(status, {"Content-Type": "application/json"}, json_body({"code": code}))


def notes(error) -> str:
    """Returns the notes, which are in the text before Python 3.11."""
    return "\n".join(getattr(error, "__notes__", ())) if sys.version_info >= (3, 11) else str(error)


def fail(send, node, verb, **arguments) -> str:
    with pytest.raises(WeChatPayError) as caught:
        send(node, verb, **arguments)
    return notes(caught.value)


@pytest.mark.parametrize(
    ("path", "verb", "meant"),
    [
        ("v3/merchant/media/upload-video", "post", "client.v3.merchant.media.video_upload.post(…)"),
        ("v3/merchant/media/video-upload", "post", "client.v3.merchant.media.video_upload.post(…)"),
        ("v3/pay/transactions/natve", "post", "client.v3.pay.transactions.native.post(…)"),
        ("v3/pay/transaction/id/{transaction_id}", "get", "client.v3.pay.transactions.id._transaction_id_.get(…)"),
        ("v3/refunds/domestic/refund", "post", "client.v3.refund.domestic.refunds.post(…)"),
        ("v3/certificate", "get", "client.v3.certificates.get(…)"),
        ("v3/ecommerce/applyment/", "post", "client.v3.ecommerce.applyments._empty_.post(…)"),
        ("pay/v3/transactions/native", "post", None),  # it belongs to APIv2, and is refused before it is sent
        ("v3/marketing/favour/stocks", "get", "client.v3.marketing.favor.stocks.get(…)"),
        ("v3/pay/transactions/native?a=b", "get", "did you mean .post(…)?"),
        ("v3/pay/transactions/native", "delete", "did you mean .post(…)?"),
        ("v3/quite/another/thing", "get", None),
        ("v3/bill/trade-bill", "get", "client.v3.bill.tradebill.get(…)"),  # and not client.v3.webizpay.bill.trade_bill
        ("v3/bill/fund_flow_bill", "get", "client.v3.bill.fundflowbill.get(…)"),
        (
            "v3/pay/transactions/out-trade-no/close",
            "post",
            "client.v3.pay.transactions.out_trade_no._out_trade_no_.close.post(…)",
        ),
        ("v3/pay/transactions/natve", "get", "client.v3.pay.transactions.native.post(…)"),
        ("v3/marketing/favor/stocks/start", "post", "client.v3.marketing.favor.stocks._stock_id_.start.post(…)"),
        # The catalogue has nothing of a brand, so none of its paths is known to be wrong.
        ("brand/marketing/product-coupon/product-coupons", "post", None),
    ],
)
def test_the_nearest_operation_is_named(wire, client, send, path, verb, meant):
    refuse(wire, 404, "NOT_FOUND")
    variables = {"transaction_id": "4200"} if "{" in path else {}
    found = fail(send, client[path], verb, **variables)
    assert meant in found if meant else "did you mean" not in found


def test_a_path_variable_without_its_underscores_is_recognized(client, send):
    node = client.v3.marketing.partner.product_coupon.users.openid.pre_send_coupon
    assert "users._openid_.pre_send_coupon.post(…)" in fail(send, node, "post", openid="oh-394z", json={})


@pytest.mark.parametrize(
    "path",
    [
        "v3/pay/transactions/out-trade-no/{number}",
        "v3/pay/transactions/out-trade-no/1217752501201407033233368018",
        "v3/pay/transactions/out-trade-no/order-of-bob",
        "v3/marketing/favor/users/oh-394z/coupons/98674556",
        "v3/marketing/membercard-open/cards/pIJMr5MMiIkO/codes/deposit",  # it could be one of cards/{card_id}/codes/{code}
    ],
)
def test_a_known_operation_that_finds_nothing_gets_no_note(wire, client, send, path):
    refuse(wire, 404, "ORDER_NOT_EXIST")
    variables = {"number": SECRET} if "{" in path else {}
    verb = "post" if path.endswith("/deposit") else "get"
    assert "did you mean" not in fail(send, client[path], verb, **variables)


def test_an_error_that_is_raised_for_many_calls_has_its_note_once(client, send):
    """A circuit breaker, say, raises the error that opened it."""
    broken = PathVariableError("open")

    def breaker(request):
        raise broken
        yield request

    client.middleware.insert_before("sign", "breaker", breaker)
    for _ in range(3):
        found = fail(send, client.v3.pay.transactions.natve, "post", json={})
    assert found.count("did you mean") == 1


def test_an_error_without_a_text_stays_itself(client, send):
    class Open(PathVariableError):
        def __init__(self):
            Exception.__init__(self)

    def breaker(request):
        raise Open
        yield request

    client.middleware.insert_before("sign", "breaker", breaker)
    with pytest.raises(Open):
        send(client.v3.pay.transactions.natve, "post", json={})


def test_required_members_that_are_missing_are_named(wire, client, send):
    refuse(wire, 400, "PARAM_ERROR")
    body = {"appid": "wx", "description": SECRET, "amount": {"currency": "CNY"}, "out_trade_no": None}
    found = fail(send, client.v3.pay.transactions.native, "post", json=body)
    assert "json: the operation requires amount.total, mchid, notify_url and 1 more" in found
    assert SECRET not in found
    found = fail(send, client.v3.pay.transactions.native, "post")
    assert "json: the operation requires amount, appid, description and 3 more" in found
    order = client.v3.pay.transactions.out_trade_no._out_trade_no_
    assert "params: the operation requires mchid" in fail(send, order, "get", out_trade_no="1")
    assert "requires" not in fail(send, order, "get", out_trade_no="1", params={"mchid": "1"})
    assert "requires" not in fail(send, order["?mchid=1"], "get", out_trade_no="1")
    assert "requires" not in fail(send, order["{?mchid}"], "get", out_trade_no="1", mchid="1")
    bills = client.v3.fund_app.mch_transfer.transfer_bills
    infos = [{"info_type": "t", "info_content": "c"}, {"info_type": "t"}]
    found = fail(send, bills, "post", json={**TRANSFER, "transfer_scene_report_infos": infos})
    assert "transfer_scene_report_infos[1].info_content" in found


def test_plain_text_where_a_ciphertext_travels_is_named(wire, client, send):
    refuse(wire, 400, "PARAM_ERROR")
    bills = client.v3.fund_app.mch_transfer.transfer_bills
    found = fail(send, bills, "post", json={**TRANSFER, "user_name": "张三"})
    assert "json: user_name must be encrypted, which Sensitive(…) does" in found
    assert "张三" not in found
    for right in (Sensitive("张三"), base64.b64encode(bytes(256)).decode()):
        assert "encrypted" not in fail(send, bills, "post", json={**TRANSFER, "user_name": right})


@pytest.mark.parametrize(
    ("status", "code"), [(400, "INVALID_REQUEST"), (403, "NO_AUTH"), (429, "X"), (500, "SYSTEM_ERROR")]
)
def test_other_errors_get_no_note(wire, client, send, status, code):
    refuse(wire, status, code)
    assert notes_are_absent(fail(send, client.v3.pay.transactions.natve, "post", json={}))


def notes_are_absent(text: str) -> bool:
    return "did you mean" not in text and "requires" not in text


def test_a_note_is_in_the_traceback_and_not_in_the_log(wire, client, caplog):
    refuse(wire, 404, "NOT_FOUND")
    caplog.set_level(logging.DEBUG, "wechatpay_chain")
    with pytest.raises(APIError) as caught:
        client.v3.pay.transactions.natve.post(json={"description": SECRET})
    shown = "".join(traceback.format_exception(caught.value))
    assert "client.v3.pay.transactions.native.post(…)?" in shown
    assert SECRET not in shown
    again = pickle.loads(pickle.dumps(caught.value))
    assert notes(again) == notes(caught.value)
    assert again.status_code == 404


def test_nothing_is_read_before_there_is_an_error(service, wire):
    code = f"""
import sys
from tests.service import Service
from wechatpay_chain import Client, WeChatPayError
def loaded():
    return "wechatpay_chain._catalogue.operations" in sys.modules
with Client(**Service().settings({wire.base_url!r})) as client:
    try:
        client.v3.pay.transactions.native.post(json={{"a": 1}})
    except WeChatPayError as error:
        print(type(error).__name__, loaded())
    try:
        client.v3.pay.transactions._id_.get()
    except WeChatPayError as error:
        print(type(error).__name__, loaded())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "SignatureError False\nPathVariableError True\n"


@given(
    template=st.text("v3/{}pay-_<>?#%. ", max_size=40)
    | st.sampled_from(["v3/pay/transactions/native", "v2/pay/x", "/"]),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    json=st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["amount", "appid", "payer"]), inner)
        ),
        max_leaves=8,
    ),
    params=st.none() | st.lists(st.tuples(st.text(), st.text())) | st.dictionaries(st.text(), st.integers()),
)
def test_advice_never_fails(template, method, json, params):
    error = PathVariableError("x")
    advise(error, Call(method, template, json=json, params=params))
    assert str(error).startswith("x")


class Strange(dict):
    def __contains__(self, key):
        raise ZeroDivisionError(SECRET)


def test_a_call_of_strange_objects_keeps_its_error(wire, client):
    refuse(wire, 400, "PARAM_ERROR")
    with pytest.raises(APIError) as caught:
        client.v3.pay.transactions.native.post(json=Strange(appid="wx"))
    assert caught.value.code == "PARAM_ERROR"
    assert caught.value.__context__ is None or SECRET not in str(caught.value.__context__)


def test_an_event_loop_is_not_held_up(wire, client):
    """The first error reads the catalogue, the others do not."""
    refuse(wire, 404, "NOT_FOUND")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(APIError):
            await client.v3.pay.transactions.natve.post_async(json={})
        started = loop.time()
        for _ in range(20):
            with pytest.raises(APIError):
                await client.v3.pay.transactions.natve.post_async(json={})
        return (loop.time() - started) / 20

    assert asyncio.run(main()) < 0.1


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("v3/pay/transactions/native", ".v3.pay.transactions.native"),
        ("v3/merchant/media/video_upload", ".v3.merchant.media.video_upload"),
        ("global/v3/customs/orders", ".global_.v3.customs.orders"),
        ("v2/secapi/mch/addInstitutionsub", ".v2.secapi.mch.addInstitutionsub"),
        ("v3/a/{b}/delete", ".v3.a._b_.delete_"),
        ("v3/a_b/import", ".v3.a__b.import_"),
        ("v3/a/", ".v3.a._empty_"),
        ("v3/größe", '["v3/größe"]'),
    ],
)
def test_a_template_is_spelled_as_a_chain(template, written):
    assert spell(template) == written
