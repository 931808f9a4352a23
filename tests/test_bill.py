"""Downloads of bills and receipts: streamed, verified, and saved whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import secrets
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.service import MCHID, Reply, Wire, json_body
from wechatpay_chain import (
    ArgumentError,
    Client,
    DecryptionError,
    NotFoundError,
    Reason,
    Retry,
    SignatureError,
    TransportError,
    WeChatPayError,
)
from wechatpay_chain._files.announcement import locate
from wechatpay_chain._files.download import DownloadSink
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response

BILL = (
    "\ufeff交易时间,公众账号ID,商户号\r\n" + "`2026-01-01 10:00:00,`wxd678efh567hg6787,`1900007291\r\n" * 4000
).encode()
API = "https://api.mch.weixin.qq.com"


def list_files(folder):
    return [path.name for path in folder.iterdir()]


def sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def sm3(content: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize().hex()


@pytest.fixture
def fetch(request, client):
    """Returns a function that downloads in blocking or async mode."""

    def download(source, to, *, using=client, **options):
        if request.param == "sync":
            return using.download(source, to, **options)
        return asyncio.run(using.download_async(source, to, **options))

    return download


both_modes = pytest.mark.parametrize("fetch", ["sync", "async"], indirect=True)


def serve_file(service, wire, content=BILL, url=f"{API}/v3/billdownload/file?token=a%2Fb&tartype=gzip", **members):
    """Makes the service announce a file and serve it. Returns the announcement."""
    announcement = {"download_url": url, "hash_type": "SHA1", "hash_value": sha1(BILL), **members}
    announcement = {name: value for name, value in announcement.items() if value is not None}

    def respond(received):
        if "download" in received.target or "statements" in received.target:
            return Reply(200, {"Content-Type": "text/plain"}, content)
        return service.signed(json_body(announcement))

    wire.respond = respond
    return announcement


@both_modes
def test_a_bill_is_downloaded_from_its_announcement(service, client, wire, fetch, tmp_path):
    serve_file(service, wire)
    to = tmp_path / "bill.csv"
    reports = []
    bill = client.v3.bill.tradebill.get(params={"bill_date": "2026-01-01"})
    response = fetch(bill, to, progress=lambda received, total: reports.append((received, total)))
    assert to.read_bytes() == BILL
    assert to.stat().st_mode & 0o777 == 0o600
    assert (response.status_code, response.content) == (200, b"")
    received = wire.received[-1]
    assert received.target == "/v3/billdownload/file?token=a%2Fb&tartype=gzip", "as it was announced"
    assert received.is_signed_by(service.merchant)
    assert received.header("Accept") == "*/*"
    assert reports[-1] == (len(BILL), len(BILL))
    assert [count for count, _ in reports] == sorted({count for count, _ in reports})
    assert list_files(tmp_path) == ["bill.csv"]


@both_modes
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SM3"])
@pytest.mark.parametrize("upper", [False, True])
def test_every_digest_algorithm_is_verified(service, client, wire, fetch, tmp_path, algorithm, upper):
    value = {"SHA1": sha1, "SHA256": lambda octets: hashlib.sha256(octets).hexdigest(), "SM3": sm3}[algorithm](BILL)
    announcement = serve_file(service, wire, hash_type=algorithm, hash_value=value.upper() if upper else value)
    fetch(announcement, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == BILL


@both_modes
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SM3"])
def test_another_file_than_was_announced_is_refused(service, client, wire, fetch, tmp_path, algorithm):
    announcement = serve_file(service, wire, content=BILL + b" ", hash_type=algorithm)
    (tmp_path / "bill.csv").write_text("before")
    with pytest.raises(SignatureError) as caught:
        fetch(announcement, tmp_path / "bill.csv")
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert (tmp_path / "bill.csv").read_text() == "before"
    assert list_files(tmp_path) == ["bill.csv"]


@both_modes
def test_a_compressed_bill_is_saved_as_it_is_or_decompressed(service, client, wire, fetch, tmp_path):
    """The digest is that of the decompressed bill, whether the client decompresses it or not."""
    compressed = gzip.compress(BILL)
    announcement = serve_file(service, wire, content=compressed)
    fetch(announcement, tmp_path / "bill.csv.gz")
    fetch(announcement, tmp_path / "bill.csv", gunzip=True)
    assert (tmp_path / "bill.csv.gz").read_bytes() == compressed
    assert (tmp_path / "bill.csv").read_bytes() == BILL
    announcement = serve_file(service, wire, content=BILL)
    fetch(announcement, tmp_path / "plain.csv", gunzip=True)
    assert (tmp_path / "plain.csv").read_bytes() == BILL


@both_modes
def test_a_compressed_file_without_a_digest_is_saved_as_it_is_or_decompressed(service, client, wire, fetch, tmp_path):
    compressed = gzip.compress(BILL[:900]) + gzip.compress(BILL[900:])
    url = serve_file(service, wire, content=compressed)["download_url"]
    fetch(url, tmp_path / "a.gz")
    fetch(url, tmp_path / "a", gunzip=True)
    assert (tmp_path / "a.gz").read_bytes() == compressed
    assert (tmp_path / "a").read_bytes() == BILL


@both_modes
@pytest.mark.parametrize("fault", ["cut", "altered", "tail"])
def test_a_damaged_compressed_file_is_refused(service, client, wire, fetch, tmp_path, fault):
    compressed = gzip.compress(BILL)
    content = {
        "cut": compressed[:-9],
        "altered": compressed[:60] + b"\0\0\0\0" + compressed[64:],
        "tail": compressed + b"tail",
    }[fault]
    serve_file(service, wire, content=content)
    for source in (f"{API}/v3/billdownload/file", serve_file(service, wire, content=content)):
        with pytest.raises((TransportError, SignatureError)):
            fetch(source, tmp_path / "bill.csv", gunzip=True)
    assert list_files(tmp_path) == []


@both_modes
def test_a_file_that_swells_when_it_is_decompressed_does_not_fill_the_memory(service, client, wire, fetch, tmp_path):
    import tracemalloc

    content = gzip.compress(bytes(100 << 20))
    url = serve_file(service, wire, content=content)["download_url"]
    tracemalloc.start()
    try:
        fetch(url, tmp_path / "a", gunzip=True)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a").stat().st_size == 100 << 20


@both_modes
def test_a_connection_that_breaks_leaves_no_file(service, client, wire, fetch, tmp_path):
    announcement = serve_file(service, wire)
    wire.respond = lambda received: Reply(200, {"Content-Length": str(len(BILL))}, BILL[:5000]).octets
    with pytest.raises(TransportError) as caught:
        fetch(announcement, tmp_path / "bill.csv")
    assert caught.value.sent is True
    assert list_files(tmp_path) == []


@both_modes
def test_a_broken_download_is_retried(service, wire, fetch, tmp_path):
    announcement = serve_file(service, wire)
    replies = [Reply(200, {"Content-Length": str(len(BILL))}, BILL[:5000]).octets, Reply(503), Reply(200, {}, BILL)]
    wire.respond = lambda received: replies.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        fetch(announcement, tmp_path / "bill.csv", using=client)
    assert (tmp_path / "bill.csv").read_bytes() == BILL
    assert len(wire.received) == 3


@both_modes
def test_a_retry_leaves_nothing_of_a_longer_broken_attempt(service, wire, fetch, tmp_path):
    announcement = serve_file(service, wire)
    replies = [Reply(200, {"Content-Length": "4000000"}, bytes(3_000_000)).octets, Reply(200, {}, BILL)]
    wire.respond = lambda received: replies.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        fetch(announcement, tmp_path / "bill.csv", using=client)
    assert (tmp_path / "bill.csv").read_bytes() == BILL


@both_modes
def test_a_download_into_an_open_file_is_not_retried(service, wire, fetch):
    announcement = serve_file(service, wire)
    wire.respond = lambda received: Reply(200, {"Content-Length": str(len(BILL))}, BILL[:5000]).octets
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        with pytest.raises(TransportError):
            fetch(announcement, io.BytesIO(), using=client)
    assert len(wire.received) == 1


@both_modes
def test_a_file_is_downloaded_into_an_open_file(service, client, wire, fetch, tmp_path):
    announcement = serve_file(service, wire)
    stream = io.BytesIO()
    fetch(announcement, stream)
    assert stream.getvalue() == BILL
    with (tmp_path / "raw").open("wb", buffering=0) as raw:
        fetch(announcement, raw)
    assert (tmp_path / "raw").read_bytes() == BILL


def encrypt_bill(service, key=None, nonce="a8607ef79034c49c", content=BILL):
    """Returns a bill of a sub-merchant: the members of its announcement, and its encrypted content."""
    key = secrets.token_bytes(32) if key is None else key
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapped = base64.b64encode(service.merchant.public_key().encrypt(key, oaep)).decode()
    octets = AESGCM(key.ljust(32, b"\0")[:32]).encrypt(nonce.encode(), content, None)
    return {"bill_sequence": 1, "encrypt_key": wrapped, "nonce": nonce}, octets


@both_modes
@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_encrypted_bill_is_decrypted(service, client, wire, fetch, tmp_path, is_compressed):
    members, content = encrypt_bill(service, content=gzip.compress(BILL) if is_compressed else BILL)
    item = serve_file(service, wire, content=content, url=f"{API}/v3/bill/downloadurl?token=x", **members)
    body = json_body({"download_bill_count": 1, "download_bill_list": [item]})
    respond = wire.respond
    wire.respond = lambda received: respond(received) if "downloadurl" in received.target else service.signed(body)
    announcement = client.v3.ecommerce.bill.fundflowbill.get(params={"algorithm": "AEAD_AES_256_GCM"})
    fetch(announcement, tmp_path / "whole.csv", gunzip=True)
    fetch(announcement.json()["download_bill_list"][0], tmp_path / "item.csv", gunzip=True)
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "item.csv").read_bytes() == BILL


@both_modes
@pytest.mark.parametrize(
    "fault", ["altered", "cut", "another nonce", "another key", "a short key", "no ciphertext", "empty"]
)
def test_an_encrypted_bill_that_cannot_be_decrypted_is_refused(service, client, wire, fetch, tmp_path, fault):
    members, content = encrypt_bill(service, key=b"short" if fault == "a short key" else None)
    if fault == "altered":
        content = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    elif fault in ("cut", "empty"):
        content = content[:-1] if fault == "cut" else b""
    elif fault == "another nonce":
        members["nonce"] = "b8607ef79034c49c"
    elif fault == "another key":
        members = {**encrypt_bill(service)[0], "nonce": members["nonce"]}
    elif fault == "no ciphertext":
        members["encrypt_key"] = "AAAA"
    # Without a digest, so that only the decryption can fail.
    announcement = serve_file(service, wire, content=content, hash_type=None, hash_value=None, **members)
    with pytest.raises(DecryptionError):
        fetch(announcement, tmp_path / "bill.csv")
    assert list_files(tmp_path) == []


INVALID_SOURCES = {
    "no URL": ({"hash_type": "SHA1"}, "download_url is missing"),
    "a list": ([1], "came a list"),
    "a number": (3, "came a int"),
    "an empty list": ({"download_bill_list": []}, "came 0 items; expected one"),
    "two items": ({"download_bill_list": [{}, {}]}, "came 2 items; expected one"),
    "text for the list": ({"download_bill_list": "x"}, "download_bill_list: came a str"),
    "no algorithm": ({"download_url": f"{API}/a", "hash_value": "00"}, "hash_type and hash_value are incomplete"),
    "an unknown algorithm": ({"download_url": f"{API}/a", "hash_type": "MD4", "hash_value": "00"}, "hash_type"),
    "no hexadecimal digest": ({"download_url": f"{API}/a", "hash_type": "SHA1", "hash_value": "xyz"}, "hash_type"),
    "no nonce": ({"download_url": f"{API}/a", "encrypt_key": "00"}, "encrypt_key and nonce are incomplete"),
    "http": ("http://api.mch.weixin.qq.com/a", "cannot be used; expected https"),
    "ftp": ("ftp://api.mch.weixin.qq.com/a", "cannot be used; expected https"),
    "a file": ("file:///etc/passwd", "cannot be used; expected https"),
    "a user": ("https://a:b@api.mch.weixin.qq.com/a", "cannot be used; expected https"),
    "a path": ("/v3/billdownload/file", "cannot be used; expected https"),
    "no host": ("https:///a", "cannot be used; expected https"),
    "a port": ("https://a.example:99999/", "cannot be used; expected https"),
}  # fmt: skip


@both_modes
@pytest.mark.parametrize("source", INVALID_SOURCES)
def test_an_invalid_source_is_refused(client, wire, fetch, tmp_path, source):
    value, message = INVALID_SOURCES[source]
    with pytest.raises(ArgumentError, match=message):
        fetch(value, tmp_path / "a")
    assert not wire.received
    assert list_files(tmp_path) == []


@both_modes
def test_a_target_that_cannot_be_written_is_refused(client, wire, fetch, tmp_path):
    for to, message in (
        (tmp_path, "which is a folder"),
        (tmp_path / "no" / "a", "No such file"),
        ("", "which is a folder"),
        ("a\0b", "not a path"),
        (3, "came a int"),
        (None, "came a NoneType"),
    ):
        with pytest.raises(ArgumentError, match=message):
            fetch(f"{API}/v3/billdownload/file", to)
    assert not wire.received


@both_modes
def test_the_error_of_a_full_disk_is_raised_as_it_is(service, client, wire, fetch):
    announcement = serve_file(service, wire)

    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, octets):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetch(announcement, Full())


@both_modes
def test_an_exception_of_progress_ends_the_download(service, client, wire, fetch, tmp_path):
    announcement = serve_file(service, wire)

    def interrupt(received, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(announcement, tmp_path / "a", progress=interrupt)
    assert list_files(tmp_path) == []


@both_modes
def test_an_error_response_raises_its_error(client, wire, fetch, tmp_path):
    wire.respond = lambda received: Reply(404, {}, json_body({"code": "RESOURCE_NOT_EXISTS"}))
    with pytest.raises(NotFoundError) as caught:
        fetch(f"{API}/v3/billdownload/file", tmp_path / "a")
    assert caught.value.code == "RESOURCE_NOT_EXISTS"
    assert list_files(tmp_path) == []


@both_modes
def test_a_file_with_neither_a_signature_nor_a_digest_is_not_saved(service, client, wire, fetch, tmp_path):
    wire.respond = lambda received: Reply(200, {}, BILL)
    with pytest.raises(SignatureError):
        fetch(f"{API}/v3/some/other", tmp_path / "a")
    assert list_files(tmp_path) == []
    announcement = {"download_url": f"{API}/v3/some/other", "hash_type": "SHA1", "hash_value": sha1(BILL)}
    fetch(announcement, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BILL


@both_modes
@pytest.mark.parametrize("fault", ["", "text", "digest"])
def test_a_statement_is_verified_by_its_signed_digest(service, client, wire, fetch, tmp_path, fault):
    digest = sha1(BILL)
    headers = service.signature(b'{"sha1":"' + digest.encode() + b'"}')
    sent_digest = "0" * 40 if fault == "digest" else digest
    content = BILL + b" " if fault == "text" else BILL
    wire.respond = lambda received: Reply(200, {**headers, "Wechatpay-Statement-Sha1": sent_digest}, content)
    url = f"{API}/hk/v3/statements?date=20260101"
    if fault:
        with pytest.raises(SignatureError):
            fetch(url, tmp_path / "a")
        assert list_files(tmp_path) == []
    else:
        fetch(url, tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == BILL


@both_modes
def test_another_host_gets_no_authorization(service, wire, authority, fetch, tmp_path):
    """Invoices are on a host that is not the API's."""
    tls, ca = authority
    with (
        Wire(lambda received: Reply(200, {}, b"%PDF"), tls) as other,
        Client(**service.settings(wire.base_url), ca_bundle=ca) as client,
    ):
        url = f"{other.base_url}invoicing/fapiao/fapiao-file?a=b%2f"
        fetch(url, tmp_path / "a.pdf", using=client)
    received = other.received[-1]
    assert received.target == "/invoicing/fapiao/fapiao-file?a=b%2F"
    assert received.header("Authorization") is None
    assert MCHID not in json.dumps(received.headers)
    assert (tmp_path / "a.pdf").read_bytes() == b"%PDF"


def test_locate_returns_origin_path_and_whether_to_sign():
    default, second, own = API, "https://api2.mch.weixin.qq.com", "http://127.0.0.1:8080"
    path = "v3/billdownload/file?token=x"
    for origins, url, expected in (
        ((default, second), f"{default}/{path}", (default, path, True)),
        ((default, second), f"{default.upper().replace('HTTPS', 'https')}:443/{path}", (default, path, True)),
        ((default, second), f"{second}/{path}", (second, path, True)),
        ((default, second), f"https://apihk.mch.weixin.qq.com/{path}", ("https://apihk.mch.weixin.qq.com", path, True)),
        ((own,), f"{default}/{path}", (own, path, True)),
        ((own,), f"{own}/{path}", (own, path, True)),
        ((own,), "https://pay.wechatpay.cn/invoicing/f", ("https://pay.wechatpay.cn", "invoicing/f", False)),
        (
            (default,),
            "https://api.mch.weixin.qq.com.evil.example/a",
            ("https://api.mch.weixin.qq.com.evil.example", "a", False),
        ),
        ((default,), "https://[::1]:8443/a#b", ("https://[::1]:8443", "a", False)),
        ((default,), f"{default}/a?b={{c}}", (default, "a?b=%7Bc%7D", True)),
    ):
        assert locate(url, origins) == expected


@both_modes
@pytest.mark.parametrize("path", ["v3/some/signed/report", "v3/global/statements?date=1"])
def test_a_signature_over_an_empty_body_verifies_no_file(service, client, wire, fetch, tmp_path, path):
    """A file is not kept in memory, so the content of its response is empty, as is that of a signed 204."""
    wire.respond = lambda received: Reply(200, service.signature(b""), b"FORGED,BILL\n")
    with pytest.raises(SignatureError):
        fetch(f"{API}/{path}", tmp_path / "a")
    assert list_files(tmp_path) == []


@both_modes
@pytest.mark.parametrize(
    "reply",
    [
        Reply(204),
        Reply(202),
        Reply(206, {}, b"half"),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst half of a bi",
        Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(BILL)[:-50]),
        Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(BILL)),
        Reply(200, {"Content-Length": "9" * 5000}, b"").octets,
    ],
    ids=["204", "202", "206", "no length", "cut in transit", "compressed in transit", "a length of 5000 digits"],
)
def test_an_incomplete_response_replaces_no_file(client, wire, fetch, tmp_path, reply):
    (tmp_path / "bill.csv").write_text("yesterday's")
    wire.respond = lambda received: reply
    with pytest.raises(TransportError):
        fetch(f"{API}/v3/billdownload/file", tmp_path / "bill.csv")
    client.middleware.remove("errors")
    wire.respond = lambda received: Reply(404)
    with pytest.raises(TransportError, match="has the status 404 and no file"):
        fetch(f"{API}/v3/billdownload/file", tmp_path / "bill.csv")
    assert (tmp_path / "bill.csv").read_text() == "yesterday's"
    assert list_files(tmp_path) == ["bill.csv"]


@both_modes
def test_an_open_file_never_gets_the_bytes_twice(service, client, wire, fetch):
    announcement = serve_file(service, wire)

    def twice(request):
        yield request
        response = yield request
        return response

    client.middleware.insert_after("retry", "twice", twice)
    with pytest.raises(TransportError, match="cannot be undone"):
        fetch(announcement, io.BytesIO())


@both_modes
def test_an_open_file_that_accepts_no_bytes_is_an_error(service, client, wire, fetch):
    announcement = serve_file(service, wire)

    class Full(io.RawIOBase):
        def __init__(self, accepted):
            self.accepted = accepted

        def writable(self):
            return True

        def write(self, octets):
            return self.accepted if len(octets) else 0

    for accepted in (0, None):
        with pytest.raises(OSError, match="accepts no more bytes"):
            fetch(announcement, Full(accepted))
    with pytest.raises(ArgumentError, match="to: the open file cannot be written to"):
        fetch(announcement, io.StringIO())


def test_a_pipe_is_not_replaced_by_a_file(client, tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArgumentError, match="a folder or a device"):
        client.download(f"{API}/v3/billdownload/file", tmp_path / "pipe")


@both_modes
def test_a_damaged_compressed_file_is_not_retried(service, wire, fetch, tmp_path):
    """A forged file fails the verification; the connection is not broken."""
    compressed = bytearray(gzip.compress(BILL))
    compressed[60:64] = bytes(4)
    announcement = serve_file(service, wire, content=bytes(compressed))
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        with pytest.raises(SignatureError) as caught:
            fetch(announcement, tmp_path / "a", using=client)
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert len(wire.received) == 1


@both_modes
def test_a_retry_does_not_use_the_digest_of_a_broken_attempt(service, wire, fetch, tmp_path):
    replies = [
        Reply(200, {"Content-Length": "99", "Wechatpay-Statement-Sha1": "0" * 40}, b"half").octets,
        Reply(200, {}, BILL),
    ]
    wire.respond = lambda received: replies.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        fetch(f"{API}/v3/billdownload/file", tmp_path / "a", using=client)
    assert (tmp_path / "a").read_bytes() == BILL


@both_modes
def test_the_token_of_a_url_is_in_no_error_message(client, wire, fetch, tmp_path):
    wire.respond = lambda received: Reply(401, {}, json_body({"code": "SIGN_ERROR"}))
    for url in (
        f"{API}/v3/billdownload/file?token=TOPSECRET%zz<\\",
        f"{API}/v2/invoice?token=TOPSECRET",
        f"{API}/v3/a/../b?token=TOPSECRET",
        "http://a.example/?token=TOPSECRET",
    ):
        with pytest.raises(WeChatPayError) as caught:
            fetch(url, tmp_path / "a")
        assert "TOPSECRET" not in str(caught.value)


def test_decompression_does_not_block_the_event_loop(service, client, wire, tmp_path):
    """The time of the processor is measured, because the system may let other processes run at any moment."""
    announcement = serve_file(service, wire, content=gzip.compress(bytes(200 << 20)), hash_value=sha1(bytes(200 << 20)))

    async def main() -> float:
        longest, done = 0.0, asyncio.Event()

        async def measure():
            nonlocal longest
            while not done.is_set():
                began = time.thread_time()
                await asyncio.sleep(0.005)
                longest = max(longest, time.thread_time() - began)

        measuring = asyncio.create_task(measure())
        await client.download_async(announcement, tmp_path / "a", gunzip=True)
        done.set()
        await measuring
        return longest

    assert asyncio.run(main()) < 0.1


@pytest.mark.slow
def test_a_gigabyte_in_64_megabytes(tmp_path):
    """Runs each mode in a process of its own, because the system counts the peak of a process's memory."""
    program = """
import asyncio, hashlib, resource, socket, sys, threading
from pathlib import Path
from tests.service import Service
from wechatpay_chain import Client

size, mode, to = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
chunk = bytes(range(256)) * 4096
listening = socket.create_server(("127.0.0.1", 0))

def serve():
    connection, _ = listening.accept()
    while not connection.recv(65536).endswith(b"\\r\\n\\r\\n"):
        pass
    connection.sendall(f"HTTP/1.1 200 OK\\r\\nContent-Length: {size}\\r\\n\\r\\n".encode())
    for _ in range(size // len(chunk)):
        connection.sendall(chunk)
    connection.close()

url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
digest = hashlib.sha1()
for _ in range(size // len(chunk)):
    digest.update(chunk)
announcement = {"download_url": f"{url}v3/billdownload/file", "hash_type": "SHA1", "hash_value": digest.hexdigest()}
client = Client(**Service().settings(url), proxies={})
if mode == "sync":
    import requests
else:
    import aiohttp
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
threading.Thread(target=serve, daemon=True).start()
client.download(announcement, to) if mode == "sync" else asyncio.run(client.download_async(announcement, to))
assert to.stat().st_size == size
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    for mode in ("sync", "async"):
        run = subprocess.run(
            [sys.executable, "-c", program, str(1 << 30), mode, tmp_path / "bill.csv"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert run.returncode == 0, run.stderr
        assert int(run.stdout) < 64, f"{mode}: {run.stdout} MB"
        (tmp_path / "bill.csv").unlink()


@given(
    content=st.lists(st.binary(max_size=30), max_size=8).map(b"".join),
    is_compressed=st.booleans(),
    gunzip=st.booleans(),
    is_encrypted=st.booleans(),
    has_digest=st.booleans(),
)
def test_a_file_in_small_chunks_is_saved_whole(content, is_compressed, gunzip, is_encrypted, has_digest):
    if not is_compressed and content.startswith(b"\x1f\x8b"):
        return
    sent = gzip.compress(content) if is_compressed else content
    key = (b"k" * 32, b"n" * 16) if is_encrypted else None
    size = 7
    octets = AESGCM(key[0]).encrypt(key[1], sent, None) if key else sent
    out = io.BytesIO()
    sink = DownloadSink(out, digest=("SHA1", sha1(content)) if has_digest else None, key=key, gunzip=gunzip)
    sink.begin(Headers({"Content-Length": str(len(octets))}))
    for at in range(0, len(octets), size):
        sink.write(octets[at : at + size])
    response = Response(200, Headers({}), b"", Request("GET", "a", "https://a", "/a", Headers({}), b"", (1, 1)))
    sink.finish(response)
    assert out.getvalue() == (content if gunzip or not is_compressed else sent)


@given(octets=st.binary(max_size=200), gunzip=st.booleans(), is_encrypted=st.booleans())
def test_any_invalid_content_raises_an_error_of_the_package(octets, gunzip, is_encrypted):
    sink = DownloadSink(
        io.BytesIO(), digest=("SM3", "00"), key=(b"k" * 32, b"n" * 16) if is_encrypted else None, gunzip=gunzip
    )
    response = Response(200, Headers({}), b"", Request("GET", "a", "https://a", "/a", Headers({}), b"", (1, 1)))

    def save(compressed):
        sink.begin(Headers({"Content-Length": "x"}))
        sink.write(compressed)
        sink.finish(response)

    for compressed in (octets, gzip.compress(octets) + octets):
        with pytest.raises(WeChatPayError):
            save(compressed)


def test_a_download_that_is_cancelled_leaves_the_open_file_alone(service, client, wire, tmp_path):
    announcement = serve_file(service, wire, content=gzip.compress(bytes(150 << 20)), hash_value=sha1(bytes(150 << 20)))

    async def main(file) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.download_async(announcement, file, gunzip=True), 0.05)
        file.seek(0)
        file.truncate()
        await asyncio.sleep(0.3)
        await client.aclose()

    with (tmp_path / "a").open("w+b") as file:
        asyncio.run(main(file))
    assert (tmp_path / "a").stat().st_size == 0
