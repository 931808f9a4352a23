"""The sandbox answers every documented operation of APIv2, through the client in both modes."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import count

import pytest
from jsonschema import Draft202012Validator

from tests.test_sandbox_operations import sample, to_json_schema
from wechatpay_chain import APIError, crypto
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain._messages.xml_body import parse_xml
from wechatpay_chain.errors import ContentError
from wechatpay_chain.sandbox import Sandbox

OPERATIONS = [operation for key in list_operations() if (operation := find_operation(*key)) and operation.api == "v2"]
FILLED = {"mch_id", "mchid", "combine_mch_id", "nonce_str", "sign", "sign_type", "workwx_sign"}
OF_ERRORS = {"err_code", "err_code_des", "reason"}
"""Some pages list them as required, also of a success."""

PAID_BY = {
    "/mmpaymkttransfers/gethbinfo": "/mmpaymkttransfers/sendredpack",
    "/mmpaymkttransfers/queryworkwxredpack": "/mmpaymkttransfers/sendworkwxredpack",
    "/mmpaymkttransfers/gettransferinfo": "/mmpaymkttransfers/promotion/transfers",
    "/mmpaymkttransfers/promotion/querywwsptrans2pocket": "/mmpaymkttransfers/promotion/paywwsptrans2pocket",
    "/mmpaysptrans/query_bank": "/mmpaysptrans/pay_bank",
}
"""The queries of red packets and payments to users, each with an operation that makes one."""

OF_PAYOUTS = ("mch_billno", "partner_trade_no")

PAGES = {"/appauth/authindex", "/papay/entrustweb", "/papay/partner/entrustweb"}
"""URLs for the browser of a user."""

FLOW = r"(/sandboxnew|/xdc/apiv2sandbox|/transit|/vehicle)?(/secapi)?(?:/pay|/partnerpay|/pay/partner)?/(\w+)"
NUMBERS = {"transaction_id", "out_trade_no", "refund_id", "out_refund_no", "sub_mch_id", "offset"}
_numbers = count()


@pytest.fixture(scope="module")
def world():
    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


def paid_order(sandbox, client):
    number = f"v2-{next(_numbers)}"
    order = {"body": "公仔", "total_fee": 1, "spbill_create_ip": "1.1.1.1", "notify_url": "http://127.0.0.1:9/"}
    client.v2.pay.unifiedorder.post(xml={**order, "appid": "wx1", "out_trade_no": number, "trade_type": "NATIVE"})
    sandbox.pay(number, notify=False)
    return number


def deduct(sandbox, client, sub_mch_id):
    """Makes a deduction, and returns the fields that name it."""
    number, node = f"v2-{next(_numbers)}", client.v2.pay.partner if sub_mch_id else client.v2.pay
    named = {"appid": "wx1", "out_trade_no": number, "sub_mch_id": sub_mch_id}
    deduction = {"body": "会员", "total_fee": 1, "spbill_create_ip": "1.1.1.1", "notify_url": "http://127.0.0.1:9/"}
    node.pappayapply.post(xml={**named, **deduction, "trade_type": "PAP", "contract_id": "1"})
    sandbox.pay(number, notify=False)
    return named


def flow_fields(sandbox, client, name, path):
    """Returns fields of a call of a flow that refer to what there is."""
    refund = {"total_fee": 1, "refund_fee": 1}
    match name:
        case "unifiedorder":
            return {"out_trade_no": f"v2-{next(_numbers)}", "trade_type": "NATIVE", "time_expire": None}
        case "micropay":
            return {"out_trade_no": f"v2-{next(_numbers)}", "auth_code": "130000000000000000", "time_expire": None}
        case "pappayapply" | "payapply":
            return {"out_trade_no": f"v2-{next(_numbers)}", "sub_mch_id": "1900000109"}
        case "contractorder":
            return {"out_trade_no": f"v2-{next(_numbers)}", "trade_type": "NATIVE", "time_expire": None}
        case "paporderquery" | "queryorder":
            return deduct(sandbox, client, "1900000109" if "partner" in path else None)
        case "closeorder":
            number = paid_order(sandbox, client)
            sandbox.orders.pop(number)
            client.v2.pay.unifiedorder.post(
                xml={
                    "appid": "wx1",
                    "body": "公仔",
                    "total_fee": 1,
                    "out_trade_no": number,
                    "spbill_create_ip": "1.1.1.1",
                    "trade_type": "APP",
                    "notify_url": "http://127.0.0.1:9/",
                }
            )
            return {"out_trade_no": number}
        case "reverse":
            number = f"v2-{next(_numbers)}"
            code = {"auth_code": "130000000000000000", "total_fee": 1, "spbill_create_ip": "1.1.1.1"}
            client.v2.pay.micropay.post(xml={"appid": "wx1", "body": "公仔", "out_trade_no": number, **code})
            return {"out_trade_no": number}
        case "orderquery":
            return {"out_trade_no": paid_order(sandbox, client)}
        case "refund" | "refundv2":
            return {"out_trade_no": paid_order(sandbox, client), "out_refund_no": f"r-{next(_numbers)}", **refund}
        case "refundquery" | "refundqueryv2":
            number = paid_order(sandbox, client)
            client.v2.secapi.pay.refund.post(
                xml={"appid": "wx1", "out_trade_no": number, "out_refund_no": f"{number}-r", **refund}
            )
            return {"out_trade_no": number}
        case "downloadbill" | "downloadfundflow":
            paid_order(sandbox, client)
            day = f"{sandbox.now - timedelta(days=2):%Y%m%d}"
            return {"bill_date": day, "bill_type": "ALL", "account_type": "Basic", "tar_type": None}
    return None


def name_payout(operation, sandbox, client):
    """Makes a red packet or a payment to a user, and returns the fields of its query."""
    payment = find_operation("POST", PAID_BY[operation.path])
    made = arguments(payment, sandbox, client, everything=True)["xml"]
    client[payment.template].post(xml=made)
    number = {name: value for name, value in made.items() if name in OF_PAYOUTS}
    others = {"appid": "wx1", "bill_type": "MCHT"}
    return {**number, **{name: value for name, value in others.items() if name in operation.body["properties"]}}


def arguments(operation, sandbox, client, *, everything):
    if operation.form:
        return {"files": {"media": ("a.jpg", b"content")}}
    if operation.path in PAID_BY:
        return {"xml": name_payout(operation, sandbox, client)}
    schema = operation.query if operation.method == "GET" else operation.body
    members = {name: member for name, member in schema["properties"].items() if name not in FILLED}
    required = [name for name in schema["required"] if name in members]
    plain = {
        name: {key: fact for key, fact in member.items() if key != "encrypted"} for name, member in members.items()
    }
    fields = sample({**schema, "properties": plain, "required": required}, "", everything=everything)
    fields = {name: "TRUE" if value is True else value for name, value in fields.items()}
    if encrypted := [name for name in fields if members[name].get("encrypted")]:
        key = crypto.load_public_key(parse_xml(client.v2.risk.getpublickey.post(xml={}).content)["pub_key"])
        fields.update({name: crypto.encrypt("张三", key) for name in encrypted})
    fields.update({name: f"p{next(_numbers)}" for name in OF_PAYOUTS if name in fields})
    if "mch_billno" in fields and "total_amount" in fields:
        fields["total_amount"] = 1000
    found = re.fullmatch(FLOW, operation.path)
    if found and (known := flow_fields(sandbox, client, found[3], operation.path)):
        fields = {name: value for name, value in fields.items() if name not in NUMBERS}
        fields.update({name: value for name, value in known.items() if name in members})
    return {"params" if operation.method == "GET" else "xml": fields}


def read(schema, value):
    """Returns a value of a response with the types of its schema."""
    match schema["type"]:
        case "object":
            members = schema["properties"]
            named = {name: re.sub(r"_[0-9]+", "_$n", name) for name in value}
            return {
                name: read(members.get(name) or members.get(named[name]) or {"type": "string"}, each)
                for name, each in value.items()
            }
        case "array":
            return [read(schema["items"], each) for each in (value if isinstance(value, list) else [value])]
        case "integer":
            return int(value)
        case "boolean":
            return value == "true"
    return value


@pytest.mark.parametrize("everything", [False, True], ids=["required", "everything"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_every_operation_is_answered_with_what_its_schema_has(world, send, operation, everything):
    sandbox, client = world
    found = arguments(operation, sandbox, client, everything=everything)
    node = client[operation.template]
    if operation.path in PAGES:
        with pytest.raises((APIError, ContentError)):
            send(node, operation.method.lower(), **found)
        assert sandbox.history[-1].status == operation.status
        return
    response = send(node, operation.method.lower(), **found)
    assert response.status_code == operation.status
    if not response.content.startswith(b"<xml>"):
        kind = response.headers["Content-Type"]
        assert kind == ("application/json; charset=utf-8" if "appauth" in operation.path else "text/plain")
        return
    fields = parse_xml(response.content)
    schema = operation.response
    required = [name.replace("$n", "0").replace("$m", "0") for name in schema["required"] if name not in OF_ERRORS]
    members = {name: member for name, member in schema["properties"].items() if name != "sign"}
    fits = Draft202012Validator(to_json_schema({**schema, "properties": members, "required": []}))
    assert [error.message for error in fits.iter_errors(read(schema, fields))] == []
    assert set(required) <= fields.keys()
    known = {*schema["properties"], *(["return_code", "return_msg"] if not schema["properties"] else [])}
    assert {name for name in fields if re.sub(r"_[0-9]+", "_$n", name).replace("$n_$n", "$n_$m") not in known} <= known


def test_what_was_sent_by_a_number_is_found_again(world, send):
    _, client = world
    transfers = client.v2.mmpaymkttransfers
    sent = {"partner_trade_no": "t-1", "amount": 123, "openid": "o1", "check_name": "NO_CHECK", "desc": "理赔"}
    sent["spbill_create_ip"] = "1.1.1.1"
    send(transfers.promotion.transfers, "post", xml={"mch_appid": "wx1", **sent})
    found = send(transfers.gettransferinfo, "post", xml={"appid": "wx1", "partner_trade_no": "t-1"})
    shown = {"partner_trade_no": "t-1", "openid": "o1", "payment_amount": "123", "desc": "理赔"}
    assert shown.items() <= parse_xml(found.content).items()


def share(client, send, number, account):
    receivers = [{"type": "MERCHANT_ID", "account": account, "amount": 1, "description": "分账"}]
    fields = {"appid": "wx1", "transaction_id": "4200000000202601010000000009", "out_order_no": number}
    found = send(client.v2.secapi.pay.profitsharing, "post", xml={**fields, "receivers": receivers})
    return parse_xml(found.content)


def test_two_shares_of_a_payment_are_two_things(world, send):
    _, client = world
    first, second = share(client, send, "share-1", "190000101"), share(client, send, "share-2", "190000102")
    assert first["order_id"] != second["order_id"]
    for number, made, account in (("share-1", first, "190000101"), ("share-2", second, "190000102")):
        named = {"transaction_id": first["transaction_id"], "out_order_no": number}
        found = parse_xml(send(client.v2.pay.profitsharingquery, "post", xml=named).content)
        assert found["order_id"] == made["order_id"]
        assert account in found["receivers"]


def test_the_return_of_a_share_names_it_and_does_not_replace_it(world, send):
    _, client = world
    made = share(client, send, "share-3", "190000103")
    returned = {"return_account_type": "MERCHANT_ID", "return_account": "190000103", "return_amount": 1}
    fields = {"appid": "wx1", "out_order_no": "share-3", "description": "退回", **returned}
    node = client.v2.secapi.pay.profitsharingreturn
    first, second = (
        parse_xml(send(node, "post", xml={**fields, "out_return_no": number}).content)
        for number in ("back-1", "back-2")
    )
    assert first["order_id"] == second["order_id"] == made["order_id"]
    assert first["return_no"] != second["return_no"]
    named = {"appid": "wx1", "out_order_no": "share-3", "out_return_no": "back-1"}
    found = parse_xml(send(client.v2.pay.profitsharingreturnquery, "post", xml=named).content)
    assert found["return_no"] == first["return_no"]
    named = {"transaction_id": made["transaction_id"], "out_order_no": "share-3"}
    found = parse_xml(send(client.v2.pay.profitsharingquery, "post", xml=named).content)
    assert (found["order_id"], "190000103" in found["receivers"]) == (made["order_id"], True)


def test_two_contracts_of_a_plan_are_two_things(world, send):
    _, client = world
    plan = {"appid": "wx1", "plan_id": "77", "version": "1.0", "timestamp": "1414488825", "request_serial": 1}
    plan["notify_url"] = "http://127.0.0.1:9/"
    users, made = {"code-1": "alice", "code-2": "bob"}, {}
    for code, user in users.items():
        contract = {**plan, "contract_code": code, "contract_display_account": user}
        made[code] = parse_xml(send(client.v2.papay.preentrustweb, "post", xml=contract).content)["pre_entrustweb_id"]
    assert made["code-1"] != made["code-2"]
    for code, user in users.items():
        named = {"appid": "wx1", "plan_id": 77, "contract_code": code, "version": "1.0"}
        found = parse_xml(send(client.v2.papay.querycontract, "post", xml=named).content)
        assert found["contract_display_account"] == user
        by_id = {"appid": "wx1", "contract_id": found["contract_id"], "version": "1.0"}
        assert parse_xml(send(client.v2.papay.querycontract, "post", xml=by_id).content)["contract_code"] == code


OF_FAILURES = {"fail_reason", "reason", "err_param", "refund_time", "refund_amount"}


@pytest.mark.parametrize(
    "path", ["/papay/h5entrustweb", "/secapi/pay/profitsharingreturn", "/mmpaymkttransfers/gethbinfo"]
)
def test_a_success_has_no_words_of_a_failure(world, send, path):
    sandbox, client = world
    (operation,) = (operation for operation in OPERATIONS if operation.path == path)
    given = arguments(operation, sandbox, client, everything=True)
    fields = parse_xml(send(client[operation.template], operation.method.lower(), **given).content)
    assert not fields.keys() & OF_FAILURES
    assert fields.get("result_msg", "OK") == "OK"


def test_an_unknown_path_names_the_nearest_operation(world):
    sandbox, client = world
    with pytest.raises(APIError):
        client.v2.pay.unifiedordr.post(xml={})
    assert "POST /pay/unifiedorder" in sandbox.history[-1].response.body.decode()
