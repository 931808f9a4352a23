"""Uploads sign their meta, stream their file, and are refused before they are sent if something does not fit."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Received, rsa_verifies, wakeups_during
from wechatpay_chain import ArgumentError, Client, Retry, Sensitive
from wechatpay_chain._files.source import open_file
from wechatpay_chain._files.upload import encode_upload

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40 + b"\r\n--\r\n"


def sm3(content: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize().hex()


def parts(received: Received) -> list[tuple[dict[str, str], bytes]]:
    """Splits a multipart body into its parts, strictly by RFC 2046."""
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w+)", received.header("Content-Type"))[1].encode()
    chunks = (b"\r\n" + received.body).split(b"\r\n--" + boundary)
    assert chunks[0] == b""
    assert chunks[-1] == b"--\r\n"
    found = []
    for chunk in chunks[1:-1]:
        head, _, content = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append((dict(line.split(": ", 1) for line in head.decode().split("\r\n")), content))
    return found


def meta_of(received: Received) -> dict:
    return json.loads(parts(received)[0][1])


def signs_its_meta(received: Received, key) -> bool:
    credentials = received.credentials
    head = f"{received.method}\n{received.target}\n{credentials['timestamp']}\n{credentials['nonce_str']}\n"
    return rsa_verifies(key, credentials["signature"], head.encode() + parts(received)[0][1] + b"\n")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / '门店照片 "1".png'
    path.write_bytes(PICTURE)
    return path


SOURCES = {
    "path": lambda path: path,
    "text path": str,
    "bytes": lambda path: (path.name, path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "BytesIO": lambda path: (path.name, io.BytesIO(path.read_bytes())),
    "pipe": lambda path: (path.name, Pipe(path.read_bytes())),
    "memoryview": lambda path: (path.name, memoryview(path.read_bytes())),
}


class Pipe(io.RawIOBase):
    def __init__(self, content):
        self.unread = content

    def readable(self):
        return True

    def read(self, size=-1):
        chunk, self.unread = (self.unread, b"") if size < 0 else (self.unread[:size], self.unread[size:])
        return chunk


@pytest.mark.parametrize("source", SOURCES)
def test_the_meta_is_the_first_part_and_the_only_one_that_is_signed(service, client, wire, send, picture, source):
    given = SOURCES[source](picture)
    assert send(client.v3.merchant.media.upload, "post", files={"file": given}).status_code == 200
    if source == "open file":
        given.close()
    received = wire.received[-1]
    (meta_head, meta), (file_head, content) = parts(received)
    assert meta_head == {"Content-Disposition": 'form-data; name="meta"', "Content-Type": "application/json"}
    assert json.loads(meta) == {"filename": picture.name, "sha256": hashlib.sha256(PICTURE).hexdigest()}
    assert content == PICTURE
    assert file_head == {
        "Content-Disposition": 'form-data; name="file"; filename="门店照片 %221%22.png"',
        "Content-Type": "image/png",
    }
    assert received.header("Content-Length") == str(len(received.body))
    assert received.header("Transfer-Encoding") is None
    assert signs_its_meta(received, service.merchant)


OPERATIONS = [
    ("v3/merchant/media/upload", {}, "file", "a.jpg", {"filename": "a.jpg"}, "sha256", "sha256"),
    ("v3/merchant/media/video_upload", {}, "file", "a.rmvb", {"filename": "a.rmvb"}, "sha256", "sha256"),
    ("v3/marketing/favor/media/image-upload", {}, "file", "a.bmp", {"filename": "a.bmp"}, "sha256", "sha256"),
    ("v3/marketing/partner/product-coupon/media/upload-image", {}, "file", "a.PNG", {"filename": "a.PNG"}, "sha256",
     "sha256"),
    ("v3/merchant-service/images/upload", {}, "file", "a.jpeg", {"filename": "a.jpeg"}, "sha256", "sha256"),
    ("v3/global/merchant-service/images/upload", {}, "file", "a.jpeg", {"filename": "a.jpeg"}, "sha256", "sha256"),
    ("v3/global/merchant-storage/file/upload", {}, "file", "a.pdf", {"filename": "a.pdf"}, "digest", "sha256"),
    ("v3/ecommerce/account/cancel-applications/media", {}, "file", "a.png", {"file_name": "a.png"}, "file_digest",
     "sha256"),
    ("v3/mch-manage/submission-files/sub-mchid/{m}/upload", {"item_id": 56}, "submission_file", "a.doc",
     {"file_name": "a.doc", "item_id": 56}, "file_digest", "sha256"),
    ("v3/mch-operation-manage/enhanced-due-diligence/{m}/upload", {"sub_mchid": "1"}, "due_diligence_file", "a.png",
     {"file_name": "a.png", "sub_mchid": "1"}, "file_digest", "sha256"),
    ("v3/marketing/bank/packages/{m}/tasks", {"bank_type": "CFT"}, "file", "users.csv",
     {"filename": "users.csv", "bank_type": "CFT"}, "sha256", "sha256"),
    ("v3/marketing/shopping-receipt/shoppingreceipts", {"openid": "o"}, "file", "a.png", {"openid": "o"}, "sha256",
     "sha256"),
    ("v3/taxi-invoice/cards/upload-file", {"region_id": 310100}, "file", "a.pdf",
     {"region_id": 310100, "digest_algorithm": "DIGEST_ALGORITHM_SM3"}, "digest", "sm3"),
    ("v3/new-tax-control-fapiao/fapiao-applications/upload-fapiao-file", {}, "file", "a.ofd",
     {"file_type": "OFD", "digest_alogrithm": "SM3"}, "digest", "sm3"),
]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation[0])
def test_the_members_that_an_operation_requires_are_filled_in(service, client, wire, send, operation):
    path, given, part, name, expected, member, algorithm = operation
    variables = {"m": "123"} if "{m}" in path else {}
    send(client[path], "post", files={part: (name, PICTURE)}, json=given, **variables)
    received = wire.received[-1]
    digest = sm3(PICTURE) if algorithm == "sm3" else hashlib.sha256(PICTURE).hexdigest()
    assert meta_of(received) == {**expected, member: digest}
    assert f'name="{part}"; filename="{name}"' in parts(received)[1][0]["Content-Disposition"]
    assert signs_its_meta(received, service.merchant)


def test_members_that_the_caller_sets_are_not_changed(client, wire, send):
    digest = hashlib.sha256(PICTURE).hexdigest().upper()
    meta = {"filename": "我的.png", "sha256": digest, "more": [1]}
    send(client.v3.merchant.media.upload, "post", files={"file": PICTURE}, json=meta)
    assert meta_of(wire.received[-1]) == meta
    assert 'filename="我的.png"' in parts(wire.received[-1])[1][0]["Content-Disposition"]


def test_an_operation_that_is_not_in_the_catalogue_can_be_called(client, wire, send):
    """WeChat Pay may add an operation at any time, and it can be called without an update of the package."""
    send(client.v3.brand_new.upload, "post", files={"picture": ("a.xyz", b"abc")})
    assert meta_of(wire.received[-1]) == {"filename": "a.xyz", "sha256": hashlib.sha256(b"abc").hexdigest()}
    send(client.v3.brand_new.upload, "post", files={"picture": b"abc"}, json={"md5": "x"})
    assert meta_of(wire.received[-1]) == {"md5": "x"}
    names_to_fill_in = {"filename": None, "sha256": None, "sha1": None, "md5": None, "sm3": None, "else": None}
    send(client.v3.brand_new.upload, "post", files={"picture": ("a.b", b"abc")}, json=names_to_fill_in)
    assert meta_of(wire.received[-1]) == {
        "filename": "a.b",
        **{name: hashlib.new(name, b"abc").hexdigest() for name in ("sha256", "sha1", "md5")},
        "sm3": sm3(b"abc"),
        "else": None,
    }
    send(client.v3.brand_new.upload, "post", files={"picture": b"abc"}, json={"md5": "x"})
    assert parts(wire.received[-1])[1][0]["Content-Disposition"] == 'form-data; name="picture"; filename="file"'


def test_a_stream_is_sent_from_its_current_position(client, wire, send):
    stream = io.BytesIO(b"skipped" + PICTURE)
    stream.seek(7)
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.png", stream)})
    assert parts(wire.received[-1])[1][1] == PICTURE


def test_a_large_file_is_sent_whole(client, wire, send, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(os.urandom(1 << 20) * 9)
    send(client.v3.marketing.bank.packages._p_.tasks, "post", p="1", files={"file": path}, json={})
    assert parts(wire.received[-1])[1][1] == path.read_bytes()


def test_a_sensitive_value_in_the_meta_is_encrypted(client, wire, service, send):
    meta = {"merchant_contact_information": {"consultation_phone_number": Sensitive("0755-1")}}
    node = client.v3.marketing.shopping_receipt.shoppingreceipts
    send(node, "post", files={"file": ("a.png", PICTURE)}, json=meta)
    received = wire.received[-1]
    encrypted = meta_of(received)["merchant_contact_information"]["consultation_phone_number"]
    from wechatpay_chain import crypto

    assert crypto.decrypt(encrypted, service.public_key) == "0755-1"
    assert signs_its_meta(received, service.merchant)


def test_a_retry_sends_the_file_again(service, wire, send, picture):
    replies = [None, service.signed()]
    wire.respond = lambda received: replies.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0)}) as client:
        send(client.v3.merchant.media.upload, "post", files={"file": picture}, idempotent=True)
    first, second = (parts(received)[1][1] for received in wire.received)
    assert first == second == PICTURE


def test_a_path_variable_cannot_be_called_files(client):
    with pytest.raises(ArgumentError, match="files: came a str; expected one file"):
        client.v3.x.post(files="a")


FAULTS = {
    "no file": ({}, None, "came 0 files"),
    "two files": ({"file": b"a", "other": b"b"}, None, "came 2 files"),
    "a list": ([("file", b"a")], None, "came a list"),
    "an invalid part name": ({'a"b': b"a"}, None, "is not a valid part name"),
    "another part name": ({"picture": ("a.png", b"a")}, None, "expected 'file', the part name of this operation"),
    "a missing file": ({"file": "/nowhere/a.png"}, None, "'file' cannot be read: No such file"),
    "a folder": ({"file": "/"}, None, "'file' cannot be read"),
    "a NUL": ({"file": "a\0.png"}, None, "'file' cannot be read"),
    "a number": ({"file": 3}, None, "came as a int"),
    "three items": ({"file": ("a", b"b", "c")}, None, "expected a pair"),
    "no file name": ({"file": b"abc"}, None, "came with the suffix ''"),
    "a wrong suffix": (
        {"file": ("a.gif", b"abc")},
        None,
        "came with the suffix 'gif'; expected .* jpg, jpeg, bmp, png, pdf",
    ),
    "no suffix": ({"file": ("png", b"abc")}, {"filename": ""}, "came with the suffix ''"),
    "an empty file": ({"file": ("a.png", b"")}, None, "'file' is empty"),
    "too large": ({"file": ("a.png", bytes((5 << 20) + 1))}, None, "has 5242881 bytes; expected at most 5242880"),
    "a wrong digest": ({"file": ("a.png", b"abc")}, {"sha256": "0" * 64}, "'sha256' is not the SHA256 of the file"),
    "a meta that is a list": ({"file": ("a.png", b"abc")}, ["a"], "json: came a list with files="),
    "a file name that is a number": ({"file": b"abc"}, {"filename": 3}, "json: the file name came as a int"),
    "a lone surrogate": ({"file": ("\ud800.png", b"abc")}, None, "surrogate"),
    "a part named meta": ({"meta": ("a.png", b"abc")}, None, "'meta' is not a valid part name"),
    "a text stream": ({"file": ("a.png", io.StringIO("abc"))}, None, "open in text mode|cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_upload_is_refused_before_it_is_sent(client, wire, send, fault):
    files, meta, words = FAULTS[fault]
    with pytest.raises(ArgumentError, match=words):
        send(client.v3.merchant.media.upload, "post", files=files, json=meta)
    assert not wire.received


def test_the_largest_pdf_is_accepted(client, send):
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.pdf", bytes(int(7.5 * (1 << 20))))})


def test_a_closed_stream_is_refused(client, picture):
    file = picture.open("rb")
    file.close()
    with pytest.raises(ArgumentError, match="cannot be read: ValueError"):
        client.v3.merchant.media.upload.post(files={"file": file})


@pytest.mark.parametrize("change", ["shorter", "gone"])
def test_a_file_that_changes_during_the_call_is_refused(client, wire, service, send, picture, change):
    def change_file(request):
        picture.write_bytes(b"x") if change == "shorter" else picture.unlink()
        response = yield request
        return response

    client.middleware.insert_after("sign", "change_file", change_file)
    with pytest.raises(ArgumentError, match=r"later; do not change it|cannot be read"):
        send(client.v3.merchant.media.upload, "post", files={"file": picture})


def test_a_file_is_streamed_from_disk(tmp_path):
    """Only a chunk of it is in memory at a time."""
    import tracemalloc

    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        body = encode_upload("/v3/marketing/bank/packages/1/tasks", open_file({"file": path}), {})[1]
        assert sum(map(len, body.chunks())) == body.length > 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


@given(
    name=st.text(max_size=40),
    content=st.binary(max_size=400),
    meta=st.none()
    | st.dictionaries(st.text(max_size=10), st.text(max_size=10) | st.integers() | st.none(), max_size=4),
    part=st.text(max_size=12) | st.just("file"),
    path=st.sampled_from([f"/{operation[0]}" for operation in OPERATIONS] + ["/v3/x"]),
)
def test_any_upload_is_sent_whole_or_refused(name, content, meta, part, path):
    try:
        text, body = encode_upload(path, open_file({part: (name, content)}), meta)
    except ArgumentError:
        return
    octets = b"".join(body.chunks())
    assert len(octets) == body.length
    sent = Received(b"POST / HTTP/1.1", [("Content-Type", body.content_type)], octets, 0)
    (_, first), (head, second) = parts(sent)
    assert (first, second) == (text, content)
    assert set(head) == {"Content-Disposition", "Content-Type"}


def test_an_open_file_without_a_name_is_encoded():
    with tempfile.TemporaryFile() as file:
        file.write(PICTURE)
        file.seek(0)
        text, body = encode_upload("/v3/x", open_file({"file": file}), {"a": 1})
        assert text == b'{"a":1}'
        assert PICTURE in b"".join(body.chunks())


class OverlongReads(io.BytesIO):
    """Returns more bytes than were requested."""

    def read(self, size=-1):
        return super().read(size) + (b"POST /v3/smuggled HTTP/1.1\r\n\r\n" if size > 0 else b"")


def test_nothing_is_sent_beyond_the_announced_length_of_a_stream(client, wire, send):
    with pytest.raises(ArgumentError, match="more than was requested"):
        send(client.v3.unlisted, "post", files={"file": ("a", OverlongReads(b"abc"))}, json={})
    assert len(wire.received) <= 1
    assert all(len(received.body) < int(received.header("Content-Length")) for received in wire.received)


def test_a_file_that_reports_size_zero_is_sent_whole(client, wire, send):
    from pathlib import Path

    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("this system has no /proc/version")
    send(client.v3.unlisted, "post", files={"file": path}, json={})
    assert parts(wire.received[-1])[1][1] == path.read_bytes()


def test_a_non_blocking_stream_is_refused(client, wire, send):
    class NonBlocking(Pipe):
        def read(self, size=-1):
            return None

    with pytest.raises(ArgumentError, match="text mode or non-blocking"):
        send(client.v3.unlisted, "post", files={"file": ("a", NonBlocking(b""))}, json={})


def test_a_pipe_is_read_to_its_end(client, wire, send):
    class ShortReads(Pipe):
        def read(self, size=-1):
            return super().read(7)

    send(client.v3.unlisted, "post", files={"file": ("a", ShortReads(PICTURE))}, json={})
    assert parts(wire.received[-1])[1][1] == PICTURE


def test_members_that_are_none_are_filled_in(client, wire, send):
    send(
        client.v3.merchant.media.upload,
        "post",
        files={"file": ("a.png", PICTURE)},
        json={"sha256": None, "filename": None},
    )
    assert meta_of(wire.received[-1]) == {"filename": "a.png", "sha256": hashlib.sha256(PICTURE).hexdigest()}


def test_a_file_name_cannot_close_its_quotes(client, wire, send):
    send(client.v3.unlisted, "post", files={"file": ('a\\"\r\nb\\', PICTURE)}, json={})
    assert parts(wire.received[-1])[1][0]["Content-Disposition"] == (
        'form-data; name="file"; filename="a%5C%22%0D%0Ab%5C"'
    )


def test_reading_a_file_for_an_encrypted_meta_does_not_block_the_loop(client):
    import asyncio
    import time

    class Slow(io.BytesIO):
        def read(self, size=-1):
            time.sleep(0.1 if size else 0)
            return super().read(size)

    files = {"file": ("a.png", Slow(PICTURE))}
    call = client.v3.marketing.shopping_receipt.shoppingreceipts.post_async(
        files=files, json={"phone": Sensitive("0755")}
    )
    assert asyncio.run(wakeups_during(call)) > 10


def test_a_memoryview_of_integers_is_sent_whole(client, wire, send):
    import array

    view = memoryview(array.array("I", range(1000)))
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.png", view)})
    assert parts(wire.received[-1])[1][1] == bytes(view)


def test_options_of_another_verb_are_refused(client):
    from wechatpay_chain import PathVariableError

    with pytest.raises(PathVariableError, match="files= is not for this verb"):
        client.v3.x.put(files={"file": b"a"})
    with pytest.raises(PathVariableError, match="a GET may always be repeated"):
        client.v3.x.get(idempotent=True)
    with pytest.raises(ArgumentError, match="idempotent: came 1; expected True or False"):
        client.v3.x.post(idempotent=1)


def test_a_cancelled_upload_no_longer_reads_its_file(client):
    """The caller may close or read the file as soon as the task has ended."""
    import asyncio
    import time

    class Slow(io.BytesIO):
        is_read = False

        def read(self, size=-1):
            self.is_read = True
            time.sleep(0.1)
            self.is_read = False
            return super().read(size)

    file = Slow(PICTURE)

    async def main():
        task = asyncio.create_task(client.v3.merchant.media.upload.post_async(files={"file": ("a.png", file)}))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not file.is_read

    asyncio.run(main())
