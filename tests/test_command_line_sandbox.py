"""The command `sandbox` runs a sandbox, and its commands steer it from another terminal."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest

from tests.sandbox_command import run_sandbox
from tests.shop import keep_shop
from wechatpay_chain import APIError
from wechatpay_chain._cli.main import main
from wechatpay_chain.sandbox import Sandbox

RUN = [sys.executable, "-m", "wechatpay_chain"]


@pytest.fixture(scope="module")
def running():
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


@pytest.fixture
def world(running, monkeypatch):
    """Returns a sandbox that is as new, its client, and the order of a shop; commands find it by the environment."""
    sandbox, client = running
    sandbox.reset()
    monkeypatch.setenv("WECHATPAY_SANDBOX_URL", sandbox.base_url)
    return sandbox, client


def place(client, number="20260101-0001", **members):
    order = {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "公仔",
        "out_trade_no": number,
        "notify_url": "https://www.example.com/notify",
        "amount": {"total": 100, "currency": "CNY"},
    }
    client.v3.pay.transactions.native.post(json={**order, **members})


def refund(client, number="R1"):
    amount = {"refund": 40, "total": 100, "currency": "CNY"}
    client.v3.refund.domestic.refunds.post(
        json={"out_trade_no": "20260101-0001", "out_refund_no": number, "amount": amount}
    )


def steer(*arguments):
    return main(["sandbox", *arguments])


def test_an_order_is_paid_and_its_shop_is_notified(world, capsys):
    _, client = world
    with keep_shop(client.notifications.parse) as shop:
        place(client, notify_url=shop.url.replace("http:", "https:"))
        assert steer("pay", "20260101-0001", "discount:=10", "notify:=false") == 0
        paid = client.v3.pay.transactions.out_trade_no._number_.get(
            number="20260101-0001", params={"mchid": client.mchid}
        )
        assert paid.json()["amount"]["payer_total"] == 90
        assert capsys.readouterr().out == "20260101-0001 is paid\n"
        assert steer("notify", "REFUND.SUCCESS", "--url", shop.url, "--resource", '{"out_refund_no": "R9"}') == 0
        event_type, resource = shop.receive()
        assert (event_type, resource["out_refund_no"]) == ("REFUND.SUCCESS", "R9")
        assert resource["refund_status"] == "SUCCESS", "what lacks is filled in"
        assert capsys.readouterr().out == f"REFUND.SUCCESS to {shop.url}: 204\n"


def test_a_notification_has_the_resource_of_a_file(world, capsys, tmp_path):
    _, client = world
    (tmp_path / "resource.json").write_text('{"out_trade_no": "公仔-1"}', encoding="utf-8")
    with keep_shop(client.notifications.parse) as shop:
        resource = f"@{tmp_path / 'resource.json'}"
        assert steer("notify", "TRANSACTION.SUCCESS", "--url", shop.url, "--resource", resource, "--json") == 0
        assert shop.receive()[1]["out_trade_no"] == "公仔-1"
    assert json.loads(capsys.readouterr().out)["posts"][0]["outcome"] == 204


def test_a_refund_is_finished(world, capsys):
    sandbox, client = world
    place(client)
    sandbox.pay("20260101-0001", notify=False)
    refund(client)
    assert steer("act", "refund", "R1", "finish", "status=ABNORMAL") == 0
    assert sandbox.refunds["R1"].status == "ABNORMAL"
    assert capsys.readouterr().out == "refund R1: finish\n"


def test_a_transfer_is_confirmed_and_finished(world):
    sandbox, client = world
    client.v3.fund_app.mch_transfer.transfer_bills.post(
        json={
            "appid": "wxf636efh567hg4356",
            "out_bill_no": "T1",
            "transfer_scene_id": "1000",
            "openid": "o-MYE42l80oelYMDE34nYD456Xoy",
            "transfer_amount": 1000,
            "transfer_remark": "活动奖励",
            "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员有礼"}],
        }
    )
    assert steer("act", "transfer", "T1", "confirm") == 0
    assert sandbox.transfers["T1"].state == "TRANSFERING"
    assert steer("act", "transfer", "T1", "finish") == 0
    assert sandbox.transfers["T1"].state == "SUCCESS"


def test_faults_are_added_and_ended(world):
    _, client = world
    assert steer("fault", "503") == 0
    with pytest.raises(APIError, match="503"):
        client.v3.certificates.get()
    assert steer("fault", "503=100%") == 0
    assert steer("heal") == 0
    assert client.v3.certificates.get().status_code == 200


def test_the_clock_is_advanced_and_the_certificate_rotated(world):
    sandbox, client = world
    before = sandbox.now
    assert steer("advance", "2d") == 0
    assert (sandbox.now - before).days == 2
    count = len(client.v3.certificates.get().json()["data"])
    assert steer("rotate") == 0
    assert len(client.v3.certificates.get().json()["data"]) == count + 1
    assert steer("reset") == 0
    assert (sandbox.now - before).days == 0


def test_the_state_is_shown(world, capsys):
    sandbox, client = world
    place(client)
    steer("fault", "slow=10%")
    assert steer("state") == 0
    shown = capsys.readouterr().out
    for text in (sandbox.base_url, client.mchid, "20260101-0001", "NOTPAY", "公仔", "fault slow"):
        assert text in shown
    assert steer("state", "--json") == 0
    assert json.loads(capsys.readouterr().out)["orders"]["20260101-0001"]["placed"]["amount"]["total"] == 100


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["pay", "no-such"], 1, "the sandbox has no 'no-such'"),
        (["act", "refund", "R0", "finish"], 1, "number: the sandbox has no refund 'R0'"),
        (["act", "refnd", "R0", "finish"], 1, "expected one of order, combined_order, refund"),
        (["fault", "no-such"], 1, "came 'no-such'; expected one of"),
        (["fault", "503="], 2, "such as 503, 503=2 or slow=10%"),
        (["advance", "soon"], 2, "expected seconds, or a time such as 15m"),
        (["pay", "1", "discount"], 2, "came 'discount'; expected name=value"),
        (["pay", "1", "discount:=x"], 2, "expected JSON"),
        (["notify", "REFUND.SUCCESS", "--url", "http://127.0.0.1:9/", "--resource", "r.json"], 2, "a file is @FILE"),
        (["notify", "REFUND.SUCCESS", "--url", "http://127.0.0.1:9/", "--resource", "@no.json"], 2, "'no.json'"),
        (["--seed", "1", "heal"], 2, "it starts a sandbox, and heal steers one that runs"),
        (["heal", "--sandbox-url", "http://127.0.0.1:9/"], 3, "start a sandbox with `wechatpay-chain sandbox`"),
    ],
)
def test_a_mistake_is_named_with_its_cure(world, capsys, arguments, status, said):
    assert steer(*arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_an_act_that_an_object_does_not_have_names_those_that_it_has(world, capsys):
    _, client = world
    place(client)
    assert steer("act", "order", "20260101-0001", "describe") == 1
    assert "act: came 'describe'; expected one of fail, expire, close, reverse" in capsys.readouterr().err


def test_another_server_is_no_sandbox(wire, capsys):
    assert steer("heal", "--sandbox-url", wire.base_url) == 3
    assert "no sandbox responds there" in capsys.readouterr().err


def test_a_sandbox_with_https_needs_its_authority(tmp_path, capsys):
    with Sandbox(tls=True) as sandbox:
        (tmp_path / "authority.pem").write_text(sandbox.authority)
        assert steer("heal", "--sandbox-url", sandbox.base_url) == 3
        assert "--ca FILE" in capsys.readouterr().err
        assert steer("heal", "--sandbox-url", sandbox.base_url, "--ca", str(tmp_path / "authority.pem")) == 0


def test_a_sandbox_of_the_command_is_found_without_settings():
    """Whoever listens on the default port, the command says so; if nobody does, the other commands say that."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8900))  # without listening: who connects is refused
        except OSError:
            is_ours = False
        else:
            is_ours = True
        run = subprocess.run([*RUN, "sandbox"], capture_output=True, text=True, timeout=30, check=False)
        assert (run.returncode, run.stdout) == (2, "")
        assert "--port: 8900 is in use at 127.0.0.1" in run.stderr
        run = subprocess.run([*RUN, "sandbox", "rotate"], capture_output=True, text=True, timeout=30, check=False)
        assert not is_ours or "http://127.0.0.1:8900/: no connection" in run.stderr


def test_the_command_starts_with_faults(tmp_path):
    file = tmp_path / "merchant.json"
    with run_sandbox("--credentials", file, "--fault", "503=2", "--seed", "1") as process:
        url = process.stdout.readline().split()[4].strip(",")
        state = subprocess.run(
            [*RUN, "sandbox", "state", "--sandbox-url", url], capture_output=True, text=True, timeout=30, check=True
        )
        assert "fault 503: the next 2 responses, and 0% of all" in state.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port"),
        (["--port", "x"], "--port"),
        (["--sign-with", "x"], "sign_with"),
        (["--proxy", "--port", "0"], "tls"),
        (["--fault", "503=101%"], "at most 100%"),
        (
            ["--credentials", "no/such/folder/file", "--port", "0"],
            "--credentials 'no/such/folder/file' cannot be written",
        ),
        (["--nothing"], "--nothing"),
    ],
)
def test_a_sandbox_that_cannot_run_says_why(capsys, arguments, said):
    assert steer(*arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_no_half_written_credentials_are_left(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert steer("--port", "0", "--credentials", str(tmp_path / "folder")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
