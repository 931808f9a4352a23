"""Downloads: bills and receipts, streamed, proven, whole or not there."""

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


def names(folder):
    return [path.name for path in folder.iterdir()]


def sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def sm3(content: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize().hex()


@pytest.fixture
def fetch(request, client):
    """Downloads in either mode."""

    def fetched(source, to, *, using=client, **options):
        if request.param == "sync":
            return using.download(source, to, **options)
        return asyncio.run(using.download_async(source, to, **options))

    return fetched


both = pytest.mark.parametrize("fetch", ["sync", "async"], indirect=True)


def serving(service, wire, content=BILL, url=f"{API}/v3/billdownload/file?token=a%2Fb&tartype=gzip", **told):
    """A service that announces a file and has it; returns what it announces."""
    announcement = {"download_url": url, "hash_type": "SHA1", "hash_value": sha1(BILL), **told}
    announcement = {name: value for name, value in announcement.items() if value is not None}

    def answer(received):
        if "download" in received.target or "statements" in received.target:
            return Reply(200, {"Content-Type": "text/plain"}, content)
        return service.signed(json_body(announcement))

    wire.respond = answer
    return announcement


@both
def test_a_bill_from_its_announcement(service, client, wire, fetch, tmp_path):
    serving(service, wire)
    to = tmp_path / "bill.csv"
    seen = []
    bill = client.v3.bill.tradebill.get(params={"bill_date": "2026-01-01"})
    response = fetch(bill, to, progress=lambda received, total: seen.append((received, total)))
    assert to.read_bytes() == BILL
    assert to.stat().st_mode & 0o777 == 0o600
    assert (response.status_code, response.content) == (200, b"")
    received = wire.received[-1]
    assert received.target == "/v3/billdownload/file?token=a%2Fb&tartype=gzip", "as it was announced"
    assert received.is_signed_by(service.merchant)
    assert received.header("Accept") == "*/*"
    assert seen[-1] == (len(BILL), len(BILL))
    assert [count for count, _ in seen] == sorted({count for count, _ in seen})
    assert names(tmp_path) == ["bill.csv"]


@both
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SM3"])
@pytest.mark.parametrize("upper", [False, True])
def test_digests(service, client, wire, fetch, tmp_path, algorithm, upper):
    value = {"SHA1": sha1, "SHA256": lambda octets: hashlib.sha256(octets).hexdigest(), "SM3": sm3}[algorithm](BILL)
    told = serving(service, wire, hash_type=algorithm, hash_value=value.upper() if upper else value)
    fetch(told, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == BILL


@both
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SM3"])
def test_another_file_than_was_announced(service, client, wire, fetch, tmp_path, algorithm):
    told = serving(service, wire, content=BILL + b" ", hash_type=algorithm)
    (tmp_path / "bill.csv").write_text("before")
    with pytest.raises(SignatureError) as caught:
        fetch(told, tmp_path / "bill.csv")
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert (tmp_path / "bill.csv").read_text() == "before"
    assert names(tmp_path) == ["bill.csv"]


@both
def test_a_packed_bill(service, client, wire, fetch, tmp_path):
    """The digest is that of what is packed, whether it is to be unpacked or not."""
    packed = gzip.compress(BILL)
    told = serving(service, wire, content=packed)
    fetch(told, tmp_path / "bill.csv.gz")
    fetch(told, tmp_path / "bill.csv", gunzip=True)
    assert (tmp_path / "bill.csv.gz").read_bytes() == packed
    assert (tmp_path / "bill.csv").read_bytes() == BILL
    told = serving(service, wire, content=BILL)
    fetch(told, tmp_path / "plain.csv", gunzip=True)
    assert (tmp_path / "plain.csv").read_bytes() == BILL


@both
def test_packed_without_a_digest(service, client, wire, fetch, tmp_path):
    packed = gzip.compress(BILL[:900]) + gzip.compress(BILL[900:])
    url = serving(service, wire, content=packed)["download_url"]
    fetch(url, tmp_path / "a.gz")
    fetch(url, tmp_path / "a", gunzip=True)
    assert (tmp_path / "a.gz").read_bytes() == packed
    assert (tmp_path / "a").read_bytes() == BILL


@both
@pytest.mark.parametrize("fault", ["cut", "altered", "tail"])
def test_packed_badly(service, client, wire, fetch, tmp_path, fault):
    packed = gzip.compress(BILL)
    content = {"cut": packed[:-9], "altered": packed[:60] + b"\0\0\0\0" + packed[64:], "tail": packed + b"tail"}[fault]
    serving(service, wire, content=content)
    for source in (f"{API}/v3/billdownload/file", serving(service, wire, content=content)):
        with pytest.raises((TransportError, SignatureError)):
            fetch(source, tmp_path / "bill.csv", gunzip=True)
    assert names(tmp_path) == []


@both
def test_what_swells_does_not_fill_the_memory(service, client, wire, fetch, tmp_path):
    import tracemalloc

    content = gzip.compress(bytes(100 << 20))
    url = serving(service, wire, content=content)["download_url"]
    tracemalloc.start()
    try:
        fetch(url, tmp_path / "a", gunzip=True)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a").stat().st_size == 100 << 20


@both
def test_a_connection_that_breaks_leaves_nothing(service, client, wire, fetch, tmp_path):
    told = serving(service, wire)
    wire.respond = lambda received: Reply(200, {"Content-Length": str(len(BILL))}, BILL[:5000]).octets
    with pytest.raises(TransportError) as caught:
        fetch(told, tmp_path / "bill.csv")
    assert caught.value.sent is True
    assert names(tmp_path) == []


@both
def test_a_broken_download_is_begun_again(service, wire, fetch, tmp_path):
    told = serving(service, wire)
    answers = [Reply(200, {"Content-Length": str(len(BILL))}, BILL[:5000]).octets, Reply(503), Reply(200, {}, BILL)]
    wire.respond = lambda received: answers.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        fetch(told, tmp_path / "bill.csv", using=client)
    assert (tmp_path / "bill.csv").read_bytes() == BILL
    assert len(wire.received) == 3


@both
def test_nothing_is_left_of_a_broken_attempt_that_came_further(service, wire, fetch, tmp_path):
    told = serving(service, wire)
    answers = [Reply(200, {"Content-Length": "4000000"}, bytes(3_000_000)).octets, Reply(200, {}, BILL)]
    wire.respond = lambda received: answers.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        fetch(told, tmp_path / "bill.csv", using=client)
    assert (tmp_path / "bill.csv").read_bytes() == BILL


@both
def test_what_went_into_an_open_file_is_not_begun_again(service, wire, fetch):
    told = serving(service, wire)
    wire.respond = lambda received: Reply(200, {"Content-Length": str(len(BILL))}, BILL[:5000]).octets
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        with pytest.raises(TransportError):
            fetch(told, io.BytesIO(), using=client)
    assert len(wire.received) == 1


@both
def test_an_open_file(service, client, wire, fetch, tmp_path):
    told = serving(service, wire)
    stream = io.BytesIO()
    fetch(told, stream)
    assert stream.getvalue() == BILL
    with (tmp_path / "raw").open("wb", buffering=0) as raw:
        fetch(told, raw)
    assert (tmp_path / "raw").read_bytes() == BILL


def sealed(service, key=None, nonce="a8607ef79034c49c", content=BILL):
    """A sub-merchant's bill, as its announcement and its file."""
    key = secrets.token_bytes(32) if key is None else key
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapped = base64.b64encode(service.merchant.public_key().encrypt(key, oaep)).decode()
    octets = AESGCM(key.ljust(32, b"\0")[:32]).encrypt(nonce.encode(), content, None)
    return {"bill_sequence": 1, "encrypt_key": wrapped, "nonce": nonce}, octets


@both
@pytest.mark.parametrize("is_packed", [False, True])
def test_an_encrypted_bill(service, client, wire, fetch, tmp_path, is_packed):
    told, content = sealed(service, content=gzip.compress(BILL) if is_packed else BILL)
    item = serving(service, wire, content=content, url=f"{API}/v3/bill/downloadurl?token=x", **told)
    body = json_body({"download_bill_count": 1, "download_bill_list": [item]})
    answer = wire.respond
    wire.respond = lambda received: answer(received) if "downloadurl" in received.target else service.signed(body)
    listed = client.v3.ecommerce.bill.fundflowbill.get(params={"algorithm": "AEAD_AES_256_GCM"})
    fetch(listed, tmp_path / "whole.csv", gunzip=True)
    fetch(listed.json()["download_bill_list"][0], tmp_path / "item.csv", gunzip=True)
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "item.csv").read_bytes() == BILL


@both
@pytest.mark.parametrize(
    "fault", ["altered", "cut", "another nonce", "another key", "a short key", "no ciphertext", "empty"]
)
def test_an_encrypted_bill_that_cannot_be_opened(service, client, wire, fetch, tmp_path, fault):
    told, content = sealed(service, key=b"short" if fault == "a short key" else None)
    if fault == "altered":
        content = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    elif fault in ("cut", "empty"):
        content = content[:-1] if fault == "cut" else b""
    elif fault == "another nonce":
        told["nonce"] = "b8607ef79034c49c"
    elif fault == "another key":
        told = {**sealed(service)[0], "nonce": told["nonce"]}
    elif fault == "no ciphertext":
        told["encrypt_key"] = "AAAA"
    # Even where the digest would be that of what comes out.
    told = serving(service, wire, content=content, hash_type=None, hash_value=None, **told)
    with pytest.raises(DecryptionError):
        fetch(told, tmp_path / "bill.csv")
    assert names(tmp_path) == []


SOURCES = {
    "no URL": ({"hash_type": "SHA1"}, "download_url is missing"),
    "a list": ([1], "came a list"),
    "a number": (3, "came a int"),
    "none of them": ({"download_bill_list": []}, "came 0 items; expected one"),
    "two of them": ({"download_bill_list": [{}, {}]}, "came 2 items; expected one"),
    "a list that is none": ({"download_bill_list": "x"}, "download_bill_list: came a str"),
    "half a digest": ({"download_url": f"{API}/a", "hash_value": "00"}, "hash_type and hash_value are incomplete"),
    "an unknown digest": ({"download_url": f"{API}/a", "hash_type": "MD4", "hash_value": "00"}, "hash_type"),
    "a digest that is none": ({"download_url": f"{API}/a", "hash_type": "SHA1", "hash_value": "xyz"}, "hash_type"),
    "half a key": ({"download_url": f"{API}/a", "encrypt_key": "00"}, "encrypt_key and nonce are incomplete"),
    "http": ("http://api.mch.weixin.qq.com/a", "cannot be used; expected https"),
    "ftp": ("ftp://api.mch.weixin.qq.com/a", "cannot be used; expected https"),
    "a file": ("file:///etc/passwd", "cannot be used; expected https"),
    "a user": ("https://a:b@api.mch.weixin.qq.com/a", "cannot be used; expected https"),
    "a path": ("/v3/billdownload/file", "cannot be used; expected https"),
    "no host": ("https:///a", "cannot be used; expected https"),
    "a port": ("https://a.example:99999/", "cannot be used; expected https"),
}  # fmt: skip


@both
@pytest.mark.parametrize("source", SOURCES)
def test_sources_that_announce_nothing(client, wire, fetch, tmp_path, source):
    given, words = SOURCES[source]
    with pytest.raises(ArgumentError, match=words):
        fetch(given, tmp_path / "a")
    assert not wire.received
    assert names(tmp_path) == []


@both
def test_targets_that_cannot_be_written(client, wire, fetch, tmp_path):
    for to, words in (
        (tmp_path, "which is a folder"),
        (tmp_path / "no" / "a", "No such file"),
        ("", "which is a folder"),
        ("a\0b", "not a path"),
        (3, "came a int"),
        (None, "came a NoneType"),
    ):
        with pytest.raises(ArgumentError, match=words):
            fetch(f"{API}/v3/billdownload/file", to)
    assert not wire.received


@both
def test_a_full_disk_is_no_broken_connection(service, client, wire, fetch):
    told = serving(service, wire)

    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, octets):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetch(told, Full())


@both
def test_progress_may_end_it(service, client, wire, fetch, tmp_path):
    told = serving(service, wire)

    def enough(received, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(told, tmp_path / "a", progress=enough)
    assert names(tmp_path) == []


@both
def test_an_error_answer_is_raised_as_one(client, wire, fetch, tmp_path):
    wire.respond = lambda received: Reply(404, {}, json_body({"code": "RESOURCE_NOT_EXISTS"}))
    with pytest.raises(NotFoundError) as caught:
        fetch(f"{API}/v3/billdownload/file", tmp_path / "a")
    assert caught.value.code == "RESOURCE_NOT_EXISTS"
    assert names(tmp_path) == []


@both
def test_what_is_neither_signed_nor_announced_with_a_digest_is_not_kept(service, client, wire, fetch, tmp_path):
    wire.respond = lambda received: Reply(200, {}, BILL)
    with pytest.raises(SignatureError):
        fetch(f"{API}/v3/some/other", tmp_path / "a")
    assert names(tmp_path) == []
    told = {"download_url": f"{API}/v3/some/other", "hash_type": "SHA1", "hash_value": sha1(BILL)}
    fetch(told, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BILL


@both
@pytest.mark.parametrize("fault", ["", "text", "digest"])
def test_a_statement_is_proven_by_its_signed_digest(service, client, wire, fetch, tmp_path, fault):
    digest = sha1(BILL)
    headers = service.signature(b'{"sha1":"' + digest.encode() + b'"}')
    shown = "0" * 40 if fault == "digest" else digest
    content = BILL + b" " if fault == "text" else BILL
    wire.respond = lambda received: Reply(200, {**headers, "Wechatpay-Statement-Sha1": shown}, content)
    url = f"{API}/hk/v3/statements?date=20260101"
    if fault:
        with pytest.raises(SignatureError):
            fetch(url, tmp_path / "a")
        assert names(tmp_path) == []
    else:
        fetch(url, tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == BILL


@both
def test_another_host_is_not_told_who_asks(service, wire, authority, fetch, tmp_path):
    """An invoice lies on a host that is none of the API's."""
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


def test_where_files_lie():
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


@both
@pytest.mark.parametrize("path", ["v3/some/signed/report", "v3/global/statements?date=1"])
def test_a_signature_of_nothing_proves_no_file(service, client, wire, fetch, tmp_path, path):
    """The signature of a 204 is over an empty body, and what went into a file is not held to be verified."""
    wire.respond = lambda received: Reply(200, service.signature(b""), b"FORGED,BILL\n")
    with pytest.raises(SignatureError):
        fetch(f"{API}/{path}", tmp_path / "a")
    assert names(tmp_path) == []


@both
@pytest.mark.parametrize(
    "answer",
    [
        Reply(204),
        Reply(202),
        Reply(206, {}, b"half"),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst half of a bi",
        Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(BILL)[:-50]),
        Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(BILL)),
        Reply(200, {"Content-Length": "9" * 5000}, b"").octets,
    ],
    ids=["204", "202", "206", "no length", "cut in transit", "packed in transit", "a number without end"],
)
def test_what_is_no_whole_file_replaces_none(client, wire, fetch, tmp_path, answer):
    (tmp_path / "bill.csv").write_text("yesterday's")
    wire.respond = lambda received: answer
    with pytest.raises(TransportError):
        fetch(f"{API}/v3/billdownload/file", tmp_path / "bill.csv")
    client.middleware.remove("errors")
    wire.respond = lambda received: Reply(404)
    with pytest.raises(TransportError, match="has the status 404 and no file"):
        fetch(f"{API}/v3/billdownload/file", tmp_path / "bill.csv")
    assert (tmp_path / "bill.csv").read_text() == "yesterday's"
    assert names(tmp_path) == ["bill.csv"]


@both
def test_an_open_file_never_gets_the_bytes_twice(service, client, wire, fetch):
    told = serving(service, wire)

    def twice(request):
        yield request
        response = yield request
        return response

    client.middleware.insert_after("retry", "twice", twice)
    with pytest.raises(TransportError, match="cannot be undone"):
        fetch(told, io.BytesIO())


@both
def test_open_files_that_take_nothing(service, client, wire, fetch):
    told = serving(service, wire)

    class Full(io.RawIOBase):
        def __init__(self, taken):
            self.taken = taken

        def writable(self):
            return True

        def write(self, octets):
            return self.taken if len(octets) else 0

    for taken in (0, None):
        with pytest.raises(OSError, match="accepts no more bytes"):
            fetch(told, Full(taken))
    with pytest.raises(ArgumentError, match="to: the open file cannot be written to"):
        fetch(told, io.StringIO())


def test_a_pipe_is_not_replaced_by_a_file(client, tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArgumentError, match="a folder or a device"):
        client.download(f"{API}/v3/billdownload/file", tmp_path / "pipe")


@both
def test_what_is_packed_badly_is_not_asked_for_again(service, wire, fetch, tmp_path):
    """A forged file is a failed proof, and no broken connection."""
    packed = bytearray(gzip.compress(BILL))
    packed[60:64] = bytes(4)
    told = serving(service, wire, content=bytes(packed))
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        with pytest.raises(SignatureError) as caught:
            fetch(told, tmp_path / "a", using=client)
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert len(wire.received) == 1


@both
def test_a_digest_of_a_broken_attempt_is_forgotten(service, wire, fetch, tmp_path):
    answers = [
        Reply(200, {"Content-Length": "99", "Wechatpay-Statement-Sha1": "0" * 40}, b"half").octets,
        Reply(200, {}, BILL),
    ]
    wire.respond = lambda received: answers.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        fetch(f"{API}/v3/billdownload/file", tmp_path / "a", using=client)
    assert (tmp_path / "a").read_bytes() == BILL


@both
def test_a_token_is_in_no_message(client, wire, fetch, tmp_path):
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


def test_unpacking_holds_up_no_loop(service, client, wire, tmp_path):
    told = serving(service, wire, content=gzip.compress(bytes(200 << 20)), hash_value=sha1(bytes(200 << 20)))

    async def main() -> float:
        longest, done = 0.0, asyncio.Event()

        async def beat():
            nonlocal longest
            while not done.is_set():
                began = asyncio.get_running_loop().time()
                await asyncio.sleep(0.005)
                longest = max(longest, asyncio.get_running_loop().time() - began - 0.005)

        beating = asyncio.create_task(beat())
        await client.download_async(told, tmp_path / "a", gunzip=True)
        done.set()
        await beating
        return longest

    assert asyncio.run(main()) < 0.25


@pytest.mark.slow
def test_a_gigabyte_in_64_megabytes(tmp_path):
    """A server and a client of their own; what the client's process takes at the most is what the system counts."""
    program = """
import asyncio, hashlib, resource, socket, sys, threading
from pathlib import Path
from tests.service import Service
from wechatpay_chain import Client

size, mode, to = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
piece = bytes(range(256)) * 4096
listening = socket.create_server(("127.0.0.1", 0))

def serve():
    connection, _ = listening.accept()
    while not connection.recv(65536).endswith(b"\\r\\n\\r\\n"):
        pass
    connection.sendall(f"HTTP/1.1 200 OK\\r\\nContent-Length: {size}\\r\\n\\r\\n".encode())
    for _ in range(size // len(piece)):
        connection.sendall(piece)
    connection.close()

url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
digest = hashlib.sha1()
for _ in range(size // len(piece)):
    digest.update(piece)
told = {"download_url": f"{url}v3/billdownload/file", "hash_type": "SHA1", "hash_value": digest.hexdigest()}
client = Client(**Service().settings(url), proxies={})
if mode == "sync":
    import requests
else:
    import aiohttp
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
threading.Thread(target=serve, daemon=True).start()
client.download(told, to) if mode == "sync" else asyncio.run(client.download_async(told, to))
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
    pieces=st.lists(st.binary(max_size=30), max_size=8),
    is_packed=st.booleans(),
    gunzip=st.booleans(),
    is_sealed=st.booleans(),
    has_digest=st.booleans(),
)
def test_however_it_is_cut_into_pieces(pieces, is_packed, gunzip, is_sealed, has_digest):
    content = b"".join(pieces)
    if not is_packed and content.startswith(b"\x1f\x8b"):
        return
    sent = gzip.compress(content) if is_packed else content
    key = (b"k" * 32, b"n" * 16) if is_sealed else None
    cut = 7
    octets = AESGCM(key[0]).encrypt(key[1], sent, None) if key else sent
    out = io.BytesIO()
    saving = DownloadSink(out, digest=("SHA1", sha1(content)) if has_digest else None, key=key, gunzip=gunzip)
    saving.begin(Headers({"Content-Length": str(len(octets))}))
    for at in range(0, len(octets), cut):
        saving.write(octets[at : at + cut])
    answer = Response(200, Headers({}), b"", Request("GET", "a", "https://a", "/a", Headers({}), b"", (1, 1)))
    saving.finish(answer)
    assert out.getvalue() == (content if gunzip or not is_packed else sent)


@given(octets=st.binary(max_size=200), gunzip=st.booleans(), is_sealed=st.booleans())
def test_whatever_comes_is_our_own_error(octets, gunzip, is_sealed):
    saving = DownloadSink(
        io.BytesIO(), digest=("SM3", "00"), key=(b"k" * 32, b"n" * 16) if is_sealed else None, gunzip=gunzip
    )
    answer = Response(200, Headers({}), b"", Request("GET", "a", "https://a", "/a", Headers({}), b"", (1, 1)))

    def attempt(packed):
        saving.begin(Headers({"Content-Length": "x"}))
        saving.write(packed)
        saving.finish(answer)

    for packed in (octets, gzip.compress(octets) + octets):
        with pytest.raises(WeChatPayError):
            attempt(packed)


def test_a_download_that_is_cancelled_leaves_the_open_file_alone(service, client, wire, tmp_path):
    told = serving(service, wire, content=gzip.compress(bytes(150 << 20)), hash_value=sha1(bytes(150 << 20)))

    async def main(file) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.download_async(told, file, gunzip=True), 0.05)
        file.seek(0)
        file.truncate()
        await asyncio.sleep(0.3)
        await client.aclose()

    with (tmp_path / "a").open("w+b") as file:
        asyncio.run(main(file))
    assert (tmp_path / "a").stat().st_size == 0
