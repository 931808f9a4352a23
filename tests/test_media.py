"""Uploads: what is signed, what is sent, and what is refused before."""

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
    """The parts of a multipart body, taken apart by the letter of RFC 2046."""
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w+)", received.header("Content-Type"))[1].encode()
    pieces = (b"\r\n" + received.body).split(b"\r\n--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    found = []
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append((dict(line.split(": ", 1) for line in head.decode().split("\r\n")), content))
    return found


def meta_of(received: Received) -> dict:
    return json.loads(parts(received)[0][1])


def signs_its_meta(received: Received, key) -> bool:
    said = received.credentials
    head = f"{received.method}\n{received.target}\n{said['timestamp']}\n{said['nonce_str']}\n"
    return rsa_verifies(key, said["signature"], head.encode() + parts(received)[0][1] + b"\n")


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
        self.rest = content

    def readable(self):
        return True

    def read(self, size=-1):
        taken, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
        return taken


@pytest.mark.parametrize("source", SOURCES)
def test_meta_comes_first_and_alone_is_signed(service, client, wire, send, picture, source):
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
def test_what_each_operation_asks_for_is_filled_in(service, client, wire, send, operation):
    path, given, part, name, expected, member, algorithm = operation
    variables = {"m": "123"} if "{m}" in path else {}
    send(client[path], "post", files={part: (name, PICTURE)}, json=given, **variables)
    received = wire.received[-1]
    digest = sm3(PICTURE) if algorithm == "sm3" else hashlib.sha256(PICTURE).hexdigest()
    assert meta_of(received) == {**expected, member: digest}
    assert f'name="{part}"; filename="{name}"' in parts(received)[1][0]["Content-Disposition"]
    assert signs_its_meta(received, service.merchant)


def test_what_the_caller_says_stays(client, wire, send):
    digest = hashlib.sha256(PICTURE).hexdigest().upper()
    meta = {"filename": "我的.png", "sha256": digest, "more": [1]}
    send(client.v3.merchant.media.upload, "post", files={"file": PICTURE}, json=meta)
    assert meta_of(wire.received[-1]) == meta
    assert 'filename="我的.png"' in parts(wire.received[-1])[1][0]["Content-Disposition"]


def test_an_operation_that_is_not_listed(client, wire, send):
    """Nothing may refuse to be called because it is not listed."""
    send(client.v3.brand_new.upload, "post", files={"picture": ("a.xyz", b"abc")})
    assert meta_of(wire.received[-1]) == {"filename": "a.xyz", "sha256": hashlib.sha256(b"abc").hexdigest()}
    send(client.v3.brand_new.upload, "post", files={"picture": b"abc"}, json={"md5": "x"})
    assert meta_of(wire.received[-1]) == {"md5": "x"}
    asked = {"filename": None, "sha256": None, "sha1": None, "md5": None, "sm3": None, "else": None}
    send(client.v3.brand_new.upload, "post", files={"picture": ("a.b", b"abc")}, json=asked)
    assert meta_of(wire.received[-1]) == {
        "filename": "a.b",
        **{name: hashlib.new(name, b"abc").hexdigest() for name in ("sha256", "sha1", "md5")},
        "sm3": sm3(b"abc"),
        "else": None,
    }
    send(client.v3.brand_new.upload, "post", files={"picture": b"abc"}, json={"md5": "x"})
    assert parts(wire.received[-1])[1][0]["Content-Disposition"] == 'form-data; name="picture"; filename="file"'


def test_a_stream_is_sent_from_where_it_stands(client, wire, send):
    stream = io.BytesIO(b"skipped" + PICTURE)
    stream.seek(7)
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.png", stream)})
    assert parts(wire.received[-1])[1][1] == PICTURE


def test_a_large_file(client, wire, send, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(os.urandom(1 << 20) * 9)
    send(client.v3.marketing.bank.packages._p_.tasks, "post", p="1", files={"file": path}, json={})
    assert parts(wire.received[-1])[1][1] == path.read_bytes()


def test_a_sensitive_meta(client, wire, service, send):
    meta = {"merchant_contact_information": {"consultation_phone_number": Sensitive("0755-1")}}
    node = client.v3.marketing.shopping_receipt.shoppingreceipts
    send(node, "post", files={"file": ("a.png", PICTURE)}, json=meta)
    received = wire.received[-1]
    sealed = meta_of(received)["merchant_contact_information"]["consultation_phone_number"]
    from wechatpay_chain import crypto

    assert crypto.decrypt(sealed, service.public_key) == "0755-1"
    assert signs_its_meta(received, service.merchant)


def test_a_repeat_sends_the_file_again(service, wire, send, picture):
    answers = [None, service.signed()]
    wire.respond = lambda received: answers.pop(0)
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
    "a part's name": ({'a"b': b"a"}, None, "is not a valid part name"),
    "another part": ({"picture": ("a.png", b"a")}, None, "expected 'file', the part name of this operation"),
    "no such file": ({"file": "/nowhere/a.png"}, None, "'file' cannot be read: No such file"),
    "a folder": ({"file": "/"}, None, "'file' cannot be read"),
    "a NUL": ({"file": "a\0.png"}, None, "'file' cannot be read"),
    "a number": ({"file": 3}, None, "came as a int"),
    "three": ({"file": ("a", b"b", "c")}, None, "expected a pair"),
    "no name": ({"file": b"abc"}, None, "came with the suffix ''"),
    "a suffix": ({"file": ("a.gif", b"abc")}, None, "came with the suffix 'gif'; expected .* jpg, jpeg, bmp, png, pdf"),
    "no suffix": ({"file": ("png", b"abc")}, {"filename": ""}, "came with the suffix ''"),
    "nothing": ({"file": ("a.png", b"")}, None, "'file' is empty"),
    "too large": ({"file": ("a.png", bytes((5 << 20) + 1))}, None, "has 5242881 bytes; expected at most 5242880"),
    "another digest": ({"file": ("a.png", b"abc")}, {"sha256": "0" * 64}, "'sha256' is not the SHA256 of the file"),
    "a meta that is none": ({"file": ("a.png", b"abc")}, ["a"], "json: came a list with files="),
    "a name that is none": ({"file": b"abc"}, {"filename": 3}, "json: the file name came as a int"),
    "half a character": ({"file": ("\ud800.png", b"abc")}, None, "surrogate"),
    "a second meta": ({"meta": ("a.png", b"abc")}, None, "'meta' is not a valid part name"),
    "text": ({"file": ("a.png", io.StringIO("abc"))}, None, "open in text mode|cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_refused_before_it_is_sent(client, wire, send, fault):
    files, meta, words = FAULTS[fault]
    with pytest.raises(ArgumentError, match=words):
        send(client.v3.merchant.media.upload, "post", files=files, json=meta)
    assert not wire.received


def test_largest_that_fits(client, send):
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.pdf", bytes(int(7.5 * (1 << 20))))})


def test_a_stream_that_was_closed(client, picture):
    file = picture.open("rb")
    file.close()
    with pytest.raises(ArgumentError, match="cannot be read: ValueError"):
        client.v3.merchant.media.upload.post(files={"file": file})


@pytest.mark.parametrize("change", ["shorter", "gone"])
def test_a_file_that_changes_meanwhile(client, wire, service, send, picture, change):
    def spoil(request):
        picture.write_bytes(b"x") if change == "shorter" else picture.unlink()
        response = yield request
        return response

    client.middleware.insert_after("sign", "spoil", spoil)
    with pytest.raises(ArgumentError, match=r"later; do not change it|cannot be read"):
        send(client.v3.merchant.media.upload, "post", files={"file": picture})


def test_a_file_is_streamed_from_where_it_lies(tmp_path):
    """Never more than a piece of it is in memory."""
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
def test_whatever_comes_is_sent_whole_or_refused(name, content, meta, part, path):
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


def test_a_file_without_a_suffix_limit_is_spooled_nowhere():
    with tempfile.TemporaryFile() as file:
        file.write(PICTURE)
        file.seek(0)
        text, body = encode_upload("/v3/x", open_file({"file": file}), {"a": 1})
        assert text == b'{"a":1}'
        assert PICTURE in b"".join(body.chunks())


class Lavish(io.BytesIO):
    """Gives more than it is asked for."""

    def read(self, size=-1):
        return super().read(size) + (b"POST /v3/smuggled HTTP/1.1\r\n\r\n" if size > 0 else b"")


def test_a_stream_that_gives_too_much_writes_nothing_beyond_its_end(client, wire, send):
    with pytest.raises(ArgumentError, match="more than was requested"):
        send(client.v3.unlisted, "post", files={"file": ("a", Lavish(b"abc"))}, json={})
    assert len(wire.received) <= 1
    assert all(len(received.body) < int(received.header("Content-Length")) for received in wire.received)


def test_a_file_that_does_not_tell_its_size(client, wire, send):
    from pathlib import Path

    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("the system has no such files")
    send(client.v3.unlisted, "post", files={"file": path}, json={})
    assert parts(wire.received[-1])[1][1] == path.read_bytes()


def test_a_pipe_that_has_nothing_yet(client, wire, send):
    class Waiting(Pipe):
        def read(self, size=-1):
            return None

    with pytest.raises(ArgumentError, match="text mode or non-blocking"):
        send(client.v3.unlisted, "post", files={"file": ("a", Waiting(b""))}, json={})


def test_a_pipe_is_read_to_its_end(client, wire, send):
    class Dripping(Pipe):
        def read(self, size=-1):
            return super().read(7)

    send(client.v3.unlisted, "post", files={"file": ("a", Dripping(PICTURE))}, json={})
    assert parts(wire.received[-1])[1][1] == PICTURE


def test_none_is_filled_in(client, wire, send):
    send(
        client.v3.merchant.media.upload,
        "post",
        files={"file": ("a.png", PICTURE)},
        json={"sha256": None, "filename": None},
    )
    assert meta_of(wire.received[-1]) == {"filename": "a.png", "sha256": hashlib.sha256(PICTURE).hexdigest()}


def test_a_name_cannot_end_its_quotes(client, wire, send):
    send(client.v3.unlisted, "post", files={"file": ('a\\"\r\nb\\', PICTURE)}, json={})
    assert parts(wire.received[-1])[1][0]["Content-Disposition"] == (
        'form-data; name="file"; filename="a%5C%22%0D%0Ab%5C"'
    )


def test_reading_for_a_sealed_meta_holds_up_no_loop(client):
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


def test_a_view_of_wide_items_is_sent_whole(client, wire, send):
    import array

    view = memoryview(array.array("I", range(1000)))
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.png", view)})
    assert parts(wire.received[-1])[1][1] == bytes(view)


def test_options_that_a_verb_does_not_have(client):
    from wechatpay_chain import PathVariableError

    with pytest.raises(PathVariableError, match="files= is not for this verb"):
        client.v3.x.put(files={"file": b"a"})
    with pytest.raises(PathVariableError, match="a GET may always be repeated"):
        client.v3.x.get(idempotent=True)
    with pytest.raises(ArgumentError, match="idempotent: came 1; expected True or False"):
        client.v3.x.post(idempotent=1)


def test_a_cancelled_upload_has_finished_with_its_file(client):
    """Its user may close the file, or read it, as soon as the task has ended."""
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
