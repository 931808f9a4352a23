"""APIv2 beyond XML in a POST: every path, queries that are signed, uploads, the TLS certificate, and hosts."""

from __future__ import annotations

import ast
import asyncio
import errno
import hashlib
import os
import re
import socket
import ssl
import stat
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from requests.adapters import HTTPAdapter

import wechatpay_chain
from tests.apiv2.conftest import KEY, reply, signature_of, signed
from tests.service import MCHID, certificate_pem, new_certificate, new_key, private_pem
from wechatpay_chain import APIError, ArgumentError, Client, ConfigurationError
from wechatpay_chain._catalogue.operations import find_operation, list_operations

OPERATIONS = [(method, path) for method, path in list_operations() if find_operation(method, path).api == "v2"]


def snake(segment):
    return re.sub("(?=[A-Z])|-", "_", segment).lower()


def camel(segment):
    """Returns a segment in camelCase; that of the documentation, if it is in camelCase there."""
    return re.sub("[-_](.)", lambda match: match[1].upper(), segment)


def walk(node, names):
    for name in names:
        node = getattr(node, name)
    return node


def test_there_are_as_many_operations_as_documented():
    assert len(OPERATIONS) == 136


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_is_reached_in_each_spelling(service, wire, method, path):
    segments = path.strip("/").split("/")
    arguments = {"GET": {"params": {"appid": "wx1"}}, "POST": {"xml": {"appid": "wx1"}, "certificate": False}}[method]
    if "upload" in path:
        arguments["files"] = {"media": ("a.jpg", b"1")}
    wire.respond = lambda received: reply({"return_code": "FAIL", "return_msg": "no"})
    settings = {**service.settings(wire.base_url), "apiv2_key": KEY, "workwx_secret": "secret"}
    with Client(**settings) as client:
        for node in (
            walk(client.v2, map(snake, segments)),
            walk(client.v2, map(camel, segments)),
            client[f"v2{path}"],
            client.v2[path],
        ):
            wire.received.clear()
            with pytest.raises(APIError):
                getattr(node, method.lower())(**arguments)
            (received,) = wire.received
            assert (received.method, urlsplit(received.target).path) == (method, path)


def test_every_operation_has_a_name_in_the_stubs_that_reaches_it(shop):
    """An editor completes the names of the stubs, and a type checker accepts no others as typed."""
    stubs = Path(wechatpay_chain.__file__).with_name("_nodes") / "v2.pyi"
    classes = {
        each.name: each.body for each in ast.parse(stubs.read_text("utf-8")).body if isinstance(each, ast.ClassDef)
    }

    def read(name, node):
        for each in classes[name]:
            if isinstance(each, ast.AnnAssign):
                yield from read(each.annotation.id, getattr(node, each.target.id))
            elif isinstance(each, ast.FunctionDef):
                yield each.name.upper(), str(node).removeprefix("v2")

    assert sorted(read("V2", shop.client.v2)) == sorted(OPERATIONS)


def test_the_query_of_a_get_is_signed_raw_and_sent_encoded(shop, send):
    shop.receives(signed())
    params = {
        "appid": "wx1",
        "plan_id": "1",
        "contract_display_account": "张 三",
        "notify_url": "https://a.example/n?x=1&y",
    }
    send(shop.client.v2.papay.h5entrustweb, "get", params=params)
    target = urlsplit(shop.request.target)
    assert target.path == "/papay/h5entrustweb"
    assert "%E5%BC%A0%20%E4%B8%89" in target.query
    fields = dict(parse_qsl(target.query, strict_parsing=True))
    assert fields["sign"] == signature_of(fields, "HMAC-SHA256")
    assert {**params, "mch_id": MCHID, "sign_type": "HMAC-SHA256"}.items() <= fields.items()
    assert "nonce_str" not in fields


def test_the_query_of_a_post_is_not_signed(shop):
    shop.client.v2.secapi.mch.submchmanage.post(xml={"appid": "wx1"}, params={"action": "query"}, certificate=False)
    assert shop.request.target == "/secapi/mch/submchmanage?action=query"
    assert "action" not in shop.fields


def test_an_upload_is_a_form_with_signed_fields(shop, send, tmp_path):
    content = bytes(range(256)) * 10
    (tmp_path / "门店.jpg").write_bytes(content)
    node = shop.client.v2.secapi.mch.uploadmedia
    send(node, "post", files={"media": tmp_path / "门店.jpg"}, certificate=False)
    boundary = re.fullmatch("multipart/form-data; boundary=([0-9a-f]+)", shop.request.header("Content-Type"))[1]
    first, *parts, last = shop.request.body.split(b"--" + boundary.encode())
    assert (first, last) == (b"", b"--\r\n")
    read = [part.removeprefix(b"\r\n").removesuffix(b"\r\n").split(b"\r\n\r\n", 1) for part in parts]
    fields = {re.search(rb'name="(\w+)"', head)[1].decode(): body for head, body in read}
    assert fields.pop("media") == content
    texts = {name: text.decode() for name, text in fields.items()}
    assert texts.keys() == {"mch_id", "sign_type", "media_hash", "sign"}
    assert texts["media_hash"] == hashlib.md5(content).hexdigest()
    assert texts["sign"] == signature_of(texts, texts["sign_type"])


def test_an_empty_file_is_refused(shop):
    with pytest.raises(ArgumentError, match="empty"):
        shop.client.v2.secapi.mch.uploadmedia.post(files={"media": ("a.jpg", b"")}, certificate=False)


@pytest.fixture(scope="module")
def issued():
    """The authority of merchants' certificates, and a merchant's key and certificate."""
    authority_key, key = new_key(), new_key()
    authority = new_certificate(authority_key, subject="Tenpay.com Root CA")
    return (
        authority,
        key,
        new_certificate(key, subject="merchant", issuer="Tenpay.com Root CA", issuer_key=authority_key),
    )


@pytest.fixture
def strict(issued, tmp_path):
    """A server that asks for a certificate, and notes that of each request."""
    authority_certificate, _, _ = issued
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = new_key()
    certificate = new_certificate(key)
    (tmp_path / "server.pem").write_text(private_pem(key) + certificate_pem(certificate))
    asking.load_cert_chain(tmp_path / "server.pem")
    asking.load_verify_locations(cadata=certificate_pem(authority_certificate))
    asking.verify_mode = ssl.CERT_OPTIONAL
    (tmp_path / "trust.pem").write_text(certificate_pem(certificate))
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.connection.getpeercert(binary_form=True)))
            body = signed().body
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = asking.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_address[1]}/", str(tmp_path / "trust.pem"), seen
        server.shutdown()


def forms(key, certificate, tmp_path):
    """Returns the settings in each form in which merchants have the certificate."""
    (tmp_path / "apiclient_cert.pem").write_text(certificate_pem(certificate))
    p12 = pkcs12.serialize_key_and_certificates(
        b"merchant", key, certificate, None, serialization.BestAvailableEncryption(MCHID.encode())
    )
    (tmp_path / "apiclient_cert.p12").write_bytes(p12)
    return {
        "path": {"private_key": key, "certificate": tmp_path / "apiclient_cert.pem"},
        "text": {"private_key": private_pem(key), "certificate": certificate_pem(certificate)},
        "both from the p12": {"private_key": tmp_path / "apiclient_cert.p12"},
        "the p12 as the certificate": {"private_key": key, "certificate": tmp_path / "apiclient_cert.p12"},
    }


@pytest.mark.parametrize("form", ["path", "text", "both from the p12", "the p12 as the certificate"])
def test_the_certificate_is_presented_where_the_table_says_and_nowhere_else(
    service, strict, issued, tmp_path, send, form
):
    base_url, bundle, seen = strict
    _, key, certificate = issued
    settings = {
        **service.settings(base_url),
        "serial": f"{certificate.serial_number:X}",
        "apiv2_key": KEY,
        "ca_bundle": bundle,
    }
    left = set(Path(tempfile.gettempdir()).iterdir())
    with Client(**{**settings, **forms(key, certificate, tmp_path)[form]}, proxies={}) as client:
        query, refund = client.v2.pay.orderquery, client.v2.secapi.pay.refund
        for node, arguments in (
            (query, {}),
            (refund, {}),
            (query, {}),
            (query, {"certificate": True}),
            (refund, {"certificate": False}),
        ):
            send(node, "post", xml={"appid": "wx1"}, **arguments)
    der = certificate.public_bytes(serialization.Encoding.DER)
    presented = [(path.rpartition("/")[2], shown == der) for path, shown in seen]
    assert presented == [
        ("orderquery", False),
        ("refund", True),
        ("orderquery", False),
        ("orderquery", True),
        ("refund", False),
    ]
    assert not [path for path in set(Path(tempfile.gettempdir()).iterdir()) - left if path.suffix == ".pem"]


@pytest.fixture
def certified(service, strict, issued):
    base_url, bundle, _ = strict
    _, key, certificate = issued
    return {
        **service.settings(base_url),
        "private_key": key,
        "serial": certificate,
        "certificate": certificate,
        "apiv2_key": KEY,
        "ca_bundle": bundle,
        "proxies": {},
    }


def test_the_certificate_is_presented_beside_a_session_too(certified, strict, issued):
    _, _, seen = strict
    with requests.Session() as session, Client(**certified, session=session) as client:
        client.v2.secapi.pay.refund.post(xml={"appid": "wx1"})
        client.v2.pay.orderquery.post(xml={"appid": "wx1"})

    async def call():
        async with aiohttp.ClientSession() as session, Client(**certified, async_session=session) as client:
            await client.v2.secapi.pay.refund.post_async(xml={"appid": "wx1"})
            await client.v2.pay.orderquery.post_async(xml={"appid": "wx1"})

    asyncio.run(call())
    der = issued[2].public_bytes(serialization.Encoding.DER)
    assert [shown == der for _, shown in seen] == [True, False, True, False]


def test_an_adapter_of_the_callers_own_has_every_call(certified, strict):
    class Adapter(HTTPAdapter):
        def send(self, request, **options):
            targets.append(request.path_url)
            return super().send(request, **options)

    targets = []
    with requests.Session() as session, Client(**certified, session=session) as client:
        session.mount("https://", Adapter())
        client.v2.secapi.pay.refund.post(xml={"appid": "wx1"})
        client.v2.pay.orderquery.post(xml={"appid": "wx1"})
    assert targets == ["/secapi/pay/refund", "/pay/orderquery"]


def test_a_certificate_of_another_key_is_refused(service, issued):
    _, _, certificate = issued
    with pytest.raises(ConfigurationError, match="certificate and private_key"):
        Client(**service.settings("https://a.example"), certificate=certificate)


def test_a_certificate_without_its_key_cannot_be_presented(service, issued):
    class Remote:
        def sign(self, message):
            return ""

    settings = {**service.settings("https://a.example"), "signer": Remote()}
    del settings["private_key"]
    client = Client(**settings, certificate=issued[2], apiv2_key=KEY)
    with pytest.raises(ConfigurationError, match="private_key"):
        client.v2.secapi.pay.refund.post(xml={"appid": "wx1"})


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_no_key_touches_the_disk(service, issued, monkeypatch, strict):
    base_url, bundle, seen = strict
    _, key, certificate = issued

    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    settings = {**service.settings(base_url), "private_key": key, "serial": certificate, "certificate": certificate}
    with Client(**settings, apiv2_key=KEY, ca_bundle=bundle, proxies={}) as client:
        client.v2.secapi.pay.refund.post(xml={"appid": "wx1"})
    assert seen[0][1] == certificate.public_bytes(serialization.Encoding.DER)


def forbid(*_args, **_kwargs):
    """Fails as memfd_create does where the seccomp profile of a container forbids it."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def make_without_path(*_args, **_kwargs):
    """Returns a descriptor whose path cannot be opened, as no path below /proc can where it is not mounted."""
    reader, writer = socket.socketpair()
    reader.close()
    return writer.detach()


@pytest.mark.parametrize("make", [forbid, make_without_path], ids=["it is forbidden", "its path is not there"])
def test_without_files_in_memory_the_key_is_on_disk_for_a_moment(
    service, issued, monkeypatch, strict, send, tmp_path, make
):
    base_url, bundle, seen = strict
    _, key, certificate = issued
    folder = tmp_path / "temporary"
    folder.mkdir()
    written, load = [], ssl.SSLContext.load_cert_chain

    def note(context, certfile, *args, **kwargs):
        file = Path(certfile)
        written.append((file.parent, stat.S_IMODE(file.stat().st_mode), b"ENCRYPTED" in file.read_bytes()))
        return load(context, certfile, *args, **kwargs)

    monkeypatch.setattr(os, "memfd_create", make, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", note)
    settings = {**service.settings(base_url), "private_key": key, "serial": certificate, "certificate": certificate}
    with Client(**settings, apiv2_key=KEY, ca_bundle=bundle, proxies={}) as client:
        send(client.v2.secapi.pay.refund, "post", xml={"appid": "wx1"})
    assert seen[0][1] == certificate.public_bytes(serialization.Encoding.DER)
    assert set(written) == {(folder, 0o600, True)}
    assert list(folder.iterdir()) == []


def test_an_operation_has_its_own_host_only_at_the_service_itself(service, wire):
    """A sandbox or a gateway serves all of them."""

    class Catcher:
        def send(self, request):
            self.url = request.url
            raise OSError

    for base_url, host in (
        ("https://api.mch.weixin.qq.com/", "fraud.mch.weixin.qq.com"),
        ("https://gateway.example/", "gateway.example"),
    ):
        catcher = Catcher()
        client = Client(**{**service.settings(base_url), "apiv2_key": KEY}, transport=catcher)
        with pytest.raises(Exception, match="raised OSError"):
            client.v2.secsvc.realnameauth.post(xml={"appid": "wx1"})
        assert urlsplit(catcher.url).hostname == host
