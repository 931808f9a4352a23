"""The sandbox's applyments: the states of both kinds, what a query shows in each, and the same number again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documented import assert_response
from tests.test_sandbox_operations import sample
from wechatpay_chain import APIError, ConfigurationError, Sensitive
from wechatpay_chain._catalogue.operations import find_operation

SUB = "/v3/applyment4sub/applyment"
SHOP = "/v3/ecommerce/applyments"
DAY = 86400
EXISTS = (400, "RESOURCE_ALREADY_EXISTS")
NOT_FOUND = (404, "RESOURCE_NOT_EXISTS")


def body_of(client, path, **more):
    return {**sample(find_operation("POST", path).body, client.mchid, everything=False), **more}


def submit_sub(client, number="190001351110000", **more):
    body = body_of(client, f"{SUB}/", business_code=number, **more)
    return client[f"{SUB[1:]}/"].post(json=body).json()["applyment_id"]


def submit_shop(client, number="APPLYMENT_00000000001", **more):
    body = body_of(client, f"{SHOP}/", out_request_no=number, **more)
    made = client[f"{SHOP[1:]}/"].post(json=body).json()
    assert made["out_request_no"] == number
    return made["applyment_id"]


def query_sub(client, number="190001351110000"):
    path = f"{SUB}/business_code/{{business_code}}"
    return assert_response("GET", path, client[path[1:]].get(business_code=number).json())


def query_shop(client, number="APPLYMENT_00000000001"):
    path = f"{SHOP}/out-request-no/{{out_request_no}}"
    return assert_response("GET", path, client[path[1:]].get(out_request_no=number).json())


def outcome(call, *arguments, **more):
    with pytest.raises(APIError) as caught:
        call(*arguments, **more)
    return caught.value.status_code, caught.value.code


def test_an_applyment_of_a_sub_merchant_goes_through_its_states(sandbox, client, send):
    applyment_id = submit_sub(client)
    applyment = sandbox.applyments["190001351110000"]
    shown = {
        "AUDITING": set(),
        "TO_BE_CONFIRMED": {"sign_url"},
        "TO_BE_SIGNED": {"sign_url", "sub_mchid"},
        "SIGNING": {"sub_mchid"},
        "FINISHED": {"sub_mchid"},
    }
    by_id = client[f"{SUB[1:]}/applyment_id/{{applyment_id}}"]
    for state, members in shown.items():
        if state != "AUDITING":
            applyment.move(state)
        found = query_sub(client)
        assert found["applyment_state"] == f"APPLYMENT_STATE_{state}"
        assert found["applyment_id"] == applyment_id == applyment.applyment_id
        assert found.keys() - {"business_code", "applyment_id", "applyment_state", "applyment_state_msg"} == members
        assert send(by_id, "get", applyment_id=applyment_id).json() == found
    assert found["sub_mchid"] == applyment.sub_mchid


def test_a_rejected_applyment_is_submitted_again_with_the_same_number(sandbox, client):
    applyment_id = submit_sub(client)
    applyment = sandbox.applyments["190001351110000"]
    applyment.move("REJECTED", reason="照片模糊", field="id_card_copy")
    (detail,) = query_sub(client)["audit_detail"]
    assert (detail["field"], detail["reject_reason"]) == ("id_card_copy", "照片模糊")
    assert submit_sub(client, addition_info={"business_addition_desc": "已更正"}) == applyment_id
    assert applyment.state == "AUDITING"
    assert applyment.submitted["addition_info"] == {"business_addition_desc": "已更正"}
    assert "audit_detail" not in query_sub(client)
    applyment.move("EDITTING")
    assert submit_sub(client) == applyment_id
    assert applyment.state == "AUDITING"


@pytest.mark.parametrize("submit", [submit_sub, submit_shop])
def test_the_same_number_in_progress_is_the_same_applyment(sandbox, client, submit):
    first = submit(client)
    other = {"addition_info": {"business_addition_desc": "x"}, "qualifications": ["x"]}
    name = "addition_info" if submit is submit_sub else "qualifications"
    if submit is submit_sub:  # encrypted anew each time, and decrypted it is the same
        assert submit(client) == first
    assert outcome(submit, client, **{name: other[name]}) == EXISTS
    assert submit(client, "another_number") != first
    assert len(sandbox.applyments) == 2
    wrong = submit_shop if submit is submit_sub else submit_sub
    assert outcome(wrong, client, "another_number") == EXISTS


@pytest.mark.parametrize(
    ("states", "seconds", "following"),
    [(["TO_BE_CONFIRMED"], 10 * DAY, "REJECTED"), (["TO_BE_SIGNED"], 30 * DAY, "CANCELED"),
     (["TO_BE_SIGNED", "SIGNING"], 1800, "FINISHED")],
    ids=str,
)  # fmt: skip
def test_a_state_ends_by_itself(sandbox, client, states, seconds, following):
    submit_sub(client)
    applyment = sandbox.applyments["190001351110000"]
    for state in states:
        applyment.move(state)
    sandbox.advance(seconds - 60)
    assert applyment.state == states[-1]
    sandbox.advance(60)
    found = query_sub(client)
    assert found["applyment_state"] == f"APPLYMENT_STATE_{following}"
    assert ("audit_detail" in found) is (following == "REJECTED")


def test_a_canceled_applyment_needs_another_number(sandbox, client):
    submit_sub(client)
    sandbox.applyments["190001351110000"].move("TO_BE_SIGNED")
    sandbox.advance(30 * DAY)
    assert outcome(submit_sub, client, addition_info={"business_addition_desc": "x"}) == EXISTS
    assert submit_sub(client, "190001351110001")


def test_an_applyment_of_a_shop_goes_through_its_states(sandbox, client, send):
    applyment_id = submit_shop(client)
    applyment = sandbox.applyments["APPLYMENT_00000000001"]
    shown = {
        "CHECKING": ("NOT_SIGNABLE", set()),
        "ACCOUNT_NEED_VERIFY": ("NOT_SIGNABLE", {"legal_validation_url"}),
        "AUDITING": ("NOT_SIGNABLE", set()),
        "NEED_SIGN": ("UNSIGNED", {"sign_url", "sub_mchid"}),
        "FINISH": ("SIGNED", {"sub_mchid"}),
    }
    always = {"applyment_id", "out_request_no", "applyment_state", "applyment_state_desc", "sign_state", "audit_detail"}
    by_id = client[f"{SHOP[1:]}/{{applyment_id}}"]
    for state, (sign_state, members) in shown.items():
        if state != "CHECKING":
            applyment.move(state)
        found = query_shop(client)
        assert (found["applyment_state"], found["sign_state"]) == (state, sign_state)
        assert found.keys() - always == members
        assert found["audit_detail"] == []
        assert send(by_id, "get", applyment_id=applyment_id).json() == found


def test_the_account_of_a_company_is_verified_by_a_transfer(sandbox, client):
    account = {"bank_account_type": "74", "account_name": Sensitive("公司"), "account_number": Sensitive("622848")}
    submit_shop(client, account_info=account)
    sandbox.applyments["APPLYMENT_00000000001"].move("ACCOUNT_NEED_VERIFY")
    validation = query_shop(client)["account_validation"]
    assert (client.decrypt(validation["account_name"]), client.decrypt(validation["account_no"])) == ("公司", "622848")


@pytest.mark.parametrize("state", ["REJECTED", "FROZEN"])
def test_a_refused_applyment_of_a_shop_has_reasons(sandbox, client, state):
    applyment_id = submit_shop(client)
    sandbox.applyments["APPLYMENT_00000000001"].move(state, reason="照片模糊")
    found = query_shop(client)
    assert found["audit_detail"] == [{"param_name": "id_card_copy", "reject_reason": "照片模糊"}]
    if state == "REJECTED":
        assert submit_shop(client, qualifications=["x"]) == applyment_id
        assert query_shop(client)["audit_detail"] == []
    else:
        assert outcome(submit_shop, client, qualifications=["x"]) == EXISTS


def test_an_applyment_of_a_shop_is_revoked(sandbox, client, send):
    applyment_id = submit_shop(client)
    numbers = {"applyment_id": applyment_id, "out_request_no": "APPLYMENT_00000000001"}
    by_number = client[f"{SHOP[1:]}/out-request-no/{{out_request_no}}/revoke"]
    by_id = client[f"{SHOP[1:]}/{{applyment_id}}/revoke"]
    assert send(by_number, "post", out_request_no="APPLYMENT_00000000001").json() == numbers
    assert query_shop(client)["applyment_state"] == "CANCELED"
    assert send(by_id, "post", applyment_id=applyment_id).json() == numbers
    submit_shop(client, "APPLYMENT_00000000002")
    other = sandbox.applyments["APPLYMENT_00000000002"]
    for state in ("AUDITING", "NEED_SIGN", "FINISH"):
        other.move(state)
    assert outcome(by_id.post, applyment_id=other.applyment_id) == (400, "INVALID_REQUEST")


def test_an_applyment_that_does_not_exist_is_not_found(sandbox, client):
    submit_sub(client)
    applyment = sandbox.applyments["190001351110000"]
    assert outcome(query_sub, client, "1") == outcome(query_shop, client, "1") == NOT_FOUND
    assert outcome(query_shop, client, applyment.number) == NOT_FOUND
    assert outcome(client[f"{SHOP[1:]}/{{applyment_id}}"].get, applyment_id=applyment.applyment_id) == NOT_FOUND
    sandbox.reset()
    assert outcome(query_sub, client) == NOT_FOUND


def test_an_impossible_move_is_refused(sandbox, client):
    submit_sub(client)
    applyment = sandbox.applyments["190001351110000"]
    with pytest.raises(
        ConfigurationError, match="came 'FINISHED'; after AUDITING expected one of EDITTING, REJECTED, "
    ):
        applyment.move("FINISHED")
    for state in ("TO_BE_SIGNED", "SIGNING", "FINISHED"):
        applyment.move(state)
    with pytest.raises(ConfigurationError, match="after FINISHED expected none"):
        applyment.move("AUDITING")


STATES = ("EDITTING", "AUDITING", "REJECTED", "TO_BE_CONFIRMED", "TO_BE_SIGNED", "SIGNING", "FINISHED", "CANCELED")


@given(st.lists(st.one_of(st.sampled_from(STATES), st.integers(0, 40 * DAY)), max_size=8))
def test_every_state_that_can_be_reached_can_be_queried(shared_sandbox, steps):
    shared_sandbox.reset()
    with shared_sandbox.client(retry=None) as client:
        submit_sub(client)
        applyment = shared_sandbox.applyments["190001351110000"]
        ended = None
        for step in steps:
            if isinstance(step, int):
                shared_sandbox.advance(step)
            else:
                try:
                    applyment.move(step)
                except ConfigurationError:
                    continue
            found = query_sub(client)
            assert found["applyment_state"] in {f"APPLYMENT_STATE_{state}" for state in STATES}
            assert ended in (None, found["applyment_state"])
            if applyment.state in ("FINISHED", "CANCELED"):
                ended = found["applyment_state"]
