"""The command `doctor` finds what is wrong with a set-up, by name, and says what to do."""

from __future__ import annotations

import json
import os
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.service import certificate_pem, new_certificate, new_key, private_pem, public_pem
from tests.shop import keep_shop
from wechatpay_chain import crypto
from wechatpay_chain._cli.main import main
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture(scope="module")
def running():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def setup(running, tmp_path, monkeypatch):
    """Returns a function that writes a set-up with changes, and examines it."""
    for variable in os.environ:
        if variable.startswith("WECHATPAY_") or variable.upper().endswith(("_PROXY", "CA_BUNDLE", "SSL_CERT_FILE")):
            monkeypatch.delenv(variable)
    known = running.credentials
    key_id, certificate_id = known["certs"]
    key = tmp_path / "apiclient_key.pem"
    key.write_text(known["private_key"])
    key.chmod(0o600)
    settings = {
        "mchid": known["mchid"],
        "serial": known["serial"],
        "private_key": str(key),
        "apiv3_key": known["apiv3_key"],
        "base_url": known["base_url"],
        "certs": {key_id: known["certs"][key_id], certificate_id: known["certs"][certificate_id]},
    }

    def examine(*options, **changes):
        file = tmp_path / "shop.json"
        written = {name: value for name, value in {**settings, **changes}.items() if value is not None}
        file.write_text(json.dumps(written))
        file.chmod(0o600)
        return main(["doctor", "--config", str(file), "--json", *options])

    return examine


@pytest.fixture
def of_brand(running):
    """The changes that make the set-up that of the sandbox's brand."""
    known = running.brand_credentials
    (key_id,) = known["certs"]
    return {
        "mchid": None,
        "brand_id": known["brand_id"],
        "serial": known["serial"],
        "private_key": known["private_key"],
        "apiv3_key": known["apiv3_key"],
        "certs": {key_id: known["certs"][key_id]},
    }


def read(capsys, level="error"):
    out, err = capsys.readouterr()
    assert err == ""
    return {each["name"]: each["text"] for each in json.loads(out) if each["level"] == level}


def test_a_right_set_up_has_no_errors(setup, capsys):
    assert setup("--online") == 0
    out = capsys.readouterr().out
    found = {each["name"]: each["level"] for each in json.loads(out)}
    assert found["echo"] == found["clock"] == found["certs"] == found["permissions"] == "fine"
    assert "error" not in found.values()


def test_the_service_notifies_a_server(setup, capsys, running):
    with running.client() as client, keep_shop(client.notifications.parse) as shop:
        assert setup("--online", "--notify-url", shop.url) == 0
        assert shop.wait().event_type == "SECURITY_ECHO.SUCCESS"
    assert "respond with 204" in capsys.readouterr().out


def test_people_see_one_line_for_each_finding(running, setup, tmp_path, capsys):
    setup()
    capsys.readouterr()
    assert main(["doctor", "--config", str(tmp_path / "shop.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"fine    mchid: {running.credentials['mchid']}" in lines
    assert all(line.startswith(("fine", "warning")) for line in lines)


def test_a_right_set_up_of_a_brand_has_no_errors(setup, of_brand, capsys):
    assert setup(**of_brand) == 0
    found = {each["name"]: (each["level"], each["text"]) for each in json.loads(capsys.readouterr().out)}
    assert found["brand_id"] == ("fine", of_brand["brand_id"])
    assert found["certs"] == ("fine", "responses are verified with a public key")
    assert found["client"][0] == "fine"
    assert "mchid" not in found


def test_a_brand_without_an_apiv3_key_is_told_what_it_lacks(setup, of_brand, capsys):
    assert setup(**{**of_brand, "apiv3_key": None}) == 0
    lack = read(capsys, "warning")["apiv3_key"]
    assert "notifications" in lack
    assert "certificates" not in lack


@pytest.mark.parametrize(
    ("options", "untried"),
    [([], "the keys were not tried"), (["--notify-url", "https://shop.example/"], "the notification URL were tried")],
)
def test_a_brand_has_no_echo_and_is_told_what_was_not_tried(setup, of_brand, capsys, options, untried):
    assert setup("--online", *options, **of_brand) == 0
    echo = read(capsys, "warning")["echo"]
    assert "brand_id=" in echo
    assert untried in echo
    assert "/brand/" in echo


def test_the_number_of_a_brand_is_an_option_too(setup, of_brand, capsys):
    assert setup("--brand-id", of_brand["brand_id"], **{**of_brand, "brand_id": "1"}) == 0
    assert read(capsys, "fine")["brand_id"] == of_brand["brand_id"]
    assert setup("--brand-id", of_brand["brand_id"]) == 1
    assert "make two clients" in read(capsys)["mchid and brand_id"]


def test_the_number_of_a_brand_is_a_variable_too(of_brand, monkeypatch, running, capsys, tmp_path):
    ((key_id, key),) = of_brand["certs"].items()
    (tmp_path / "pub_key.pem").write_text(key)
    for name, text in {
        "BRAND_ID": of_brand["brand_id"],
        "SERIAL": of_brand["serial"],
        "PRIVATE_KEY": of_brand["private_key"],
        "PUBLIC_KEY_ID": key_id,
        "PUBLIC_KEY_FILE": str(tmp_path / "pub_key.pem"),
        "BASE_URL": running.base_url,
    }.items():
        monkeypatch.setenv(f"WECHATPAY_{name}", text)
    assert main(["request", "GET", "brand/store/brandstores", "--dry-run"]) == 0
    assert f'brand_id="{of_brand["brand_id"]}"' in capsys.readouterr().out
    assert main(["request", "GET", "brand/store/brandstores", "--dry-run", "--brand-id", "7"]) == 0
    assert 'brand_id="7"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "finding", "said"),
    [
        ({"mchid": "1900007291"}, "mchid and brand_id", "make two clients"),
        ({"brand_id": "wx1"}, "brand_id", "expected the number of the brand"),
        ({"certs": {}}, "certs", "no certificates to fetch"),
        (
            {"certs": {"A".zfill(40): certificate_pem(new_certificate(new_key(), serial=10))}},
            "certs",
            "only public keys",
        ),
    ],
    ids=["both numbers", "an appid", "no keys", "a certificate"],
)
def test_a_broken_set_up_of_a_brand_is_found_by_name(setup, of_brand, capsys, changes, finding, said):
    assert setup(**{**of_brand, **changes}) == 1
    found = {each["name"]: (each["level"], each["text"]) for each in json.loads(capsys.readouterr().out)}
    assert found[finding][0] == "error"
    assert said in found[finding][1]
    assert "mchid" not in found


@pytest.mark.parametrize(("days", "level", "said"), [(-1, "error", "expired on"), (10, "warning", "expires on")])
def test_the_end_of_a_brands_certificate_is_found(running, setup, of_brand, capsys, days, level, said):
    key = crypto.load_private_key(running.brand_credentials["private_key"])
    certificate = certificate_pem(new_certificate(key, age=800, days=days))
    assert setup(**{**of_brand, "serial": certificate}) == (1 if level == "error" else 0)
    found = read(capsys, level)["certificate"]
    assert said in found
    assert "for the brand" in found


def expired(days, key=None):
    return certificate_pem(new_certificate(key or new_key(), age=800, days=days))


BROKEN = {
    "a misspelt name": ("settings", {"mch_id": "1"}, "did you mean 'mchid'?"),
    "an appid": ("mchid", {"mchid": "wxd678efb567cb6787"}, "which is an appid"),
    "no private key": ("private_key", {"private_key": None}, "it is missing"),
    "a private key that is not there": ("private_key", {"private_key": "none.pem"}, "No such file"),
    "a public key for the private one": ("private_key", {"private_key": public_pem(new_key())}, "public key"),
    "no serial number": ("serial", {"serial": None}, "it is missing"),
    "the certificate of another key": (
        "serial and private_key",
        {"serial": certificate_pem(new_certificate(new_key()))},
        "does not belong to the key",
    ),
    "a short APIv3 key": ("apiv3_key", {"apiv3_key": "x" * 31}, "31"),
    "the id of a public key without its prefix": (f"certs['{'114':0>40}']", None, "digits only"),
    "an expired platform certificate": (f"certs['{'A':0>40}']", None, "it expired on"),
    "no keys at all": ("certs", {"certs": {}, "apiv3_key": None}, "no apiv3_key to fetch certificates with"),
    "plain HTTP to another machine": ("base_url", {"base_url": "http://pay.example.com"}, "not encrypted"),
    "a proxy of another kind": ("proxies", {"proxies": {"http": "socks5://127.0.0.1:1"}}, "http://host:port"),
    "authorities that are not there": ("ca_bundle", {"ca_bundle": "none.pem"}, "is not there"),
    "nobody who listens": ("connection", {"base_url": "http://127.0.0.1:9"}, "cannot be reached"),
    "a timeout that is none": ("timeout", {"timeout": -1}, "expected"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_set_up_is_found_by_name(setup, capsys, name):
    finding, changes, said = BROKEN[name]
    if name == "the id of a public key without its prefix":
        changes = {"certs": {"114".zfill(40): public_pem(new_key())}}
    if name == "an expired platform certificate":
        changes = {"certs": {"A".zfill(40): certificate_pem(new_certificate(new_key(), serial=10, age=800, days=-1))}}
    assert setup(**changes) == 1
    assert said in read(capsys)[finding]


def test_the_merchants_own_key_is_no_key_of_the_service(running, setup, capsys, tmp_path):
    own = public_pem(crypto.load_private_key(running.credentials["private_key"]))
    assert setup(certs={"PUB_KEY_ID_0114232134912410000000000000": own}) == 1
    assert "the merchant's own key" in "".join(read(capsys).values())


@pytest.mark.parametrize(("days", "level", "said"), [(-1, "error", "expired on"), (10, "warning", "expires on")])
def test_the_end_of_the_merchants_certificate_is_found(running, setup, capsys, days, level, said):
    key = crypto.load_private_key(running.credentials["private_key"])
    serial = int(running.credentials["serial"], 16)
    certificate = certificate_pem(new_certificate(key, serial=serial, age=800, days=days))
    assert setup(serial=certificate) == (1 if level == "error" else 0)
    assert said in read(capsys, level)["certificate"]


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_key_that_others_may_read_is_a_warning(setup, capsys, tmp_path, mode):
    (tmp_path / "apiclient_key.pem").chmod(mode)
    assert setup() == 0
    assert f"chmod 600 {tmp_path / 'apiclient_key.pem'}" in read(capsys, "warning")["permissions"]


def test_a_file_with_secrets_that_others_may_read_is_a_warning(setup, capsys, tmp_path):
    setup()
    capsys.readouterr()
    (tmp_path / "shop.json").chmod(0o644)
    assert main(["doctor", "--config", str(tmp_path / "shop.json"), "--json"]) == 0
    assert "chmod 600" in read(capsys, "warning")["permissions"]


@pytest.mark.parametrize(
    ("variable", "finding"), [("HTTP_PROXY", "proxies"), ("REQUESTS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")]
)
def test_what_is_wrong_with_the_environment_is_found(setup, capsys, monkeypatch, variable, finding):
    monkeypatch.setenv(variable, "socks5://127.0.0.1:1")
    # The environment's proxy is not for this machine.
    assert setup(base_url="http://pay.example.com", allow_http=True) == 1
    assert any(finding in name for name in read(capsys))


@pytest.mark.parametrize(("offset", "status", "level"), [(-400, 1, "error"), (400, 1, "error"), (90, 0, "warning")])
def test_a_wrong_clock_is_found(setup, capsys, offset, status, level):
    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp=None):
            return formatdate(time.time() + offset, usegmt=True)

        def do_GET(self):
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        assert setup(base_url=f"http://127.0.0.1:{server.server_address[1]}") == status
        server.shutdown()
        thread.join()
    assert "synchronize it with NTP" in read(capsys, level)["clock"]


def test_an_authority_that_is_not_trusted_is_found(setup, capsys):
    with Sandbox(tls=True) as sandbox:
        assert setup(base_url=sandbox.base_url) == 1
    assert "name its authority in ca_bundle" in read(capsys)["connection"]


def test_the_key_of_another_certificate_is_found_online(setup, capsys):
    assert setup("--online", private_key=private_pem(new_key())) == 1
    assert "belong to one merchant API certificate?" in read(capsys)["echo"]


def test_another_public_key_is_found_online(running, setup, capsys):
    key_id = next(iter(running.credentials["certs"]))
    assert setup("--online", certs={key_id: public_pem(new_key())}) == 1
    assert "signature" in read(capsys)["echo"]


def test_an_apiv3_key_that_decrypts_no_certificate_is_found_online(setup, capsys):
    assert setup("--online", certs={}, apiv3_key="x" * 32) == 1
    assert "apiv3_key" in read(capsys)["echo"]


def test_an_apiv3_key_that_no_response_needs_is_tried_online(setup, capsys):
    """Where the keys are configured, nothing but a notification would show that the APIv3 key is wrong."""
    assert setup("--online") == 0
    found = [each for each in json.loads(capsys.readouterr().out) if each["name"] == "apiv3_key"]
    assert found[-1] == {"name": "apiv3_key", "level": "fine", "text": "it decrypts the platform certificates"}
    assert setup("--online", apiv3_key="x" * 32) == 1
    assert "cannot be decrypted" in read(capsys)["apiv3_key"]


def test_a_public_key_that_verifies_nothing_is_a_warning(running, setup, capsys):
    assert setup("--online", certs={"PUB_KEY_ID_9999": public_pem(new_key())}) == 0
    assert "none of its keys was used" in read(capsys, "warning")["certs"]


def test_the_cause_of_a_failed_connection_is_named(setup, capsys):
    assert setup(base_url="http://127.0.0.1:9") == 1
    assert "(Connection refused)" in read(capsys)["connection"]


def test_no_secret_is_shown(running, setup, capsys):
    setup("--online")
    known = running.credentials
    out = capsys.readouterr().out
    assert known["apiv3_key"] not in out
    assert known["private_key"].splitlines()[2] not in out


def test_without_settings_it_says_where_to_put_them(setup, capsys):
    assert main(["doctor", "--json"]) == 1
    assert "WECHATPAY_CONFIG" in read(capsys)["settings"]
    assert main(["doctor", "--notify-url", "https://www.example.com/"]) == 2
