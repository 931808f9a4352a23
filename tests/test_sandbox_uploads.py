"""The sandbox takes an upload in every form in which the service takes it."""

from __future__ import annotations

import hashlib
import json
import secrets
import time

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from tests.service import rsa_sign

CONTENT = bytes(range(256)) + b"\r\n--not-the-boundary"
META = json.dumps({"filename": "a.png", "sha256": hashlib.sha256(CONTENT).hexdigest()}).encode()
FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + CONTENT
META_PART = b'Content-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n' + META


def body(*parts, before=b"", after=b"", boundary=b"x"):
    delimited = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return before + delimited + b"--" + boundary + b"--" + after


def upload(sandbox, octets, content_type="multipart/form-data; boundary=x", meta=META):
    known, target = sandbox.credentials, "/v3/merchant/media/upload"
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    message = f"POST\n{target}\n{timestamp}\n{nonce}\n".encode() + meta + b"\n"
    key = serialization.load_pem_private_key(known["private_key"].encode(), None)
    authorization = (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{known["mchid"]}",serial_no="{known["serial"]}",'
        f'nonce_str="{nonce}",timestamp="{timestamp}",signature="{rsa_sign(key, message)}"'
    )
    headers = {"Authorization": authorization, "Accept": "application/json", "Content-Type": content_type}
    response = requests.post(sandbox.base_url.rstrip("/") + target, data=octets, headers=headers, timeout=5)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("octets", "content_type"),
    [
        (body(META_PART, FILE), "multipart/form-data; boundary=x"),
        (body(FILE, META_PART), "multipart/form-data; boundary=x"),
        (body(META_PART, FILE, before=b"a preamble\r\n"), "multipart/form-data; boundary=x"),
        (body(META_PART, FILE, after=b"\r\nan epilogue\r\n"), "multipart/form-data; boundary=x"),
        (body(META_PART, FILE), 'multipart/form-data; boundary="x"'),
        (body(META_PART, FILE), "Multipart/Form-Data;charset=utf-8;boundary=x"),
        (body(META_PART, FILE), "multipart/form-data"),
        (body(FILE, META_PART, boundary=b"a b'()+_,-./:=?"), "multipart/form-data; boundary=\"a b'()+_,-./:=?\""),
        (body(META_PART.replace(b"Content-Disposition", b"content-disposition"), FILE), "multipart/form-data; boundary=x"),
        (body(META_PART, FILE.replace(b'"file"', b"file")), "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
def test_an_upload_is_accepted(sandbox, octets, content_type):
    status, answer = upload(sandbox, octets, content_type)
    assert (status, list(answer)) == (200, ["media_id"]), answer


def test_a_quoted_file_name_is_read(sandbox):
    meta = META.replace(b"a.png", b'a\\"b.png')
    parts = body(META_PART.replace(META, meta), FILE.replace(b'"a.png"', b'"a\\"b.png"'))
    assert upload(sandbox, parts, meta=meta)[0] == 200


@pytest.mark.parametrize(
    ("octets", "status", "code"),
    [
        (body(META_PART.replace(b'name="meta"', b'name="meta"; filename="meta.json"'), FILE), 401, "SIGN_ERROR"),
        (body(META_PART, FILE.replace(b"Content-Type: image/png\r\n", b"")), 400, "PARAM_ERROR"),
        (body(META_PART), 400, "PARAM_ERROR"),
        (body(META_PART, META_PART), 400, "PARAM_ERROR"),
        (body(FILE, FILE), 400, "PARAM_ERROR"),
        (body(META_PART, FILE, FILE), 400, "PARAM_ERROR"),
        (body(META_PART, FILE)[:-4], 400, "PARAM_ERROR"),
        (b"", 400, "PARAM_ERROR"),
    ],
)
def test_an_upload_is_refused(sandbox, octets, status, code):
    actual, answer = upload(sandbox, octets)
    assert (actual, answer["code"]) == (status, code)
