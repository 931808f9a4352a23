"""Each setting of a client refuses wrong values, with a message that names it and shows no secret."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import aiohttp
import pytest
import requests
from cryptography.hazmat.primitives import serialization

from tests.service import (
    MCHID,
    PUBLIC_KEY_ID,
    SERIAL,
    Reply,
    certificate_pem,
    new_certificate,
    new_key,
    private_pem,
    public_pem,
)
from wechatpay_chain import BadRequestError, Client, ConfigurationError, TransportError

HOST = "http://127.0.0.1:9/"
APIV3_KEY = "an-APIv3-key-that-nobody-may-see"


def refusal(service, **settings) -> str:
    """Makes a client with wrong settings, and returns the error message, which holds no secret."""
    with pytest.raises(ConfigurationError) as caught:
        Client(**{**service.settings(HOST), **settings})
    message = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}"
    for line in private_pem(service.merchant).splitlines()[1:-2]:
        assert line not in message
    assert APIV3_KEY not in message
    return message


@pytest.mark.parametrize("name", ["mchid", "serial", "private_key", "certs"])
def test_a_missing_setting_is_refused(service, name):
    settings = service.settings(HOST)
    settings.pop(name)
    with pytest.raises(ConfigurationError, match=f"^{name}: .*expected"):
        Client(**settings)
    for empty in ("", None, b"", {}):
        assert refusal(service, **{name: empty}).startswith(name)


@pytest.mark.parametrize(
    ("mchid", "words"),
    {
        "wx8888888888888888": "an appid",
        "1900-1": "HYPHEN-MINUS at character 5",
        "19O0007291": "the letter O|LETTER O at character 3, where a zero may be meant",
        " 19\u200b00 1": "SPACE at character 7",
        "１９00é": "U\\+00E9 LATIN SMALL LETTER E WITH ACUTE at character 5",
        "1900007291.0": "FULL STOP",
        "1" * 33: "33 characters",
        "\u200b ": "missing",
        ("1",): "came a tuple",
        -1: "came a int",
        10**500: "came a int",
        1900007291.0: "came a float",
        True: "came a bool",
        b"1900007291": "came a bytes",
    }.items(),
)
def test_a_wrong_mchid_is_refused(service, mchid, words):
    message = refusal(service, mchid=mchid)
    assert re.search(words, message), message
    assert "expected the merchant number" in message


@pytest.mark.parametrize(
    "mchid",
    [
        1900007291,
        "1900007291\n",
        " 1900007291",
        "\ufeff1900007291",
        "１９０0007291",
        '"1900007291"',
        "\u200e1900007291",
    ],
)
def test_a_mchid_may_be_copied_with_invisible_characters(service, mchid):
    assert Client(**{**service.settings(HOST), "mchid": mchid}).mchid == "1900007291"


@pytest.mark.parametrize("serial", ["xyz", PUBLIC_KEY_ID, MCHID, int(MCHID), 1.5, True, b"ab", "A" * 41, 10**500])
def test_a_wrong_serial_is_refused(service, serial):
    assert "serial: " in refusal(service, serial=serial)


def test_a_wrong_private_key_is_refused(service, tmp_path):
    certificate = certificate_pem(new_certificate(service.merchant))
    assert "came an RSA public key" in refusal(service, private_key=public_pem(service.merchant))
    assert "came a certificate; " in refusal(service, private_key=certificate)
    assert "private_key" in refusal(service, private_key=tmp_path)
    assert "missing.pem" in refusal(service, private_key=tmp_path / "missing.pem")
    assert "private_key" in refusal(service, private_key="missing.pem")
    assert "private_key: came a int" in refusal(service, private_key=5)
    assert "RSAPublicKey" in refusal(service, private_key=service.merchant.public_key())
    base64_alone = "".join(private_pem(service.merchant).splitlines()[1:-1])
    assert "neither PEM nor base64" in refusal(service, private_key=base64_alone[:99] + "." + base64_alone[99:])
    for path in (private_pem(service.merchant), base64_alone):
        assert "a path of" in refusal(service, private_key=Path(path))
    assert "'apiclient_key.pem'" in refusal(service, private_key="apiclient_key.pem")


def test_an_encrypted_key_needs_its_passphrase(service):
    encrypted = private_pem(service.merchant, serialization.BestAvailableEncryption(b"open sesame"))
    assert "passphrase=" in refusal(service, private_key=encrypted)
    message = refusal(service, private_key=encrypted, passphrase="open barley")
    assert "passphrase" in message
    assert "barley" not in message
    Client(**{**service.settings(HOST), "private_key": encrypted, "passphrase": "open sesame"})
    for passphrase in ("", b"", 5):
        assert "passphrase: came a" in refusal(service, private_key=encrypted, passphrase=passphrase)
    assert "sesame" not in refusal(service, private_key=encrypted, passphrase="sesame\ud800")


def test_wrong_certs_are_refused(service, tmp_path):
    public, certificate = public_pem(service.public_key), certificate_pem(service.certificate)
    serial = service.platform_serial
    assert "came a list" in refusal(service, certs=[public])
    assert "came a str" in refusal(service, certs=public)
    assert f"certs['{PUBLIC_KEY_ID}']" in refusal(service, certs={PUBLIC_KEY_ID: private_pem(service.merchant)})
    assert "came an RSA private key" in refusal(service, certs={PUBLIC_KEY_ID: private_pem(service.merchant)})
    assert "NoneType" in refusal(service, certs={PUBLIC_KEY_ID: None})
    assert serial in refusal(service, certs={PUBLIC_KEY_ID: certificate}), "a certificate has no public key id"
    assert serial in refusal(service, certs={"A" * 40: certificate})
    assert "'nonsense'" in refusal(service, certs={"nonsense": public})
    assert "NoneType" in refusal(service, certs={None: public})
    assert "certs: came the id a str" in refusal(service, certs={private_pem(service.merchant): public})
    assert "directory" in refusal(service, certs={PUBLIC_KEY_ID: tmp_path})
    assert "PUB_KEY_ID_ and digits" in refusal(service, certs={PUBLIC_KEY_ID.removeprefix("PUB_KEY_ID_"): public})
    assert "came twice" in refusal(service, certs={serial: certificate, serial.lower(): certificate})
    for key_id in ("PUB_KEY_ID_", "PUB_KEY_ID_公", "PUB_KEY_ID_0 1"):
        assert "certs" in refusal(service, certs={key_id: public})
    Client(**{**service.settings(HOST), "certs": {f"{PUBLIC_KEY_ID}\n": public}})


def test_the_merchants_own_key_is_refused_in_certs(service):
    certificate = new_certificate(service.merchant, serial=int(SERIAL, 16))
    for certs in (
        {SERIAL: certificate},
        {SERIAL.lower(): certificate},
        {PUBLIC_KEY_ID: public_pem(service.merchant)},
        {**service.certs, SERIAL: public_pem(service.platform)},
        {
            f"{new_certificate(service.merchant, serial=77).serial_number:X}": new_certificate(
                service.merchant, serial=77
            )
        },
    ):
        message = refusal(service, certs=certs)
        assert "the merchant's own" in message
        assert message.startswith("certs")


@pytest.mark.parametrize(
    "spelling", [str.lower, lambda s: ":".join(s[i : i + 2] for i in range(0, 40, 2)), lambda s: int(s, 16)]
)
def test_serials_may_be_in_any_notation(service, spelling):
    serial = service.platform_serial
    client = Client(
        **{**service.settings(HOST), "serial": spelling(SERIAL), "certs": {spelling(serial): service.certificate}}
    )
    assert client.serial == SERIAL
    assert serial in repr(client)


@pytest.mark.parametrize("key", ["short", "x" * 33, b"x" * 31, 5, "中" * 32, ""])
def test_a_wrong_apiv3_key_is_refused(service, key):
    message = refusal(service, apiv3_key=key)
    assert "apiv3_key" in message
    assert "32" in message
    assert "xxx" not in message


@pytest.mark.parametrize("key", [APIV3_KEY, APIV3_KEY.encode(), None])
def test_an_apiv3_key_may_be_text_or_bytes_or_missing(service, key):
    Client(**{**service.settings(HOST), "apiv3_key": key})


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.mch.weixin.qq.com/",
        "http://10.0.0.1/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example",
        "http://[::2]/",
    ],
)
def test_http_to_another_machine_must_be_allowed(service, base_url):
    assert "allow_http" in refusal(service, base_url=base_url)
    Client(**{**service.settings(base_url), "allow_http": True})


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8080",
        "http://127.1.2.3/",
        "http://localhost:1/",
        "http://[::1]:5/",
        "https://apihk.mch.weixin.qq.com",
    ],
)
def test_base_urls_are_accepted(service, base_url):
    assert base_url.rstrip("/") in repr(Client(**service.settings(base_url)))


@pytest.mark.parametrize(
    "base_url",
    [
        "api.mch.weixin.qq.com",
        "ftp://x/",
        "https://",
        "https:///v3",
        "https://x/v3/",
        "https://x/?a=b",
        "https://x/#a",
        "https://u:secret@x/",
        "https://x:port/",
        "https://[x/",
        "https://a..b/",
        "https://./",
        "https://" + "a" * 70,
        "https://a b/",
        "https://a\\b/",
        "https://微信/",
        "https://\ud800/",
        "https://x:0/",
        5,
        None,
        "",
    ],
)
def test_a_wrong_base_url_is_refused(service, base_url):
    message = refusal(service, base_url=base_url)
    assert "base_url" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    "timeout", [0, -1, True, "5", (1,), (1, 0), (1, 2, 0), (1, 2, 3, 4), None, float("nan"), float("inf"), 1e7, 10**400]
)
def test_a_wrong_timeout_is_refused(service, timeout):
    assert "timeout" in refusal(service, timeout=timeout)


@pytest.mark.parametrize("timeout", [1, 0.5, (1, 2.5), (1, 2.5, 4)])
def test_timeouts_are_accepted(service, timeout):
    Client(**service.settings(HOST), timeout=timeout)


def test_wrong_sessions_are_refused(service):
    assert "session" in refusal(service, session=object())
    assert "async_session" in refusal(service, async_session=requests.Session())
    unverified = requests.Session()
    unverified.verify = False
    assert "TLS is always verified" in refusal(service, session=unverified)


@pytest.mark.parametrize(
    "proxies",
    [
        "http://x",
        ["http://x"],
        {"http": 5},
        {"http": None},
        {"HTTP": "http://x"},
        {"http://": "x"},
        {"all": "socks5://127.0.0.1:1080"},
        {"all": "http://"},
        {"all": "http://a..b:1"},
        {"all": "http://x:port"},
        {"all": "not a url"},
    ],
)
def test_wrong_proxies_are_refused(service, proxies):
    assert "proxies" in refusal(service, proxies=proxies)


def test_no_secret_is_shown(service, wire, send, caplog):
    settings = {**service.settings(wire.base_url), "private_key": private_pem(service.merchant), "apiv3_key": APIV3_KEY}
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"), Client(**settings) as client:
        response = send(client["v3/users/{openid}"], "post", openid="oh-394z", json={"name": "张三"})
        shown = [repr(client), str(client.v3), repr(client.v3), repr(response), repr(response.request), str(response)]
        shown += [repr(response.headers), repr(response.request.headers), repr(client._config.keyring), caplog.text]
    signature = wire.received[0].credentials["signature"]
    text = "\n".join(shown)
    for secret in (APIV3_KEY, signature, response.headers["Wechatpay-Signature"], "张三", "oh-394z"):
        assert secret not in text
    for line in private_pem(service.merchant).splitlines()[1:-1]:
        assert line not in text


def test_each_call_writes_one_line_to_the_log(client, wire, service, send, caplog):
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"):
        send(client["v3/users/{openid}?token=sesame"], "post", openid="oh-394z")
        for reply in (service.signed(b"", 429), service.signed(b"x").without("Wechatpay-Nonce"), None):
            wire.respond = lambda received, reply=reply: reply
            with pytest.raises(Exception, match="v3/users"):
                send(client["v3/users/{openid}"], "get", openid="oh-394z")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("wechatpay_chain")]
    patterns = [
        r"POST v3/users/\{openid\} 200 08E2-0 [0-9.]+ ms",
        r"GET v3/users/\{openid\} RateLimitError 429 08E2-0 [0-9.]+ ms",
        r"GET v3/users/\{openid\} SignatureError 200 08E2-0 [0-9.]+ ms",
        r"GET v3/users/\{openid\} TransportError - [0-9.]+ ms",
    ]
    assert len(lines) == len(patterns)
    assert [bool(re.fullmatch(pattern, line)) for pattern, line in zip(patterns, lines, strict=True)] == [True] * 4


def test_the_constructor_uses_no_network_and_no_thread(service, monkeypatch):
    import socket

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the constructor used the network")

    before = threading.active_count()
    monkeypatch.setattr(socket, "socket", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    Client(**service.settings("https://api.mch.weixin.qq.com/"))
    assert threading.active_count() == before


def test_a_client_is_made_within_five_milliseconds(service):
    import time

    settings = {**service.settings(HOST), "private_key": private_pem(service.merchant)}

    def seconds() -> float:
        began = time.perf_counter()
        Client(**settings)
        return time.perf_counter() - began

    # A generous limit, because coverage slows this down; the benchmark measures the time.
    assert min(seconds() for _ in range(50)) < 0.005


def test_the_settings_of_the_readme_are_accepted(service, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("apiclient_key.pem").write_text(private_pem(service.merchant))
    Path("pub_key.pem").write_text(public_pem(service.public_key))
    client = Client(
        mchid=MCHID,
        serial=SERIAL,
        private_key=Path("apiclient_key.pem"),
        certs={PUBLIC_KEY_ID: Path("pub_key.pem"), service.platform_serial: certificate_pem(service.certificate)},
        apiv3_key=None,
        base_url="https://api.mch.weixin.qq.com/",
        timeout=10,
        proxies={"https": "http://proxy.example:3128"},
    )
    assert client.mchid == MCHID


def test_certs_may_mix_kinds_of_keys(service):
    other = new_key()
    Client(
        **{
            **service.settings(HOST),
            "certs": {
                PUBLIC_KEY_ID: public_pem(service.public_key).encode(),
                service.platform_serial: service.certificate,
                "AB" * 20: other.public_key(),
            },
        }
    )


def test_sessions_of_the_user_are_used_and_stay_open(service, wire):
    import asyncio

    session = requests.Session()
    client = Client(**service.settings(wire.base_url), session=session)
    client.v3.x.get()
    client.close()
    client.v3.x.get()
    assert len({received.peer for received in wire.received}) == 1, "the user's session stays open"
    session.close()

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            client = Client(**service.settings(wire.base_url), async_session=session)
            await client.v3.x.get_async()
            await client.aclose()
            assert not session.closed
            await client.v3.x.get_async()

    asyncio.run(main())
    assert len({received.peer for received in wire.received}) == 2
    assert all(received.is_signed_by(service.merchant) for received in wire.received)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_options_of_an_async_session_do_not_change_calls(service, wire):
    import asyncio

    async def make_session(**options):
        return aiohttp.ClientSession(**options)

    async def main() -> None:
        wire.respond = lambda received: Reply(400, {}, b"{}")
        async with await make_session(raise_for_status=True) as session:
            with pytest.raises(BadRequestError):
                await Client(**service.settings(wire.base_url), async_session=session).v3.x.get_async()
        for options in (
            {"headers": {"Content-Length": "3"}},
            {"headers": {"host": "evil"}},
            {"headers": {"Authorization": "x"}},
            {"auth": aiohttp.BasicAuth("user", "password")},
        ):
            async with await make_session(**options) as session:
                assert "async_session" in refusal(service, async_session=session)
        with pytest.raises(ConfigurationError, match="async_session: Session is closed"):
            await Client(**service.settings(wire.base_url), async_session=closed).v3.x.get_async()

    closed = asyncio.run(make_session())
    asyncio.run(closed.close())
    asyncio.run(main())
    assert len(wire.received) == 1


def test_an_async_session_that_reads_netrc_is_refused(service, wire, tmp_path, monkeypatch):
    import asyncio

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    async def main() -> None:
        async with aiohttp.ClientSession(trust_env=True) as session:
            with pytest.raises(ConfigurationError, match="netrc"):
                await Client(**service.settings(wire.base_url), async_session=session).v3.x.get_async()

    asyncio.run(main())
    assert not wire.received


def test_a_session_of_the_user_does_not_weaken_tls(service, tmp_path):
    """TLS is verified even if the session of the user does not verify it."""
    import asyncio
    import ssl

    from tests.service import Wire
    from wechatpay_chain import TransportError

    key = new_key()
    (tmp_path / "key.pem").write_text(private_pem(key))
    (tmp_path / "ca.pem").write_text(certificate_pem(new_certificate(key)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")

    with Wire(lambda received: service.signed(), context) as wire:

        async def main() -> None:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
                client = Client(**service.settings(wire.base_url), async_session=session)
                with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
                    await client.v3.x.get_async()

        asyncio.run(main())
        session = requests.Session()
        client = Client(**service.settings(wire.base_url), session=session)
        session.verify = False
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            client.v3.x.get()
        session.verify = str(tmp_path / "ca.pem")
        assert client.v3.x.get().status_code == 200
        session.close()


def test_an_async_session_of_another_loop_is_refused(service, wire):
    """The error is raised late, when the service may have received the call."""
    import asyncio

    import aiohttp

    async def call_with_new_session():
        session = aiohttp.ClientSession()
        await Client(**service.settings(wire.base_url), async_session=session).v3.x.get_async()
        return session

    loop = asyncio.new_event_loop()
    try:
        session = loop.run_until_complete(call_with_new_session())
        client = Client(**service.settings(wire.base_url), async_session=session)
        with pytest.raises((TransportError, ConfigurationError)) as caught:
            asyncio.run(client.v3.pay.post_async(json={}))
        arrived = [received for received in wire.received if received.method == "POST"]
        assert not arrived or caught.value.sent is True
        loop.run_until_complete(session.close())
    finally:
        loop.close()


def test_the_roots_of_chains_are_read_only(service):
    client = Client(**service.settings(HOST))
    with pytest.raises(AttributeError, match="read-only"):
        client.v3 = None
    assert hasattr(Client, "v3")
    assert Client(**{**service.settings(HOST), "certs": None, "apiv3_key": "x" * 32}).mchid == MCHID
