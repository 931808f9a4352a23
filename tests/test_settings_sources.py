"""`Client.from_env` and `Client.from_file` read the same settings by the same names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.service import MCHID, PUBLIC_KEY_ID, SERIAL, certificate_pem, new_certificate, private_pem, public_pem
from wechatpay_chain import Client, ConfigurationError, Retry
from wechatpay_chain.sandbox import Sandbox

APIV3_KEY = "0123456789abcdef0123456789ABCDEF"


class Given(Client):
    """A client that keeps the settings that it was made with."""

    def __init__(self, **settings):
        self.given = settings


@pytest.fixture
def folder(tmp_path, service, monkeypatch):
    """Returns a folder with a merchant's files; no other folder is current, and no variable is set."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "apiclient_key.pem").write_text(private_pem(service.merchant))
    (tmp_path / "keys" / "pub_key.pem").write_text(public_pem(service.public_key))
    (tmp_path / "keys" / "apiv3_key.txt").write_text(f"{APIV3_KEY}\n")
    for variable in os.environ:
        if variable.startswith("WECHATPAY_"):
            monkeypatch.delenv(variable)
    return tmp_path


def set_variables(monkeypatch, prefix="WECHATPAY_", **values):
    for name, value in values.items():
        monkeypatch.setenv(f"{prefix}{name.upper()}", str(value))


def write(folder, text, name="shop.toml"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_client_is_made_from_the_environment_and_calls(monkeypatch, folder):
    with Sandbox() as sandbox:
        known = sandbox.credentials
        (folder / "key.pem").write_text(known["private_key"])
        key_id, certificate = known["certs"]
        set_variables(
            monkeypatch,
            mchid=known["mchid"],
            serial=known["serial"],
            private_key_file=folder / "key.pem",
            apiv3_key=known["apiv3_key"],
            public_key_id=key_id,
            public_key=known["certs"][key_id],
            certs=json.dumps({certificate: known["certs"][certificate]}),
            base_url=known["base_url"],
            fetch_certificates="false",
        )
        with Client.from_env() as client:
            assert client.v3.security.echo.post(json={"echo_message": "x"}).json() == {"echo_message": "x"}


def test_a_client_is_made_from_the_file_that_a_sandbox_writes(folder):
    with Sandbox() as sandbox:
        file = write(folder, json.dumps(sandbox.credentials), "merchant.json")
        with Client.from_file(file) as client:
            assert client.v3.certificates.get().status_code == 200


def test_every_setting_can_be_a_variable(monkeypatch, folder):
    texts = {"mchid": MCHID, "serial": SERIAL, "private_key": "a.pem", "apiv2_key": "x", "passphrase": "p"}
    texts |= {"base_url": "http://127.0.0.1:9", "certificate_cache": "c.json", "ca_bundle": "ca.pem"}
    set_variables(
        monkeypatch,
        **texts,
        former_private_keys='["old.pem"]',
        trust_anchors='["root.pem"]',
        fetch_certificates="true",
        allow_http="false",
        timeout="[1, 2.5]",
        max_response_bytes="1000",
        proxies='{"https": "http://127.0.0.1:3128"}',
        retry='{"attempts": 5}',
    )
    assert Given.from_env().given == {
        **texts,
        "private_key": Path("a.pem"),
        "certificate_cache": Path("c.json"),
        "ca_bundle": Path("ca.pem"),
        "former_private_keys": [Path("old.pem")],
        "trust_anchors": [Path("root.pem")],
        "fetch_certificates": True,
        "allow_http": False,
        "timeout": (1, 2.5),
        "max_response_bytes": 1000,
        "proxies": {"https": "http://127.0.0.1:3128"},
        "retry": Retry(attempts=5),
    }


def test_a_prefix_and_more_settings_are_the_callers(monkeypatch, folder):
    set_variables(monkeypatch, "SHOP_", mchid="1900000001", retry="false")
    set_variables(monkeypatch, mchid="1900000002")
    marker = object()
    assert Given.from_env("SHOP_", seen=marker, mchid="3").given == {"mchid": "3", "retry": None, "seen": marker}


def test_empty_variables_and_those_of_others_are_left_alone(monkeypatch, folder):
    set_variables(monkeypatch, apiv3_key="", mchid=MCHID, appid="wx1", notify_url="https://www.example.com/")
    set_variables(monkeypatch, sandbox_url="http://127.0.0.1:8900/", config="a.toml", profile="a", chain_debug="1")
    assert Given.from_env().given == {"mchid": MCHID}


@pytest.mark.parametrize("name", ["mchid", "brand_id", "serial"])
def test_a_number_in_a_file_needs_no_quotes(folder, name):
    assert Given.from_file(write(folder, f"{name} = 120344")).given == {name: 120344}


def test_paths_in_a_file_start_at_its_folder(monkeypatch, folder):
    text = f"""
        mchid = "{MCHID}"
        serial = "{SERIAL}"
        private_key_file = "keys/apiclient_key.pem"
        apiv3_key_file = "keys/apiv3_key.txt"
        public_key_id = "{PUBLIC_KEY_ID}"
        public_key = "keys/pub_key.pem"
        certificate_cache = "cache.json"
        timeout = [5, 30]
    """
    file = write(folder, text)
    monkeypatch.chdir("/")
    given = Given.from_file(file).given
    assert given["private_key"] == folder / "keys" / "apiclient_key.pem"
    assert given["apiv3_key"] == APIV3_KEY
    assert given["certs"] == {PUBLIC_KEY_ID: folder / "keys" / "pub_key.pem"}
    assert given["certificate_cache"] == folder / "cache.json"
    assert given["timeout"] == (5, 30)
    with Client.from_file(file) as client:
        assert (client.mchid, client.serial) == (MCHID, SERIAL)


def test_the_serial_number_can_be_the_certificate(folder, service):
    certificate = new_certificate(service.merchant)
    (folder / "apiclient_cert.pem").write_text(certificate_pem(certificate))
    keys = f'mchid = "{MCHID}"\nprivate_key = "keys/apiclient_key.pem"\napiv3_key = "{APIV3_KEY}"\n'
    client = Client.from_file(write(folder, f'{keys}serial = "apiclient_cert.pem"'))
    assert client.serial == f"{certificate.serial_number:040X}"


PROFILES = """
    [profiles.shop]
    mchid = "1900000001"

    [profiles.test]
    mchid = 1900000002
    base_url = "http://127.0.0.1:9"
"""


def test_a_profile_has_its_own_settings_only(folder):
    file = write(folder, f'serial = "1"\n{PROFILES}')
    assert Given.from_file(file).given == {"serial": "1"}
    assert Given.from_file(file, "shop").given == {"mchid": "1900000001"}
    assert Given.from_file(file, profile="test").given == {"mchid": 1900000002, "base_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("text", "profile", "said"),
    [
        (PROFILES, None, r"profile: none was named; the profiles of '.*shop\.toml' are: 'shop', 'test'"),
        (PROFILES, "prod", r"profile: came 'prod'; the profiles of .* are: 'shop', 'test'"),
        ("mchid = '1'", "prod", "are: none"),
        ("profiles = 3", None, "profiles: expected tables"),
        ("mch_id = '1'", None, r"there is no setting 'mch_id'; did you mean 'mchid'\?"),
        (
            "[profiles.a]\napi_v3_key = 'x'",
            "a",
            r"profile a: there is no setting 'api_v3_key'; did you mean 'apiv3_key'\?",
        ),
        ("zzz = 1", None, "there is no setting 'zzz'; did you mean"),
        ("mchid = [1]", None, "mchid: came a list; expected a text or a number"),
        ("mchid = true", None, "mchid: came a bool"),
        ("brand_id = true", None, "brand_id: came a bool; expected a text or a number"),
        ("certs = 'a.pem'", None, "certs: came a str; expected a table"),
        ("timeout = true", None, "timeout: came a bool; expected seconds"),
        ("retry = true", None, "retry: came a bool; expected a table such as"),
        ("retry = {tries = 3}", None, "retry: came tries; expected attempts, backoff, deadline, second_url"),
        ("apiv3_key = 'x'\napiv3_key_file = 'y'", None, "apiv3_key: it came twice, also as apiv3_key_file"),
        ("apiv3_key_file = 'none.txt'", None, r"apiv3_key_file: '.*none\.txt': No such file"),
        ("public_key = 'pub_key.pem'", None, "public_key_id: it is missing; it belongs to public_key"),
        ("public_key_id = 'PUB_KEY_ID_1'", None, "public_key: it is missing; it belongs to public_key_id"),
        ("mchid = ", None, r"shop\.toml': it cannot be parsed: "),
    ],
)
def test_a_mistake_in_a_file_is_named(folder, text, profile, said):
    with pytest.raises(ConfigurationError, match=said):
        Given.from_file(write(folder, text), profile)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MCH_ID", "1", r"WECHATPAY_MCH_ID: there is no such setting; did you mean WECHATPAY_MCHID\?"),
        ("APIV3KEY", "a-secret", r"did you mean WECHATPAY_APIV3_KEY\?"),
        ("PRIVATE_KEY_PATH", "a-secret", r"did you mean WECHATPAY_PRIVATE_KEY(_FILE)?\?"),
        ("TIMEOUT", "a-secret", "WECHATPAY_TIMEOUT: it is not JSON; expected seconds"),
        ("FETCH_CERTIFICATES", "1", "WECHATPAY_FETCH_CERTIFICATES: came a int; expected true or false"),
        ("CERTS", '"a-secret"', "WECHATPAY_CERTS: came a str; expected a table of keys by id"),
        ("APIV3_KEY_FILE", "/none/a", "WECHATPAY_APIV3_KEY_FILE: '/none/a': No such file"),
        ("PUBLIC_KEY", "a-secret", "WECHATPAY_PUBLIC_KEY_ID: it is missing"),
    ],
)
def test_a_mistake_in_the_environment_is_named_without_the_value(monkeypatch, folder, name, value, said):
    monkeypatch.setenv(f"WECHATPAY_{name}", value)
    with pytest.raises(ConfigurationError, match=said) as caught:
        Given.from_env()
    assert "a-secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(folder):
    with pytest.raises(ConfigurationError, match=r"none\.toml': No such file or directory; expected a TOML file"):
        Client.from_file(folder / "none.toml")
    with pytest.raises(ConfigurationError, match="came a list; expected an object"):
        Client.from_file(write(folder, "[]", "list.json"))


def test_no_secret_is_in_a_traceback(folder):
    """Error trackers show the local variables of every frame."""
    file = write(folder, f'mchid = "x"\nserial = "{SERIAL}"\napiv3_key = "{APIV3_KEY}"\nprivate_key = "none.pem"')
    with pytest.raises(ConfigurationError) as caught:
        Client.from_file(file)
    traceback, shown = caught.value.__traceback__, []
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename != __file__:
            shown.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    assert shown
    assert APIV3_KEY not in "".join(shown)
