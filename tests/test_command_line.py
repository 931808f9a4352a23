"""The commands that call the service and read what came, against a sandbox; how each ends, and what it never shows."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import subprocess
import sys

import pytest

from tests.apiv2.conftest import signature_of, xml_of
from tests.service import new_key, public_pem
from wechatpay_chain import Sensitive
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain._cli.example import write_example
from wechatpay_chain._cli.main import main
from wechatpay_chain.sandbox import Sandbox

RUN = [sys.executable, "-m", "wechatpay_chain"]
NUMBER = "20260101-0001"


@pytest.fixture(scope="module")
def running():
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


@pytest.fixture
def world(running, tmp_path, monkeypatch):
    """Returns a sandbox that is as new, its client, and a folder, which is current and has an order and the merchant's file."""
    sandbox, client = running
    sandbox.reset()
    for variable in os.environ:
        if variable.startswith("WECHATPAY_"):
            monkeypatch.delenv(variable)
    (tmp_path / "merchant.json").write_text(json.dumps(sandbox.credentials))
    order = {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "公仔",
        "out_trade_no": NUMBER,
        "notify_url": "https://www.example.com/notify",
        "amount": {"total": 100, "currency": "CNY"},
    }
    (tmp_path / "order.json").write_text(json.dumps(order, ensure_ascii=False), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WECHATPAY_CONFIG", "merchant.json")
    return sandbox, client, tmp_path


def place(*options):
    return main(["request", "POST", "v3/pay/transactions/native", "--json", "@order.json", *options])


def query(client, *options, number=NUMBER):
    path = "v3/pay/transactions/out-trade-no/{out_trade_no}"
    return main(
        ["request", "get", path, "--var", f"out_trade_no={number}", "--param", f"mchid={client.mchid}", *options]
    )


def test_a_request_is_signed_and_its_response_verified(world, capsys):
    sandbox, client, _ = world
    assert place() == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["code_url"].startswith("weixin://")
    assert err.startswith("200 verified, Request-ID ")
    sandbox.pay(NUMBER, notify=False)
    assert query(client) == 0
    assert json.loads(capsys.readouterr().out)["trade_state"] == "SUCCESS"


def test_a_response_without_a_body_prints_nothing(world, capsys):
    _, client, _ = world
    place()
    capsys.readouterr()
    path = f"/v3/pay/transactions/out-trade-no/{NUMBER}/close"
    assert main(["request", "POST", path, "--json", json.dumps({"mchid": client.mchid})]) == 0
    out, err = capsys.readouterr()
    assert (out, err[:12]) == ("", "204 verified")


def test_a_code_url_is_shown_as_a_qr_code(world, capsys):
    assert place("--qr") == 0
    assert "█" in capsys.readouterr().out
    assert place() == 0
    assert "█" not in capsys.readouterr().out, "not in a pipe"


@pytest.mark.parametrize("source", ["-", "@-"])
def test_the_body_can_come_from_stdin(world, monkeypatch, capsys, source):
    _, _, folder = world
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "order.json").read_bytes())))
    assert main(["request", "POST", "v3/pay/transactions/native", "--json", source]) == 0


def test_a_dry_run_shows_what_is_signed_and_sends_nothing(world, capsys):
    sandbox, _, folder = world
    assert place("--dry-run", "--header", "X-Trace: 7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["POST", "/v3/pay/transactions/native"]
    assert json.loads(lines[5]) == json.loads((folder / "order.json").read_text(encoding="utf-8"))
    (authorization,) = (line for line in lines if line.startswith("Authorization: WECHATPAY2-SHA256-RSA2048 "))
    assert f'timestamp="{lines[3]}"' in authorization
    assert f'nonce_str="{lines[4]}"' in authorization
    assert "X-Trace: 7" in lines
    assert sandbox.history == []


def test_a_dry_run_fetches_no_certificates(world, capsys):
    sandbox, _, folder = world
    known = {**sandbox.credentials, "certs": {}}
    (folder / "merchant.json").write_text(json.dumps(known))
    assert place("--dry-run") == 0
    assert main(["request", "GET", "v3/certificates", "--dry-run"]) == 0
    body = json.dumps({"echo_message": "x", "encrypted_echo_message": "张三"})
    assert main(["request", "POST", "v3/security/echo", "--json", body, "--dry-run"]) == 2
    assert "members to encrypt" in capsys.readouterr().err
    assert sandbox.history == []


def test_what_is_to_be_encrypted_is_encrypted_and_can_be_decrypted(world, capsys):
    body = json.dumps({"echo_message": "x", "encrypted_echo_message": "张三"})
    echo = ["request", "POST", "v3/security/echo", "--json", body]
    assert main([*echo, "--decrypt", "encrypted_echo_message"]) == 0
    assert json.loads(capsys.readouterr().out)["encrypted_echo_message"] == "张三"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["request", "GET", "v3/pay/transactions/id/{id}", "--var", "id=1", "--param", "mchid=1900000001"], 1, "'"),
        (["request", "GET", "v3/pay/transactions/id/{id}"], 2, "id is missing"),
        (["request", "POST", "v3/x", "--json", "{"], 2, "expected JSON"),
        (["request", "POST", "v3/x", "--json", "@none.json"], 2, "'none.json': No such file"),
        (["request", "POST", "v3/x", "--var", "a"], 2, "came 'a'; expected name=value"),
        (["request", "POST", "v3/x", "--var", "json=1"], 2, "json cannot be a name here"),
        (["request", "POST", "v3/x", "--header", "a=b"], 2, "expected name:value"),
        (["request", "GET", "pay/orderquery"], 2, "belongs to APIv2"),
        (["request", "FETCH", "v3/x"], 2, "FETCH"),
        (["request", "GET", "v3/x", "--base-url", "http://127.0.0.1:9"], 3, "no connection"),
        (["request", "GET", "v3/x", "--config", "none.toml"], 2, "none.toml"),
        (["request", "GET", "v3/x", "--profile", "test"], 2, "are: none"),
        (["operations", "no-such-words"], 1, "no operation has all of 'no-such-words'"),
        (["bill", "yesterday"], 2, "expected a day such as 2026-01-31"),
        (["bill", "2020-01-01"], 1, "INVALID_REQUEST"),
        (["download", "ftp://x", "a"], 2, "came"),
        (["upload", "v3/merchant/media/upload", "none.jpg"], 2, "'none.jpg': there is no such file"),
        (["qr", "x" * 9000], 2, "cannot have 9000 characters"),
        (["notify", "verify", "none.txt"], 2, "none.txt"),
        (["nothing"], 2, "nothing"),
        ([], 2, ""),
    ],
)
def test_the_exit_status_says_how_a_command_ended(world, capsys, arguments, status, said):
    assert main(arguments) == status
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("fault", "status"), [("503", 3), ("dropped-after", 3), ("signtest", 4), ("429", 1)])
def test_an_unknown_outcome_and_an_unverified_response_have_their_own_status(world, capsys, fault, status):
    sandbox, _, _ = world
    sandbox.fault(fault)
    assert place() == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_options_replace_single_settings(world, capsys):
    _, _, folder = world
    (folder / "other.pem").write_text(public_pem(new_key()))
    other = ["--public-key-id", "PUB_KEY_ID_0114232134912410000000000000", "--public-key", "other.pem"]
    assert main(["request", "GET", "v3/certificates", "--serial", "A" * 40]) == 1
    assert "SIGN_ERROR" in capsys.readouterr().err
    assert place("--mchid", "1900000001") == 1
    assert place(*other, "--dry-run") == 0
    assert "Wechatpay-Serial: PUB_KEY_ID_0114232134912410000000000000" in capsys.readouterr().out


def test_settings_can_come_from_the_environment_alone(world, monkeypatch, capsys):
    sandbox, _, folder = world
    known = sandbox.credentials
    (folder / "key.pem").write_text(known["private_key"])
    (folder / "apiv3.txt").write_text(known["apiv3_key"])
    monkeypatch.delenv("WECHATPAY_CONFIG")
    assert main(["request", "GET", "v3/certificates"]) == 2
    assert "there are no settings" in capsys.readouterr().err
    for name in ("mchid", "serial", "base_url"):
        monkeypatch.setenv(f"WECHATPAY_{name.upper()}", known[name])
    monkeypatch.setenv("WECHATPAY_PRIVATE_KEY_FILE", "key.pem")
    assert main(["request", "GET", "v3/certificates", "--apiv3-key-file", "apiv3.txt"]) == 0
    monkeypatch.setenv("WECHATPAY_PROFILE", "shop")
    assert main(["request", "GET", "v3/certificates"]) == 2
    assert "--profile: it needs a file" in capsys.readouterr().err


def test_a_bill_is_downloaded(world, capsys):
    sandbox, _, folder = world
    place()
    sandbox.pay(NUMBER, notify=False)
    day = sandbox.now.date().isoformat()
    capsys.readouterr()
    assert main(["bill", day]) == 1
    assert "it is made by 10:00 of the next day in China" in capsys.readouterr().err
    sandbox.advance(2 * 86400)
    assert main(["bill", day]) == 0
    assert NUMBER in (folder / f"trade-{day}.csv").read_text(encoding="utf-8-sig")
    assert capsys.readouterr().out.startswith(f"trade-{day}.csv ")
    assert main(["bill", day, "--kind", "fund", "--output", "fund.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": "fund.csv", "bytes": (folder / "fund.csv").stat().st_size}
    assert main(["download", "v3/bill/tradebill", "same.csv", "--param", f"bill_date={day}"]) == 0
    assert (folder / "same.csv").read_bytes() == (folder / f"trade-{day}.csv").read_bytes()


def test_the_bill_of_yesterday_is_the_default(world, capsys):
    sandbox, _, _ = world
    sandbox.advance(max(10 - sandbox.now.hour, 0) * 3600)
    assert main(["bill"]) == 1
    assert "NO_STATEMENT_EXIST" in capsys.readouterr().err


def test_a_file_is_uploaded_under_the_name_that_its_operation_wants(world, capsys):
    _, _, folder = world
    (folder / "shop.jpg").write_bytes(b"\xff\xd8\xff\xe0 a picture \xff\xd9")
    assert main(["upload", "v3/merchant/media/upload", "shop.jpg"]) == 0
    assert json.loads(capsys.readouterr().out)["media_id"]
    path = "v3/mch-manage/submission-files/sub-mchid/{sub_mchid}/upload"
    assert main(["upload", path, "shop.jpg", "--var", "sub_mchid=1900007291", "--json", '{"item_id": 56}']) == 0


def test_certificates_are_written_as_files(world, capsys):
    sandbox, _, folder = world
    _, (serial, pem) = sandbox.credentials["certs"].items()
    assert main(["certificates", "--output", "certs", "--json"]) == 0
    (written,) = json.loads(capsys.readouterr().out)
    assert (written["serial"], written["file"]) == (serial, f"certs/{serial}.pem")
    assert (folder / "certs" / f"{serial}.pem").read_text() == pem


# Notifications


def capture(sandbox, end=b"\r\n"):
    headers, body = sandbox.notification("REFUND.SUCCESS", {"out_refund_no": "R1"})
    head = b"POST /notify HTTP/1.1" + end + end.join(f"{name}: {value}".encode() for name, value in headers.items())
    return headers, body, head + end + end + body


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_captured_notification_is_verified_and_decrypted(world, capsys, end):
    sandbox, _, folder = world
    _, _, message = capture(sandbox, end)
    (folder / "captured.txt").write_bytes(message)
    assert main(["notify", "verify", "captured.txt", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["event_type"], shown["resource"]["out_refund_no"]) == ("REFUND.SUCCESS", "R1")


def test_a_captured_notification_of_apiv2_is_verified(world, capsys):
    sandbox, _, folder = world
    fields = {"mch_id": sandbox.credentials["mchid"], "out_trade_no": "v2-1", "result_code": "SUCCESS"}
    body = xml_of({**fields, "sign": signature_of(fields, "MD5", sandbox.credentials["apiv2_key"])})
    (folder / "captured.txt").write_bytes(b"POST /notify HTTP/1.1\r\nContent-Type: text/xml\r\n\r\n" + body)
    (folder / "body.xml").write_bytes(body)
    for name in ("captured.txt", "body.xml"):
        assert main(["notify", "verify", name]) == 0
        assert "verified payment" in capsys.readouterr().out
    assert main(["notify", "verify", "body.xml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fields"]["out_trade_no"] == "v2-1"
    (folder / "event.xml").write_bytes(b"\xef\xbb\xbf" + sandbox.notification_xml("event", {"out_order_no": "e-1"}))
    assert main(["notify", "verify", "event.xml"]) == 0
    out = capsys.readouterr().out
    assert "verified event CHECK.SUCCESS" in out
    assert "e-1" in out
    (folder / "body.xml").write_bytes(body.replace(b"v2-1", b"v2-2"))
    assert main(["notify", "verify", "body.xml"]) == 4
    assert "not verified" in capsys.readouterr().err


def test_a_notification_can_come_from_stdin_or_with_headers_beside_it(world, monkeypatch, capsys):
    sandbox, _, folder = world
    headers, body, message = capture(sandbox)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(message)))
    assert main(["notify", "verify", "-"]) == 0
    assert "verified REFUND.SUCCESS" in capsys.readouterr().out
    (folder / "body.json").write_bytes(body)
    (folder / "headers.json").write_text(json.dumps(headers))
    assert main(["notify", "verify", "body.json", "--headers", "headers.json"]) == 0
    assert main(["notify", "verify", "body.json"]) == 2
    assert "--headers" in capsys.readouterr().err


def test_a_line_break_that_an_editor_added_is_cut_off_or_named(world, capsys):
    sandbox, _, folder = world
    _, body, message = capture(sandbox)
    (folder / "captured.txt").write_bytes(message + b"\n")
    assert main(["notify", "verify", "captured.txt"]) == 4
    assert "it ends with a line break, which an editor may have added" in capsys.readouterr().err
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    (folder / "captured.txt").write_bytes(message.replace(b"\r\n\r\n", b"\r\n" + length) + b"\n")
    assert main(["notify", "verify", "captured.txt"]) == 0


def test_an_old_notification_is_verified_as_of_its_time(world, wire, capsys):
    sandbox, _, folder = world
    sandbox.notify("REFUND.SUCCESS", {"out_refund_no": "R1"}, wire.base_url, fault="old-clock")
    received = wire.received[0]
    lines = "".join(f"{name}: {value}\r\n" for name, value in received.headers)
    (folder / "captured.txt").write_bytes(f"{lines}\r\n".encode() + received.body)
    assert main(["notify", "verify", "captured.txt"]) == 0
    assert "minutes ago; a server refuses what is older than 5 minutes" in capsys.readouterr().out


def test_a_forged_notification_and_one_for_another_key_are_refused(world, capsys):
    sandbox, _, folder = world
    _, _, message = capture(sandbox)
    (folder / "captured.txt").write_bytes(message.replace(b"encrypt-resource", b"encrypt-resourcE"))
    assert main(["notify", "verify", "captured.txt"]) == 4
    assert "not verified" in capsys.readouterr().err
    (folder / "captured.txt").write_bytes(message)
    (folder / "other.txt").write_text("x" * 32)
    assert main(["notify", "verify", "captured.txt", "--apiv3-key-file", "other.txt"]) == 4
    assert "apiv3_key may be wrong" in capsys.readouterr().err


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["request", "POST", "v3/x", "--json", "{bad"], "expected JSON"),
        (["request", "POST", "v3/x", "--json", "[" * 100_000], "expected JSON: it is nested too deeply"),
        (["request", "POST", "v3/x", "--json", "@~nobody-here/x"], "nobody-here"),
        (["request", "POST", "v3/x", "--json", "@picture.jpg"], "expected JSON: it is not UTF-8"),
        (["request", "GET", "v3/x", "--json", "{}"], "a GET has no body"),
        (["request", "GET", "v3/x", "--param", "x"], "came 'x'; expected name=value"),
        (["request", "HEAD", "v3/x"], "'HEAD'"),
        (["request"], "Missing argument"),
        (["request", "GET", "v3/x", "--nothing"], "--nothing"),
        (["request", "GET", "v3/x", "--config", "picture.jpg"], "no text in UTF-8"),
        (["request", "GET", "v3/x", "--config", "~nobody-here/x.toml"], "nobody-here"),
        (["request", "GET", "v3/x", "--config", "home.toml"], "nobody-here"),
        (["request", "GET", "v3/x", "--config", "deep.json"], "nested too deeply"),
        (["bill", "2026-13-01"], "expected a day"),
        (["bill", ""], "expected a day"),
        (["qr", ""], "cannot be empty"),
        (["qr", "\udcff"], "not valid UTF-8"),
        (["notify", "verify", "captured.txt", "--headers", "picture.jpg"], "--headers: expected text"),
        (["sandbox", "--port", "abc"], "--port"),
        (["sandbox", "--proxy"], "it needs --tls FILE"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(world, arguments, said):
    _, _, folder = world
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    (folder / "captured.txt").write_bytes(b"{}")
    (folder / "home.toml").write_text('mchid = "1"\nprivate_key_file = "~nobody-here/x"\n')
    (folder / "deep.json").write_text("[" * 100_000)
    run = subprocess.run(
        [*RUN, *(argument.encode("utf-8", "surrogateescape") for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1), run.stderr
    assert said in run.stderr


def test_an_error_ends_with_what_to_do(world, capsys):
    body = json.dumps({"appid": "wx1"})
    assert main(["request", "POST", "v3/pay/transactions/native", "--json", body]) == 1
    err = capsys.readouterr().err
    assert "the operation requires" in err
    assert err.count("\n") == 1


def test_a_response_that_cannot_be_decrypted_is_shown_as_it_came(world, capsys):
    echo = ["request", "POST", "v3/security/echo", "--json", '{"echo_message": "x"}']
    for member in ("nix", "echo_message"):
        assert main([*echo, "--decrypt", member]) == 4
        out, err = capsys.readouterr()
        assert json.loads(out) == {"echo_message": "x"}
        assert "--decrypt" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_output_that_cannot_be_written_does_not_mean_that_nothing_was_sent(world):
    sandbox, _, _ = world
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [*RUN, "request", "POST", "v3/pay/transactions/native", "--json", "@order.json"]
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 3
    assert "the output cannot be written" in run.stderr
    assert NUMBER in sandbox.orders


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk", "latin-1"])
def test_output_may_have_an_encoding_of_few_characters(encoding):
    for arguments, status in ((["operations", "退款"], 0), (["qr", "weixin://wxpay"], 0), (["operations", "没有"], 1)):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        run = subprocess.run([*RUN, *arguments], capture_output=True, env=environment, check=False)
        assert run.returncode == status
        assert b"Traceback" not in run.stderr
        assert run.stdout or run.stderr


# APIv2


def test_a_call_of_apiv2_takes_json_and_prints_json(world, capsys):
    sandbox, _, _ = world
    fields = {
        "appid": "wxd678efh567hg6787",
        "body": "公仔",
        "out_trade_no": NUMBER,
        "total_fee": 100,
        "spbill_create_ip": "203.0.113.7",
        "notify_url": "https://www.example.com/notify",
        "trade_type": "NATIVE",
    }
    order = ["request", "POST", "v2/pay/unifiedorder", "--json", json.dumps(fields, ensure_ascii=False)]
    assert main([*order, "--dry-run"]) == 0
    assert "<body>公仔</body>" in capsys.readouterr().out
    assert sandbox.history == []
    assert main([*order, "--qr"]) == 0
    out, err = capsys.readouterr()
    assert '"code_url": "weixin://' in out
    assert "█" in out
    assert err.startswith("200 verified, Request-ID")
    key = ["request", "POST", "v2/risk/getpublickey", "--json", "{}"]
    assert main(key) == 0
    assert capsys.readouterr().err.startswith("200 not signed, Request-ID")
    token = ["request", "GET", "v2/appauth/getaccesstoken", "--param", "scope=pay_identity", "--qr"]
    for name in ("appid", "openid", "secret", "code", "state"):
        token += ["--param", f"{name}=1"]
    assert main([*token, "--param", "grant_type=authorization_code"]) == 0
    assert '"access_token"' in capsys.readouterr().out  # JSON, which has no QR code
    assert main([*key, "--decrypt", "pub_key"]) == 2
    assert main(["request", "GET", "v2/appauth/getaccesstoken", "--param", "a=1", "--param", "a=2"]) == 2
    assert "twice" in capsys.readouterr().err
    card = ["request", "POST", "v2/mmpaysptrans/pay_bank", "--json", '{"enc_bank_no": "6222001"}', "--dry-run"]
    assert main(card) == 2
    assert "a key would be fetched first" in capsys.readouterr().err
    assert main(["request", "POST", "v2/pay/orderquery", "--json", '{"appid": "wxd678efh567hg6787"}']) == 1


# Operations


@pytest.mark.parametrize(
    "place",
    [
        "client.v3.pay.transactions.out_trade_no._out_trade_no_.get",
        "v3.pay.transactions.out_trade_no._out_trade_no_.get_async",
        'await client.v3.pay.transactions.out_trade_no._out_trade_no_.get_async(out_trade_no="1")',
        "v3/pay/transactions/out-trade-no/20260101-0001",
        "https://api.mch.weixin.qq.com/v3/pay/transactions/out-trade-no/20260101-0001?mchid=1900000109",
        "/v3/pay/transactions/out-trade-no/{out_trade_no}",
    ],
)
def test_an_operation_is_found_by_its_chain_and_by_a_path_of_a_log(capsys, place):
    assert main(["operations", place, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["path"] for each in found] == ["v3/pay/transactions/out-trade-no/{out_trade_no}"]


def test_what_most_people_look_for_comes_first(capsys):
    for words, expected in ((["退款"], "v3/refund/domestic/refunds"), (["native"], "v3/pay/transactions/native")):
        assert main(["operations", *words, "--json"]) == 0
        assert expected in [each["path"] for each in json.loads(capsys.readouterr().out)[:8]], words


def test_operations_are_found_by_chinese_and_english_words(capsys):
    assert main(["operations", "退款"]) == 0
    assert "v3/refund/domestic/refunds  申请退款API" in capsys.readouterr().out
    assert main(["operations", "POST", "Native", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"method": "POST", "path": "v3/pay/transactions/native", "title": "Native下单API"} in found
    assert main(["operations", "基础支付", "native", "post"]) == 0
    assert "v3/pay/transactions/native" in capsys.readouterr().out


def test_the_only_operation_that_is_found_is_shown_in_full(capsys):
    path = "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"
    assert main(["operations", f"/{path}"]) == 0
    out = capsys.readouterr().out
    chain = "client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon.post"
    assert f"chain: {chain}\n" in out
    assert "variables: openid\n" in out
    assert f"response = {chain}(\n" in out
    assert f"response = await {chain}_async(\n" in out
    assert (
        "page: https://wechatpay-chain.github.io/wechatpay-chain/api/v3.marketing.partner.product-coupon.users.openid.pre-send-coupon.post/\n"
        in out
    )
    assert main(["operations", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["chain"] == chain
    assert main(["operations", "v2/pay/micropay", "--show"]) == 0
    out = capsys.readouterr().out
    assert "response = client.v2.pay.micropay.post(\n    xml={\n" in out
    assert "nonce_str" not in out


@pytest.mark.parametrize("is_async", [False, True])
def test_each_example_is_python(is_async):
    known = [operation for key in list_operations() if (operation := find_operation(*key))]
    assert len(known) > 1000
    for operation in known:
        (statement,) = ast.parse(write_example(operation, is_async=is_async)).body
        assert isinstance(statement, ast.Assign)


@pytest.mark.parametrize(
    "path",
    [
        "v3/pay/transactions/native",
        "v3/merchant-service/complaints-v2",
        "v3/security/echo",
        "v3/marketing/favor/coupon-stocks",
    ],
)
def test_an_example_is_accepted_by_the_sandbox(running, path):
    sandbox, client = running
    sandbox.reset()
    for method in ("GET", "POST"):
        if operation := find_operation(method, f"/{path}"):
            scope = {"client": client, "Sensitive": Sensitive}
            exec(write_example(operation, is_async=False), scope)
            assert scope["response"].ok


# The program


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["upload", "v3/merchant/media/upload", "shop.jpg"], "shop.jpg"),
        (["download", "v3/bill/tradebill", "trade.csv", "--param", "bill_date={day}"], "trade.csv"),
        (["request", "POST", "v3/pay/transactions/native", "--json", "@order.json"], "█"),
    ],
)
def test_a_terminal_shows_progress_bars_and_qr_codes(world, command, shown):
    import pty

    sandbox, _, folder = world
    (folder / "shop.jpg").write_bytes(bytes(200_000))
    assert place() == 0
    sandbox.pay(NUMBER, notify=False)
    arguments = [part.format(day=sandbox.now.date().isoformat()) for part in command]
    sandbox.advance(2 * 86400)
    if command[0] == "request":
        sandbox.reset()
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([*RUN, *arguments], stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        octets = b""
        with contextlib.suppress(OSError):  # Linux says so that the other end is closed
            while chunk := os.read(master, 65536):
                octets += chunk
    os.close(master)
    assert process.returncode == 0, octets.decode()
    assert shown in octets.decode()


def test_a_qr_code_is_printed(capsys):
    assert main(["qr", "weixin://wxpay/bizpayurl?pr=1"]) == 0
    assert "█" in capsys.readouterr().out
    assert main(["qr", "hi", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 21


def test_output_in_a_pipe_has_no_colours_and_a_terminal_may_have():
    def run(**variables):
        environment = {**os.environ, "TERM": "xterm", **variables}
        command = [*RUN, "operations", "v3/certificates"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=environment).stdout

    assert "\x1b[" not in run()
    assert "\x1b[" in run(FORCE_COLOR="1")
    assert "\x1b[1;31m" not in run(FORCE_COLOR="1", NO_COLOR="1")


def test_what_a_service_says_cannot_steer_a_terminal(capsys):
    from wechatpay_chain._cli.console import print_json, print_line

    print_line("a\x1b]0;title\x07b\x9b2J\u202e [red]c[/red]")
    assert capsys.readouterr().out == "a\\u001b]0;title\\u0007b\\u009b2J\\u202e [red]c[/red]\n"
    print_json({"a": "\x9b2J\u202e\n公仔"})
    out = capsys.readouterr().out
    assert out.isascii() is False
    assert not set(out) & {"\x9b", "\u202e"}
    assert json.loads(out) == {"a": "\x9b2J\u202e\n公仔"}


def test_an_error_after_retries_is_one_line(world):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*RUN, "request", "GET", "v3/x", "--base-url", "http://127.0.0.1:9"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (3, "", 1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_shells(shell):
    environment = {**os.environ, "_WECHATPAY_CHAIN_COMPLETE": f"source_{shell}"}
    code = "import sys; sys.argv[0] = 'wechatpay-chain'; from wechatpay_chain._cli.main import main; sys.exit(main([]))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    assert run.returncode == 0
    assert "wechatpay-chain" in run.stdout


def test_the_help_loads_no_library_that_it_does_not_need():
    code = (
        "import sys; from wechatpay_chain._cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = {name.partition(".")[0] for name in run.stderr.split()}
    assert not {"requests", "aiohttp", "cryptography", "segno", "jsonschema"} & loaded
    commands = (
        "request",
        "operations",
        "doctor",
        "certificates",
        "bill",
        "download",
        "upload",
        "qr",
        "sandbox",
        "notify",
    )
    assert all(f"\n  {command} " in run.stdout for command in commands)


def test_the_version(capsys):
    from wechatpay_chain import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("module", "arguments"), [("typer", []), ("rich", ["operations", "退款"]), ("segno", ["qr", "x"])]
)
def test_without_the_extra_one_line_says_what_to_install(module, arguments):
    code = f"import sys; sys.modules[{module!r}] = None; from wechatpay_chain._cli.main import main; sys.exit(main({arguments}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"wechatpay-chain: the command line needs {module}: pip install 'wechatpay-chain[cli]'\n"
