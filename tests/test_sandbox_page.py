"""The page of the sandbox: what it shows, who may use it, and how it looks and works in a browser."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest
import requests

from tests.browser import CHROMIUM, Browser
from wechatpay_chain import APIError
from wechatpay_chain.sandbox import Fault, Sandbox

REASON = '{"code": "FAIL", "message": "订单不存在"}'
SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture
def world():
    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


@pytest.fixture
def receiver():
    """A receiver of notifications that refuses the first one."""
    statuses = iter([500])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status = next(statuses, 204)
            self.send_response(status)
            self.end_headers()
            if status == 500:
                self.wfile.write(REASON.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/notify"
    server.shutdown()
    thread.join()
    server.server_close()


def place(client, number="20260101-0001", description="公仔", **more):
    body = {"appid": "wx1", "mchid": client.mchid, "description": description, "out_trade_no": number, **more}
    body = {"notify_url": "http://127.0.0.1:9/", "amount": {"total": 1234}, **body}
    return client.v3.pay.transactions.native.post(json=body)


def get(sandbox, name, **query):
    return requests.get(f"{sandbox.base_url}_sandbox/{name}", params=query, timeout=30).json()["result"]


def post(sandbox, name, **values):
    return requests.post(f"{sandbox.base_url}_sandbox/{name}", json=values, timeout=30).json()


def wait(check):
    end = time.monotonic() + 30
    while not (value := check()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def test_a_call_is_listed_and_shown(world):
    sandbox, client = world
    response = place(client)
    overview = get(sandbox, "overview")
    [call] = overview["calls"]
    assert (overview["first"], overview["next"], overview["mchid"]) == (0, 1, client.mchid)
    assert (call["method"], call["target"], call["status"]) == ("POST", "/v3/pay/transactions/native", 200)
    assert "Native" in call["title"] and call["at"] == overview["calls"][0]["at"] and call["fault"] is None
    seen = get(sandbox, "seen", number=0)
    assert seen["problem"] == ""
    assert seen["message"].startswith("POST\n/v3/pay/transactions/native\n")
    assert seen["message"].endswith(f"\n{seen['request']['body']}\n")
    assert json.loads(seen["response"]["body"]) == response.json()
    assert seen["response"]["headers"]["Wechatpay-Signature"] == response.headers["Wechatpay-Signature"]
    assert get(sandbox, "overview", start=1)["calls"] == []


def test_a_signature_that_is_not_verified_has_a_reason(world):
    sandbox, client = world
    requests.get(f"{sandbox.base_url}v3/certificates", timeout=5)
    with pytest.raises(APIError), sandbox.client(retry=None, serial="1" * 40) as stranger:
        stranger.v3.pay.transactions.id._id_.get(id="1", params={"mchid": client.mchid})
    sandbox.fault(Fault.UNAVAILABLE)
    with pytest.raises(APIError):
        client.v3.certificates.get()
    malformed, wrong, unchecked = (get(sandbox, "seen", number=number) for number in range(3))
    assert (malformed["problem"][:18], malformed["message"]) == ("Http头Authorization", "")
    assert "序列号有误" in wrong["problem"] and wrong["message"].startswith("GET\n/v3/pay/transactions/id/1?mchid=")
    assert unchecked["problem"] is None and unchecked["message"].startswith("GET\n/v3/certificates\n")
    assert [call["fault"] for call in get(sandbox, "overview")["calls"]] == [None, None, "503"]


def test_the_message_of_an_upload_has_its_meta_only(world):
    sandbox, client = world
    client.v3.merchant.media.upload.post(files={"file": ("a.png", b"picture")})
    assert get(sandbox, "seen", number=0)["message"].splitlines()[-1].startswith('{"filename":"a.png","sha256":')


def test_a_failed_response_keeps_the_verification(world):
    sandbox, client = world
    sandbox.fault(Fault.SYSTEM_ERROR)
    with pytest.raises(APIError):
        client.v3.certificates.get()
    assert get(sandbox, "seen", number=0)["problem"] == ""


def test_bodies_in_the_history_are_bounded(world):
    sandbox, client = world
    name = client.v3.merchant_service.images.upload.post(files={"file": ("a.png", b"x" * 100_000)}).json()["media_id"]
    assert len(client.v3.merchant_service.images._media_id_.get(media_id=name).content) == 100_000
    upload, download = sandbox.history
    assert len(upload.call.body) == len(download.response.body) == 65536
    client.v3.security.echo.post(json={"echo_message": "x" * 10})
    assert sandbox.history[-1].response.verification.signed == sandbox.history[-1].call.body


def test_numbers_go_on_after_a_reset(world):
    sandbox, client = world
    client.v3.certificates.get()
    sandbox.reset()
    assert [get(sandbox, "overview")[name] for name in ("first", "next", "calls")] == [1, 1, []]
    client.v3.certificates.get()
    assert get(sandbox, "overview", start=1)["calls"][0]["number"] == 1


def test_orders_have_a_qr_code_until_they_are_paid(world):
    sandbox, client = world
    place(client)
    [order] = get(sandbox, "overview")["orders"]
    assert (order["number"], order["total"], order["state"]) == ("20260101-0001", 1234, "NOTPAY")
    assert order["is_open"] and order["has_code"]
    code = requests.get(f"{sandbox.base_url}_sandbox/page/qr.svg?number=20260101-0001", timeout=5)
    assert code.headers["Content-Type"].startswith("image/svg+xml") and "<path" in code.text
    unknown = requests.get(f"{sandbox.base_url}_sandbox/page/qr.svg?number=1", timeout=5)
    assert unknown.status_code == 404
    assert "error" not in post(sandbox, "pay", out_trade_no="20260101-0001")
    assert get(sandbox, "overview")["orders"][0]["is_open"] is False
    assert "ORDERPAID" in post(sandbox, "pay", out_trade_no="20260101-0001")["error"]


def test_a_combined_order_is_one_order(world):
    sandbox, _ = world
    example = get(sandbox, "example", method="POST", path="/v3/combine-transactions/native")
    answer = post(sandbox, "call", method="POST", path=example["path"], body=example["body"])["result"]
    assert answer["status"] == 200, answer
    [order] = get(sandbox, "overview")["orders"]
    assert order["number"] == example["body"]["combine_out_trade_no"]
    assert order["total"] == sum(each["amount"]["total_amount"] for each in example["body"]["sub_orders"])
    assert requests.get(f"{sandbox.base_url}_sandbox/page/qr.svg", {"number": order["number"]}, timeout=5).ok
    post(sandbox, "pay", out_trade_no=order["number"])
    assert get(sandbox, "overview")["orders"][0]["state"] == "SUCCESS"


def test_a_notification_is_listed_and_sent_again(world, receiver):
    sandbox, client = world
    place(client, notify_url=receiver)
    sandbox.pay("20260101-0001")

    def posts():
        return [post["outcome"] for post in get(sandbox, "overview")["notices"][0]["posts"]]

    wait(posts)
    [notice] = get(sandbox, "overview")["notices"]
    assert (notice["event_type"], notice["url"], notice["is_received"]) == ("TRANSACTION.SUCCESS", receiver, False)
    assert notice["next_at"] > notice["posts"][0]["at"]
    assert notice["posts"][0]["response"] == REASON
    for expected in ([500, 204], [500, 204, 204]):
        post(sandbox, "send_again", notice_id=notice["id"])
        wait(lambda expected=expected: posts() == expected)
    notice = wait(lambda: next(each for each in get(sandbox, "overview")["notices"] if each["is_received"]))
    assert notice["next_at"] is None
    assert post(sandbox, "send_again", notice_id="1") == {"error": "the sandbox has no '1'"}


def test_active_faults_are_listed(world):
    sandbox, _ = world
    sandbox.fault("503", times=2)
    sandbox.fault("slow", share=0.5)
    assert get(sandbox, "overview")["faults"] == {"503": {"times": 2, "share": 0}, "slow": {"times": 0, "share": 0.5}}
    post(sandbox, "heal")
    assert get(sandbox, "overview")["faults"] == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v3/pay/transactions/native", 200),
        ("POST", "/v3/pay/partner/transactions/jsapi", 200),
        ("GET", "/v3/certificates", 200),
        ("GET", "/v3/bill/tradebill", 400),  # the day of the example had no payments
        ("POST", "/v3/merchant/media/upload", 200),
        ("POST", "/v3/merchant/media/video_upload", 200),
        ("POST", "/v3/applyment4sub/applyment/", 200),  # has encrypted members, also in lists
        ("POST", "/v3/profitsharing/receivers/add", 200),
        ("GET", "/v3/marketing/membercard-open/phonenumber-member/search", 200),  # has an encrypted parameter
        ("GET", "/v3/bank-transfer/batches/batch-id/{batch_id}", 200),  # has a boolean parameter
        ("GET", "/v3/refund/domestic/refunds/{out_refund_no}", 404),
        ("GET", "/v3/bill/downloadurl", 400),  # the catalogue lacks it
    ],
)
def test_an_example_can_be_called(world, method, path, status):
    sandbox, _ = world
    assert {"method": method, "path": path} in [
        {name: each[name] for name in ("method", "path")} for each in get(sandbox, "operations")
    ]
    example = get(sandbox, "example", method=method, path=path)
    answer = post(sandbox, "call", method=method, path=example["path"], body=example["body"])["result"]
    assert answer["status"] == status, answer
    assert ("error" in answer) is (status != 200)
    assert sandbox.history[-1].call.method == method


def test_an_example_of_a_query_names_what_there_is(world):
    sandbox, client = world
    place(client)
    sandbox.pay("20260101-0001", notify=False)
    refund = {
        "out_trade_no": "20260101-0001",
        "out_refund_no": "r1",
        "amount": {"refund": 1, "total": 1234, "currency": "CNY"},
    }
    client.v3.refund.domestic.refunds.post(json=refund)
    for path in (
        "/v3/pay/transactions/out-trade-no/{out_trade_no}",
        "/v3/pay/transactions/id/{transaction_id}",
        "/v3/refund/domestic/refunds/{out_refund_no}",
    ):
        example = get(sandbox, "example", method="GET", path=path)
        assert post(sandbox, "call", method="GET", path=example["path"])["result"]["status"] == 200


def test_a_call_shows_a_signature_that_is_not_verified_and_a_lost_response(world):
    sandbox, _ = world
    sandbox.fault(Fault.WRONG_SIGNATURE)
    answer = post(sandbox, "call", method="GET", path="/v3/certificates")["result"]
    assert answer["status"] == 200 and "signature" in answer["error"].lower()
    sandbox.fault(Fault.DROPPED_BEFORE)
    assert list(post(sandbox, "call", method="GET", path="/v3/certificates")["result"]) == ["error"]
    assert "error" in post(sandbox, "call", method="PULL", path="/v3/certificates")


def test_the_page_works_over_https(tmp_path):
    with Sandbox(tls=True) as sandbox, requests.Session() as session:
        (tmp_path / "authority.pem").write_text(sandbox.authority)
        session.trust_env = False
        session.verify = str(tmp_path / "authority.pem")
        assert session.get(sandbox.base_url, timeout=5).ok
        headers, body = {"Origin": sandbox.base_url.rstrip("/")}, {"method": "GET", "path": "/v3/certificates"}
        answer = session.post(f"{sandbox.base_url}_sandbox/call", json=body, headers=headers, timeout=30).json()
        assert answer["result"]["status"] == 200


def test_the_files_of_the_page_come_with_a_policy(world):
    sandbox, _ = world
    page = requests.get(sandbox.base_url, timeout=5)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in ("", "_sandbox/page/page.js", "_sandbox/page/page.css", "_sandbox/page/icon.svg", "_sandbox/state"):
        response = requests.get(sandbox.base_url + path, timeout=5)
        assert response.status_code == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("_sandbox/page/", "_sandbox/page/../_page.py", "_sandbox/page/index.html", "_sandbox/page/%2e%2e/x"):
        assert requests.get(sandbox.base_url + path, timeout=5).status_code == 404
    assert " style=" not in page.text and " on" not in page.text.replace(" one", "")
    assert sandbox.history == []


@pytest.mark.parametrize("path", ["", "_sandbox/page/page.js", "_sandbox/overview", "_sandbox/seen?number=0"])
@pytest.mark.parametrize("headers", [{"Origin": "https://www.example.com"}, {"Host": "www.example.com"}])
def test_a_page_of_another_origin_gets_nothing(world, path, headers):
    sandbox, _ = world
    assert requests.get(sandbox.base_url + path, headers=headers, timeout=5).status_code == 403


@pytest.mark.parametrize("name", ["send_again", "call", "pay"])
def test_a_page_of_another_origin_does_nothing(world, name):
    sandbox, _ = world
    body = {"method": "GET", "path": "/v3/certificates"}
    headers = {"Origin": "https://www.example.com"}
    assert requests.post(f"{sandbox.base_url}_sandbox/{name}", json=body, headers=headers, timeout=5).status_code == 403
    assert sandbox.history == []


# The rest is in a browser.
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture
def browser(world, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        yield browser
    assert browser.problems == []
    assert {url for url in browser.requested if not url.startswith(world[0].base_url)} == set()


def count(selector):
    """Returns an expression in JavaScript: the number of elements."""
    return f"document.querySelectorAll({json.dumps(selector)}).length"


@in_browser
def test_an_order_is_paid_by_a_click(world, browser, receiver):
    sandbox, client = world
    browser.open(sandbox.base_url)
    place(client, notify_url=receiver)
    browser.wait(f"{count('#calls-list details')} == 1")
    browser.wait("document.querySelector('.order img')?.naturalWidth > 0")
    assert browser.evaluate("document.querySelector('.amount').textContent") == "¥12.34"
    browser.click(".order .pay")
    browser.wait("document.querySelector('.order .state').textContent == 'SUCCESS'")
    assert sandbox.orders["20260101-0001"].trade_state == "SUCCESS"
    browser.wait("document.querySelector('.notice .bad')?.textContent == '500'")
    browser.wait("document.querySelector('.notice pre')?.textContent.includes('订单不存在')")
    browser.click(".notice button")
    browser.wait("document.querySelector('.notice .good')?.textContent == '204'")


@in_browser
def test_a_call_opens_and_stays_open(world, browser):
    sandbox, client = world
    browser.open(sandbox.base_url)
    client.v3.certificates.get()
    browser.wait(count("#calls-list details"))
    browser.click("#calls-list summary")
    browser.wait(f"{count('#calls-list pre')} == 5")
    assert browser.evaluate("document.querySelector('.signature').textContent") == "✓ Signature verified"
    client.v3.certificates.get()
    browser.wait(f"{count('#calls-list details')} == 2")
    assert browser.evaluate("[...document.querySelectorAll('#calls-list details')].map(e => e.open)") == [False, True]


@in_browser
def test_faults_are_switched(world, browser):
    sandbox, _ = world
    browser.open(sandbox.base_url)
    assert browser.evaluate("[...document.querySelectorAll('.fault')].map(e => e.dataset.key)") == list(map(str, Fault))
    sandbox.fault("slow", share=0.1)
    browser.wait("document.querySelector(\".fault[data-key='slow'] .share\").textContent == '10%'")
    for fault in ("503", "429"):
        browser.click(f".fault[data-key='{fault}'] input")
        wait(lambda fault=fault: get(sandbox, "overview")["faults"] == {fault: {"times": 0, "share": 1}})
    browser.click(".fault[data-key='401'] button")
    browser.wait("document.querySelector(\".fault[data-key='401'] button\").textContent.includes('(1)')")
    browser.click("#heal")
    browser.wait(f"{count('.fault.on')} == 0")
    assert get(sandbox, "overview")["faults"] == {}


@in_browser
def test_the_form_calls_an_operation(world, browser):
    sandbox, _ = world
    browser.open(sandbox.base_url)
    browser.click("#call-form button")
    browser.wait("document.querySelector('#answer pre')?.textContent.includes('code_url')")
    browser.wait(count(".order img"))
    browser.evaluate(
        "(() => { const field = document.querySelector('#operation');"
        "field.value = [...document.querySelectorAll('#operations option')].map(e => e.value)"
        ".find(value => value.startsWith('GET /v3/certificates '));"
        "field.dispatchEvent(new Event('input')); })()"
    )
    browser.wait("document.querySelector('#path').value == '/v3/certificates'")
    browser.click("#call-form button")
    browser.wait("document.querySelector('#answer pre')?.textContent.includes('encrypt_certificate')")
    browser.evaluate("document.querySelector('#body').value = '{'")
    browser.click("#call-form button")
    browser.wait("document.querySelector('#status').textContent.includes('JSON')")


@in_browser
def test_text_of_requests_is_never_html(world, browser):
    sandbox, client = world
    place(client, description=SCRIPT)
    requests.get(f"{sandbox.base_url}v3/{SCRIPT}", timeout=5)
    host, port = sandbox.base_url.split("/")[2].split(":")
    requests.post(f"http://{host}:{port}/v3/x?{quote(SCRIPT)}", data=SCRIPT, headers={"X-Y": SCRIPT}, timeout=5)
    sandbox.notify(SCRIPT, {}, f"http://127.0.0.1:9/{SCRIPT}")
    browser.open(sandbox.base_url)
    browser.wait(f"{count('#calls-list details')} == 3")
    for _ in range(3):
        browser.click("#calls-list details:not([open]) summary")
        browser.wait(f"{count('#calls-list details[open] pre')} == 5 * {count('#calls-list details[open]')}")
    assert browser.evaluate("document.querySelector('.description').textContent") == SCRIPT
    assert browser.evaluate(f"{count('body script')} + {count('img[src=x]')}") == 0
    assert browser.evaluate("document.title") == "WeChat Pay sandbox"


@in_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(world, browser, width):
    sandbox, client = world
    place(client, description="W" * 100, notify_url=f"http://127.0.0.1:9/{'w' * 200}")
    sandbox.pay("20260101-0001")
    with pytest.raises(APIError):
        client[f"v3/{'w' * 200}"].get()
    for dark in (False, True):
        browser.open(sandbox.base_url, width, dark)
        browser.wait(f"{count('#calls-list details')} == 2 && {count('.notice')} == 1")
        browser.click("#calls-list details:last-child summary")
        browser.wait(count("#calls-list pre"))
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert browser.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.localName != 'option' &&"
            "e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)"
        ) == []  # fmt: skip
    dark_ground, text = browser.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert dark_ground == "rgb(16, 21, 19)" and text == "rgb(230, 236, 233)"


@in_browser
def test_everything_is_reached_by_tab_and_shows_its_focus(world, browser):
    sandbox, client = world
    place(client)
    sandbox.notify("TRANSACTION.SUCCESS", {}, "http://127.0.0.1:9/")
    browser.open(sandbox.base_url)
    browser.wait(f"{count('.order')} && {count('.notice')} && {count('#calls-list summary')} && {count('.fault')}")
    browser.evaluate(
        "window.wanted = new Set([...document.querySelectorAll('a, button, input, textarea, summary')]"
        ".filter(e => e.checkVisibility()))"
    )
    total = browser.evaluate("wanted.size")
    assert total > 45
    unnamed = "[...wanted].filter(e => !(e.textContent || e.labels?.length || e.ariaLabel)).length"
    assert browser.evaluate(unnamed) == 0
    for _ in range(total + 20):  # lists that scroll take the focus too
        browser.press("Tab", 9)
        assert browser.evaluate("document.activeElement == document.body || "
                                "parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 1")  # fmt: skip
        browser.evaluate("wanted.delete(document.activeElement)")
    assert browser.evaluate("[...wanted].map(e => e.outerHTML)") == []
    browser.evaluate("document.querySelector('.pay').focus()")
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelector('.order .state').textContent == 'SUCCESS'")


@in_browser
def test_the_language_is_that_of_the_browser_and_can_be_switched(world, tmp_path):
    sandbox, _ = world
    with Browser(tmp_path / "chinese", "zh-CN") as browser:
        browser.open(sandbox.base_url)
        assert browser.evaluate("[document.documentElement.lang, document.title]") == ["zh", "微信支付沙箱"]
        assert browser.evaluate("document.querySelector('#heal').textContent") == "结束所有故障"
        for text in ("End all faults", "结束所有故障"):
            browser.click("#language")
            browser.wait(f"document.querySelector('#heal')?.textContent == '{text}'")
        assert browser.problems == []
