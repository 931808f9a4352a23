"""Each fault of the sandbox has its effect, and a client accepts no response that is not verified."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox_command import run_sandbox
from wechatpay_chain import (
    APIError,
    BadRequestError,
    Client,
    ConfigurationError,
    NotFoundError,
    Reason,
    Retry,
    SignatureError,
    TransportError,
)
from wechatpay_chain.sandbox import Fault, Sandbox
from wechatpay_chain.sandbox._notifier import find_delays

ORDER = {
    "appid": "wxd678efh567hg6787",
    "description": "公仔",
    "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
    "amount": {"total": 100},
}


@pytest.fixture(scope="module")
def shared_sandbox():
    with Sandbox(slowness=0.6, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox):
    shared_sandbox.heal()
    yield shared_sandbox
    shared_sandbox.heal()
    shared_sandbox.sign_with = None


@pytest.fixture
def client(sandbox):
    with sandbox.client(retry=None, timeout=5) as client:
        yield client


def place_order(client, send, number, **options):
    order = {**ORDER, "mchid": client.mchid, "out_trade_no": number}
    return send(client.v3.pay.transactions.native, "post", json=order, **options)


SIGNATURE_FAULTS = {
    Fault.WRONG_SIGNATURE: Reason.BAD_SIGNATURE,
    Fault.SIGNTEST: Reason.BAD_SIGNATURE,
    Fault.OLD_CLOCK: Reason.CLOCK_SKEW,
    Fault.FUTURE_CLOCK: Reason.CLOCK_SKEW,
    Fault.UNKNOWN_SERIAL: Reason.UNKNOWN_SERIAL,
    Fault.MISSING_HEADER: Reason.MISSING_HEADER,
}


@pytest.mark.parametrize("fault", SIGNATURE_FAULTS, ids=str)
def test_a_response_with_an_invalid_signature_is_refused(sandbox, client, send, fault):
    sandbox.fault(fault)
    with pytest.raises(SignatureError) as caught:
        place_order(client, send, f"unverified-{fault.name}"[:32])
    assert caught.value.reason is SIGNATURE_FAULTS[fault]
    assert send(client.v3.security.echo, "post", json={"echo_message": "hello"}).status_code == 200


ERROR_FAULTS = {  # the status of the response, and whether the order was placed
    "401": (401, False),
    "429": (429, False),
    "500": (500, True),
    "502": (502, True),
    "503": (503, False),
    "html": (502, False),
}


@pytest.mark.parametrize("fault", ERROR_FAULTS)
def test_a_fault_that_is_an_error_response(sandbox, client, send, fault):
    status, has_acted = ERROR_FAULTS[fault]
    number = f"error-{fault}-{send.__name__}"
    sandbox.fault(fault)
    with pytest.raises(APIError) as caught:
        place_order(client, send, number)
    assert caught.value.status_code == status
    assert re.fullmatch("[0-9A-F]{20}-[0-9]+", caught.value.request_id)
    assert (number in sandbox.orders) is has_acted
    if fault == "html":
        assert caught.value.code == ""
        assert "<html>" in caught.value.response.text


@pytest.mark.parametrize(
    ("fault", "has_acted"), [("dropped-before", False), ("dropped-after", True), ("cut-body", True)]
)
def test_a_fault_that_breaks_the_connection(sandbox, client, send, fault, has_acted):
    number = f"{fault}-{send.__name__}"
    sandbox.fault(fault)
    with pytest.raises(TransportError) as caught:
        place_order(client, send, number)
    assert caught.value.sent is True
    assert (number in sandbox.orders) is has_acted


def test_a_slow_response(sandbox, client, send):
    sandbox.fault(Fault.SLOW)
    began = time.monotonic()
    place_order(client, send, f"slow-{send.__name__}")
    assert time.monotonic() - began > 0.5
    sandbox.fault("slow")
    with pytest.raises(TransportError) as caught:
        place_order(client, send, f"slower-{send.__name__}", timeout=0.2)
    assert caught.value.sent is True


def test_a_rotation_of_the_platform_certificate(send):
    with Sandbox() as sandbox:
        (_, _), (serial, pem) = sandbox.credentials["certs"].items()
        with sandbox.client(certs={serial: pem}) as client:
            assert client.v3.security.echo.post(json={"echo_message": "a"}).headers["Wechatpay-Serial"] == serial
            sandbox.fault(Fault.ROTATION)
            response = send(client.v3.security.echo, "post", json={"echo_message": "a"})
            assert response.headers["Wechatpay-Serial"] != serial
            sandbox.rotate()
            assert len(sandbox.credentials["certs"]) == 4
            assert len(client.v3.certificates.get().json()["data"]) == 3


def test_the_sandbox_changes_from_the_certificate_to_the_public_key(sandbox, client, send):
    public_key_id, serial = list(sandbox.credentials["certs"])[:2]
    header = {"Wechatpay-Serial": serial}

    def get_signer():
        return send(client.v3.security.echo, "post", json={"echo_message": "a"}, headers=header).headers[
            "Wechatpay-Serial"
        ]

    assert get_signer() == serial
    sandbox.fault(Fault.PUBLIC_KEY)
    assert get_signer() == public_key_id
    assert get_signer() == public_key_id
    assert sandbox.sign_with == "public-key"
    sandbox.sign_with = "certificate"
    assert get_signer() == serial
    with pytest.raises(ConfigurationError, match="sign_with: came 'x'"):
        sandbox.sign_with = "x"


def test_faults_come_in_their_order_and_then_end(sandbox, client, send):
    sandbox.fault("503", times=2)
    sandbox.fault("401")
    statuses = []
    for _ in range(4):
        try:
            statuses.append(send(client.v3.security.echo, "post", json={"echo_message": "a"}).status_code)
        except APIError as error:
            statuses.append(error.status_code)
    assert statuses == [503, 503, 401, 200]


def test_a_share_of_the_responses_has_a_fault(sandbox, client):
    sandbox.fault("503", share=0.3)
    sandbox.fault("429", share=0.2)
    counts = {200: 0, 503: 0, 429: 0}
    for _ in range(300):
        try:
            counts[client.v3.security.echo.post(json={"echo_message": "a"}).status_code] += 1
        except APIError as error:
            counts[error.status_code] += 1
    assert 60 < counts[503] < 120
    assert 35 < counts[429] < 90
    sandbox.fault("503", share=0)
    sandbox.heal()
    assert client.v3.security.echo.post(json={"echo_message": "a"}).status_code == 200


@pytest.mark.parametrize(
    "invalid",
    [{"fault": "418"}, {"fault": "503", "times": 0}, {"fault": "503", "times": 1, "share": 0.1},
     {"fault": "503", "share": 1.1}, {"fault": "503", "share": -0.1}, {"fault": "503", "times": True},
     {"fault": "503", "times": 10**6}, {"fault": "503", "share": "1"}],
    ids=str,
)  # fmt: skip
def test_an_invalid_fault_is_refused(sandbox, invalid):
    with pytest.raises(ConfigurationError, match="fault: came"):
        sandbox.fault(**invalid)


def test_shares_must_not_add_up_to_more_than_1(sandbox):
    sandbox.fault("503", share=0.6)
    with pytest.raises(ConfigurationError, match="must not add up to more than 1"):
        sandbox.fault("429", share=0.5)
    sandbox.fault("503", share=0.5)
    sandbox.fault("429", share=0.5)


def test_faults_can_be_set_on_the_command_line(tmp_path):
    file = tmp_path / "merchant.json"
    faults = ["--fault", "503=1", "--fault", "signtest=100%", "--seed", "7"]
    with run_sandbox("--credentials", file, *faults) as process:
        assert process.stdout.readline().startswith("WeChat Pay sandbox at http://127.0.0.1:")
        with Client(**json.loads(file.read_text()), proxies={}, retry=None) as client:
            with pytest.raises(APIError):
                client.v3.security.echo.post(json={"echo_message": "a"})
            for _ in range(2):
                with pytest.raises(SignatureError):
                    client.v3.security.echo.post(json={"echo_message": "a"})
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("text", ["503=", "503=0", "503=-1", "=1", "slow=x%", "slow=200%", "418=1", "slow=10%%"])
def test_an_invalid_fault_on_the_command_line_is_refused(text):
    run = subprocess.run(
        [sys.executable, "-m", "wechatpay_chain", "sandbox", "--fault", text],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert run.returncode in (1, 2)
    assert "came" in run.stderr
    assert "Traceback" not in run.stderr


# Notifications


@pytest.fixture
def shop(sandbox):
    """Yields a merchant's server, which parses what it receives and responds with the status `shop.reply`."""
    with sandbox.client() as client:

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.before_reply()
                try:
                    server.seen.append(client.notifications.parse(self.headers.items(), body))
                    self.send_response(server.reply)
                except SignatureError as error:
                    server.seen.append(error.reason)
                    self.send_response(500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        server.seen, server.reply, server.before_reply = [], 204, lambda: None
        server.url = f"http://127.0.0.1:{server.server_address[1]}/notify"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        server.server_close()


PAID = {"out_trade_no": "1217752501201407033233368018", "trade_state": "SUCCESS", "attach": "中文"}


def test_a_notification_is_received(sandbox, shop):
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, shop.url)
    assert notice.is_received
    assert [post.outcome for post in notice.posts] == [204]
    assert notice.next_at is None
    (seen,) = shop.seen
    assert (seen.id, seen.event_type, seen.original_type) == (notice.id, "TRANSACTION.SUCCESS", "transaction")
    assert seen.resource.items() >= PAID.items()
    assert "1217752501" not in repr(notice)


@pytest.mark.parametrize("fault", SIGNATURE_FAULTS, ids=str)
def test_a_notification_with_an_invalid_signature_comes_again_with_a_valid_one(sandbox, shop, fault):
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, shop.url, fault=fault)
    assert not notice.is_received
    assert [post.outcome for post in notice.posts] == [500]
    sandbox.advance(15)
    assert [post.outcome for post in notice.posts] == [500, 204]
    assert shop.seen[0] is SIGNATURE_FAULTS[fault]
    assert shop.seen[1].resource.items() >= PAID.items()
    sandbox.advance(10**6)
    assert len(shop.seen) == 2


def test_a_notification_that_is_refused_comes_15_times_more(sandbox, shop):
    shop.reply = 500
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, shop.url, original_type="transaction")
    began = notice.posts[0].at
    for seconds, count in ((14, 1), (1, 2), (14, 2), (1, 3), (30, 4), (180, 5), (600, 6)):
        sandbox.advance(seconds)
        assert len(notice.posts) == count
    sandbox.advance(24 * 3600)
    assert [round(post.at - began) for post in notice.posts][-1] == 24 * 3600 + 4 * 60
    assert len(notice.posts) == 16
    assert notice.next_at is None
    assert not notice.is_received
    assert len({seen.id for seen in shop.seen}) == 1


def test_each_event_type_has_its_delays():
    assert sum(find_delays("TRANSACTION.SUCCESS")) == 24 * 3600 + 240
    assert find_delays("COUPON.USE") == (60,) * 9
    assert find_delays("COUPON.SEND") == find_delays("PRODUCT_COUPON_SP.SEND") == (60,) * 11
    assert len(find_delays("MCHTRANSFER.BILL.FINISHED")) == 64
    assert find_delays("PAPAY.TERMINATE")[-1] == 3600


def test_the_next_post_comes_as_time_passes(sandbox, shop):
    shop.reply = 500
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, shop.url)
    shop.reply = 204
    sandbox.advance(14.7)
    deadline = time.monotonic() + 20
    while not notice.is_received and time.monotonic() < deadline:
        time.sleep(0.05)
    assert notice.is_received


def test_a_post_that_reaches_nobody_is_recorded(sandbox):
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, "http://127.0.0.1:9/")
    assert [post.outcome for post in notice.posts] == ["ConnectionError"]
    with pytest.raises(ConfigurationError, match="fault: came '503'; expected one of wrong-signature"):
        sandbox.notify("TRANSACTION.SUCCESS", PAID, "http://127.0.0.1:9/", fault="503")


def test_advance_waits_for_a_post_that_has_begun(sandbox, shop):
    shop.reply = 500
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, shop.url)
    is_posting = threading.Event()

    def reply_slowly():
        is_posting.set()
        time.sleep(0.3)

    shop.before_reply = reply_slowly
    sandbox.advance(14.9)
    assert is_posting.wait(5)
    sandbox.advance(0)
    assert len(notice.posts) == 2


def test_a_post_that_is_due_soon_after_an_advance_is_not_late(sandbox, shop):
    shop.reply = 500
    notice = sandbox.notify("TRANSACTION.SUCCESS", PAID, shop.url)
    time.sleep(0.3)  # the worker waits for the second post, in 15 seconds
    sandbox.advance(14)
    deadline = time.monotonic() + 5
    while len(notice.posts) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_threads_of_the_sandbox_end_with_it():
    before = set(threading.enumerate())
    with Sandbox() as sandbox:
        sandbox.notify("TRANSACTION.SUCCESS", PAID, "http://127.0.0.1:9/")
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


def test_a_receiver_may_send_another_notification(sandbox):
    notices, is_sent = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if not is_sent.is_set():
                is_sent.set()
                notices.append(sandbox.notify("REFUND.SUCCESS", {}, url))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        assert sandbox.notify("TRANSACTION.SUCCESS", {}, url).is_received
        server.shutdown()
    assert notices[0].is_received


@pytest.mark.parametrize("url", ["http://a..b/", "nowhere", "http://[::1", "ftp://127.0.0.1/"])
def test_a_post_to_an_invalid_url_fails(sandbox, url):
    assert not sandbox.notify("TRANSACTION.SUCCESS", {}, url).is_received


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", None])
def test_the_clock_only_goes_forward(sandbox, seconds):
    with pytest.raises(ConfigurationError, match="seconds: came"):
        sandbox.advance(seconds)


# Uploads


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def test_an_upload_is_accepted_and_can_be_fetched(client, send, tmp_path):
    response = send(client.v3.merchant_service.images.upload, "post", files={"file": ("门店.png", PICTURE)})
    media_id = response.json()["media_id"]
    fetched = send(client.v3.merchant_service.images._media_id_, "get", media_id=media_id)
    assert (fetched.content, fetched.headers["Content-Type"]) == (PICTURE, "image/png")
    with pytest.raises(NotFoundError):
        send(client.v3.merchant_service.images._media_id_, "get", media_id="x")


@pytest.mark.parametrize(
    ("path", "part", "name", "meta", "member"),
    [
        ("v3/merchant/media/upload", "file", "a.pdf", {}, "media_id"),
        ("v3/marketing/favor/media/image-upload", "file", "a.jpg", {}, "media_url"),
        ("v3/mch-manage/submission-files/sub-mchid/1/upload", "submission_file", "a", {"item_id": 1}, "file_id"),
        ("v3/taxi-invoice/cards/upload-file", "file", "a.pdf", {"region_id": 1}, "fapiao_media_id"),
        ("v3/new-tax-control-fapiao/fapiao-applications/upload-fapiao-file", "file", "a.ofd", {}, "fapiao_media_id"),
    ],
)
def test_every_kind_of_upload_is_accepted(client, send, path, part, name, meta, member):
    assert send(client[path], "post", files={part: (name, PICTURE)}, json=meta).json()[member]


def build_replacing_middleware(old, new):
    def replace_octets(request):
        from dataclasses import replace

        from wechatpay_chain._messages.request import Carried

        octets = b"".join(request.stream()).replace(old, new)
        upload = replace(request._carried.upload, length=len(octets), chunks=lambda: iter([octets]))
        response = yield replace(request, _carried=Carried(upload))
        return response

    return replace_octets


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (PICTURE, PICTURE + b"x", 400),
        (b'filename="a.png"', b'filename="b.png"', 400),
        (b'name="file"', b'name="picture"', 400),
        (b'name="meta"', b'name="data"', 400),
        (b"a.png", b"a.gif", 401),
        (b"--\r\n", b"\r\n", 400),
        (b"Content-Disposition", b"Content-Position", 400),
    ],
)
def test_an_invalid_upload_is_refused(client, send, old, new, status):
    client.middleware.insert_after("sign", "replace", build_replacing_middleware(old, new))
    with pytest.raises(APIError) as caught:
        send(client.v3.merchant.media.upload, "post", files={"file": ("a.png", PICTURE)})
    assert caught.value.status_code == status


@given(st.text(max_size=60), st.binary(max_size=200))
def test_random_bodies_are_parsed_without_an_error(text, body):
    from wechatpay_chain.sandbox._multipart import parse_multipart

    for content_type in (text, f"multipart/form-data; boundary={text}", "multipart/form-data; boundary=x"):
        for octets in (body, b"--x\r\n" + body + b"\r\n--x--\r\n"):
            assert all(part.name for part in parse_multipart(content_type, octets))


def test_a_file_of_the_largest_size_is_accepted(client, send):
    content = bytes(int(7.5 * (1 << 20)))
    assert send(client.v3.merchant.media.upload, "post", files={"file": ("a.pdf", content)}).status_code == 200


@pytest.mark.parametrize("name", ["a\\b.jpg", 'a"b.jpg', "a b.jpg"])
def test_an_odd_file_name_is_accepted(client, send, name):
    assert send(client.v3.merchant.media.upload, "post", files={"file": (name, PICTURE)}).json()["media_id"]


def test_a_boundary_that_is_not_ascii_is_refused(sandbox):
    import socket

    host, port = sandbox.base_url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"POST /v3/merchant/media/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n"
            b"Content-Type: multipart/form-data; boundary=\xff\xfe\r\n\r\nab"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


def test_shares_may_add_up_to_1(sandbox):
    for fault, share in (("slow", 0.8), ("503", 0.1), ("429", 0.1)):
        sandbox.fault(fault, share=share)


# Bills


def pay_orders(sandbox, client, name, **more):
    """Places and pays an order of the merchant and one of its sub-merchant 1900000109."""
    merchants = {"sp_appid": ORDER["appid"], "sp_mchid": client.mchid, "sub_mchid": "1900000109"}
    order = {member: ORDER[member] for member in ("description", "notify_url", "amount")} | more
    transactions, number = client.v3.pay.transactions, f"{name}-0"
    if number in sandbox.orders:
        return
    transactions.native.post(json={**order, "appid": ORDER["appid"], "mchid": client.mchid, "out_trade_no": number})
    client.v3.pay.partner.transactions.native.post(json={**order, **merchants, "out_trade_no": f"{name}-1"})
    for index in range(2):
        sandbox.pay(f"{name}-{index}", notify=False)


@pytest.fixture
def day(sandbox, client):
    """Returns a day whose bills are available at any hour and contain the payments of today."""
    pay_orders(sandbox, client, "billed", description="一,二")
    return (sandbox.now - timedelta(days=2)).date().isoformat()


@pytest.mark.parametrize("compression", [{}, {"tar_type": "GZIP"}], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["tradebill", "fundflowbill"])
def test_a_bill_can_be_downloaded(client, send, tmp_path, day, kind, compression):
    bill = send(client.v3.bill[kind], "get", params={"bill_date": day, **compression})
    assert bill.json()["hash_type"] == "SHA1"
    client.download(bill, tmp_path / "bill", gunzip=True)
    asyncio.run(client.download_async(bill, tmp_path / "raw"))
    content = (tmp_path / "bill").read_bytes()
    raw = (tmp_path / "raw").read_bytes()
    assert raw == content if not compression else gzip.decompress(raw) == content
    lines = content.decode("utf-8-sig").split("\r\n")
    assert len(lines) > 5
    if kind == "tradebill":
        assert any("`billed-0," in line and "`1.00" in line for line in lines)


@pytest.mark.parametrize("path", ["v3/ecommerce/bill/fundflowbill", "v3/bill/sub-merchant-fundflowbill"])
def test_a_bill_of_a_sub_merchant_can_be_downloaded(client, send, tmp_path, day, path):
    params = {"bill_date": day, "tar_type": "GZIP", **BILLS[path]}
    bill = send(client[path], "get", params=params)
    client.download(bill, tmp_path / "bill", gunzip=True)
    assert (tmp_path / "bill").read_bytes().startswith("\ufeff记账时间".encode())


@pytest.fixture
def noon():
    """Yields a sandbox whose clock is at noon in China, a client for it, and the day."""
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        now = sandbox.now
        at_noon = now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
        sandbox.advance((at_noon - now).total_seconds())
        assert sandbox.now.date() == at_noon.date()
        yield sandbox, client, at_noon.date()


def test_the_clock_shows_the_time_of_china(sandbox):
    assert sandbox.now.utcoffset() == timedelta(hours=8)
    with Sandbox() as other:
        assert abs(other.now - datetime.now(timezone.utc)) < timedelta(minutes=1)
        other.advance(86400)
        assert other.now - datetime.now(timezone.utc) > timedelta(hours=23)


BILLS = {
    "v3/bill/tradebill": {},
    "v3/bill/fundflowbill": {},
    "v3/bill/sub-merchant-fundflowbill": {
        "algorithm": "AEAD_AES_256_GCM",
        "account_type": "BASIC",
        "sub_mchid": "1900000109",
    },
    "v3/ecommerce/bill/fundflowbill": {"algorithm": "AEAD_AES_256_GCM", "account_type": "ALL"},
}


@pytest.mark.parametrize("path", BILLS)
def test_a_bill_is_available_at_10_on_the_next_day(noon, send, path):
    sandbox, client, today = noon

    def outcome(day):
        try:
            return send(client[path], "get", params={"bill_date": str(day), **BILLS[path]}).status_code
        except BadRequestError as error:
            return error.code

    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    assert outcome(yesterday) == "NO_STATEMENT_EXIST"
    assert outcome(today) == "STATEMENT_CREATING"
    pay_orders(sandbox, client, "billed-at-noon")
    assert outcome(yesterday) == 200
    assert outcome(today) == "STATEMENT_CREATING"
    assert outcome(tomorrow) == "NO_STATEMENT_EXIST"
    sandbox.advance(21 * 3600 + 59 * 60)  # to 9:59 of the next day
    assert outcome(today) == "STATEMENT_CREATING"
    sandbox.advance(60)
    assert outcome(today) == 200
    assert outcome(tomorrow) == "STATEMENT_CREATING"
    for invalid in ("2026-02-30", "2026-13-01", "0000-00-00"):
        assert outcome(invalid) == "PARAM_ERROR"


def test_bills_are_available_for_three_months(noon, send):
    _, client, today = noon

    def code(day):
        with pytest.raises(BadRequestError) as caught:
            send(client.v3.bill.tradebill, "get", params={"bill_date": str(day)})
        return caught.value.code

    assert code(today - timedelta(days=89)) == "NO_STATEMENT_EXIST"
    assert code(today - timedelta(days=93)) == "INVALID_REQUEST"
    assert code("2020-01-01") == "INVALID_REQUEST"


def test_a_download_succeeds_after_faults(sandbox, client, tmp_path, day):
    with sandbox.client(retry=Retry(attempts=4, backoff=0)) as client:
        bill = client.v3.bill.tradebill.get(params={"bill_date": day})
        for fault in ("cut-body", "dropped-after", "503"):
            sandbox.fault(fault)
        client.download(bill, tmp_path / "bill")
    assert (tmp_path / "bill").read_bytes().startswith("\ufeff交易时间".encode())
