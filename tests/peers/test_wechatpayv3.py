"""wechatpayv3, unmodified and with its built-in host, works with the sandbox as it does with WeChat Pay.

It is configured as its README says. HTTPS_PROXY and the file of the authority lead it to the sandbox.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import inspect
import json
import logging
import secrets
from datetime import datetime, timedelta, timezone

import pytest
import wechatpayv3
import wechatpayv3.async_

from tests.shop import keep_shop
from wechatpay_chain.sandbox import Sandbox

# For tests for which it does not matter how signatures are verified.
with_a_certificate = pytest.mark.parametrize("keys", ["certificate"], indirect=True)


class Peer:
    """A client of wechatpayv3 in either mode.

    Args:
        client: the client.
        wait: returns the result of what a method returns.
        package: where the client is from.

    Attributes:
        types: the kinds of payment; those of the other mode are not accepted.
    """

    def __init__(self, client, wait, package):
        self._client, self._wait, self.types = client, wait, package.WeChatPayType

    def call(self, name, **arguments):
        """Calls a method, and returns the status and the content, JSON parsed."""
        status, content = self._wait(getattr(self._client, name)(**arguments))
        return status, json.loads(content) if isinstance(content, str) and content else content

    def read_notification(self, headers, body):
        """Returns the event type and the resource of a notification, or None if it is refused."""
        notice = self._client.callback(dict(headers), body)
        return notice and (notice["event_type"], notice["resource"])


@pytest.fixture(scope="module")
def shared_sandbox():
    with Sandbox(tls=True, proxy=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox, tmp_path, monkeypatch):
    (tmp_path / "authority.pem").write_text(shared_sandbox.authority)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "authority.pem"))
    monkeypatch.setenv("HTTPS_PROXY", shared_sandbox.proxy_url)
    for name in ("https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture(params=["certificate", "downloaded certificate", "public key"])
def keys(request, sandbox, tmp_path):
    """The settings by which a client verifies signatures."""
    (public_key_id, public_key), (serial, certificate) = sandbox.credentials["certs"].items()
    if request.param == "public key":
        sandbox.sign_with = "public-key"
        return {"public_key": public_key, "public_key_id": public_key_id}
    (tmp_path / "certificates").mkdir()
    if request.param == "certificate":
        (tmp_path / "certificates" / f"{serial}.pem").write_text(certificate)
    return {"cert_dir": str(tmp_path / "certificates")}


@pytest.fixture(params=["sync", "async"])
def peer(request, sandbox, keys):
    package = wechatpayv3 if request.param == "sync" else wechatpayv3.async_
    settings = {
        "wechatpay_type": package.WeChatPayType.NATIVE,
        "mchid": sandbox.credentials["mchid"],
        "private_key": sandbox.credentials["private_key"],
        "cert_serial_no": sandbox.credentials["serial"],
        "appid": "wxd678efh567hg6787",
        "apiv3_key": sandbox.credentials["apiv3_key"],
        "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
        "logger": logging.getLogger("wechatpayv3"),
        "timeout": (5, 5),
        **keys,
    }
    if request.param == "sync":
        yield Peer(package.WeChatPay(**settings), lambda result: result, package)
        return
    loop = asyncio.new_event_loop()

    async def finish(result):
        while inspect.isawaitable(result):  # its uploads return a coroutine of a coroutine
            result = await result
        return result

    client = loop.run_until_complete(package.AsyncWeChatPay(**settings).__aenter__())
    yield Peer(client, lambda result: loop.run_until_complete(finish(result)), package)
    loop.run_until_complete(client.__aexit__(None, None, None))
    loop.close()


def test_wechatpayv3_takes_a_payment_from_the_order_to_the_bill(peer, sandbox):
    number = f"py-{secrets.token_hex(8)}"
    with keep_shop(peer.read_notification) as shop:
        status, order = peer.call(
            "pay", description="公仔", out_trade_no=number, amount={"total": 100}, notify_url=shop.url
        )
        assert (status, list(order)) == (200, ["code_url"])
        assert peer.call("query", out_trade_no=number)[1]["trade_state"] == "NOTPAY"

        sandbox.pay(number)
        status, paid = peer.call("query", out_trade_no=number)
        assert (status, paid["trade_state"]) == (200, "SUCCESS")
        assert shop.wait() == ("TRANSACTION.SUCCESS", paid)
        assert peer.call("query", transaction_id=paid["transaction_id"]) == (200, paid)

        status, refund = peer.call(
            "refund",
            out_refund_no=f"{number}-r",
            transaction_id=paid["transaction_id"],
            amount={"refund": 30, "total": 100, "currency": "CNY"},
            reason="商品已售完",
            notify_url=shop.url,
        )
        assert (status, refund["status"], refund["amount"]["refund"]) == (200, "PROCESSING", 30)
        sandbox.refunds[f"{number}-r"].finish()
        event, refunded = shop.wait()
        assert (event, refunded["out_refund_no"], refunded["refund_status"]) == (
            "REFUND.SUCCESS",
            f"{number}-r",
            "SUCCESS",
        )
        status, found = peer.call("query_refund", out_refund_no=f"{number}-r")
        assert (status, found["status"], found["refund_id"]) == (200, "SUCCESS", refund["refund_id"])

    day = (datetime.now(timezone(timedelta(hours=8))) - timedelta(days=2)).date().isoformat()
    status, bill = peer.call("trade_bill", bill_date=day)
    assert (status, bill["hash_type"]) == (200, "SHA1")
    status, content = peer.call("download_bill", url=bill["download_url"])
    content = gzip.decompress(content)
    assert (status, hashlib.sha1(content).hexdigest()) == (200, bill["hash_value"])
    assert content.decode().count(f"`{number},") == 2, "the payment and the refund"


@with_a_certificate
def test_wechatpayv3_places_and_closes_orders(peer):
    number = f"py-{secrets.token_hex(8)}"
    order = {"description": "公仔", "out_trade_no": number, "amount": {"total": 1}}
    status, result = peer.call("pay", **order, payer={"openid": "oUpF8"}, pay_type=peer.types.JSAPI)
    assert (status, list(result)) == (200, ["prepay_id"])
    assert peer.call("close", out_trade_no=number)[0] == 204
    assert peer.call("query", out_trade_no=number)[1]["trade_state"] == "CLOSED"
    assert peer.call("query", out_trade_no="none-of-ours")[0] == 404


@pytest.mark.filterwarnings("ignore:Properties that return a naïve datetime")  # it compares certificates by these
def test_wechatpayv3_transfers_to_a_user_whose_name_it_encrypts(peer, sandbox):
    number = f"py{secrets.token_hex(8)}"
    status, transfer = peer.call(
        "mch_transfer_bills",
        out_bill_no=number,
        transfer_scene_id="1000",
        openid="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        transfer_amount=30,
        transfer_remark="新会员开通有礼",
        user_name="张三",
        transfer_scene_report_infos=[{"info_type": "活动名称", "info_content": "新会员有礼"}],
    )
    assert (status, transfer["state"]) == (200, "WAIT_USER_CONFIRM")
    sandbox.transfers[number].confirm()
    sandbox.transfers[number].finish()
    status, found = peer.call("mch_transfer_bills_query", out_bill_no=number)
    assert (status, found["state"]) == (200, "SUCCESS")


@with_a_certificate
def test_wechatpayv3_transfers_to_a_batch_of_users_without_their_names_and_a_scene(peer):
    """Both are optional in the official SDKs."""
    number = f"py{secrets.token_hex(8)}"
    transfer = {
        "out_detail_no": f"{number}a",
        "transfer_amount": 30,
        "transfer_remark": "报销",
        "openid": "oUpF8uMuAJO",
    }
    status, batch = peer.call(
        "transfer_batch",
        out_batch_no=number,
        batch_name="报销单",
        batch_remark="报销单",
        total_amount=30,
        total_num=1,
        transfer_detail_list=[transfer],
    )
    assert (status, batch["out_batch_no"]) == (200, number)


@with_a_certificate
def test_wechatpayv3_uploads_a_multipart_body_without_a_boundary_in_its_header(peer, sandbox, tmp_path):
    """wechatpayv3 has done so for years, and the service reads the boundary from the body."""
    (tmp_path / "a.png").write_bytes(bytes(range(256)))
    status, result = peer.call("image_upload", filepath=str(tmp_path / "a.png"))
    assert (status, list(result)) == (200, ["media_id"])
    assert sandbox.history[-1].call.headers["Content-Type"] == "multipart/form-data"


def test_wechatpayv3_refuses_a_forged_notification_and_receives_its_retry(peer, sandbox):
    with keep_shop(peer.read_notification) as shop:
        notice = sandbox.notify("TRANSACTION.SUCCESS", {"attach": "公仔"}, shop.url, fault="wrong-signature")
        assert not notice.is_received
        assert shop.is_empty()
        sandbox.advance(15)
        assert notice.is_received
        event_type, resource = shop.wait()
        assert (event_type, resource["attach"]) == ("TRANSACTION.SUCCESS", "公仔")
