"""The sandbox takes an upload in every form in which the service takes it."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from tests.service import rsa_sign

TARGET = "/v3/merchant/media/upload"
CONTENT = bytes(range(256)) + b"\r\n--not-the-boundary"
META = json.dumps({"filename": "a.png", "sha256": hashlib.sha256(CONTENT).hexdigest()}).encode()
FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + CONTENT
META_PART = b'Content-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n' + META


def body(*parts, before=b"", after=b"", boundary=b"x"):
    delimited = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return before + delimited + b"--" + boundary + b"--" + after


def authorize(sandbox, meta):
    known = sandbox.credentials
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    message = f"POST\n{TARGET}\n{timestamp}\n{nonce}\n".encode() + meta + b"\n"
    key = serialization.load_pem_private_key(known["private_key"].encode(), None)
    authorization = (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{known["mchid"]}",serial_no="{known["serial"]}",'
        f'nonce_str="{nonce}",timestamp="{timestamp}",signature="{rsa_sign(key, message)}"'
    )
    return {"Authorization": authorization, "Accept": "application/json"}


def upload(sandbox, octets, content_type="multipart/form-data; boundary=x", meta=META):
    headers = {**authorize(sandbox, meta), "Content-Type": content_type}
    response = requests.post(sandbox.base_url.rstrip("/") + TARGET, data=octets, headers=headers, timeout=5)
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


def part(content, *headers):
    return "\r\n".join(headers).encode() + b"\r\n\r\n" + content


META_NAME = 'Content-Disposition: form-data; name="meta"'
FILE_NAME = 'Content-Disposition: form-data; name="file"; filename="a.png"'
JSON, PNG = "Content-Type: application/json", "Content-Type: image/png"
META_LENGTH, FILE_LENGTH = f"Content-Length: {len(META)}", f"Content-Length: {len(CONTENT)}"
# The boundary and the two parts as other SDKs write them.
FORMS = {
    "wechatpay-go": ("f00d" * 15, part(META, f"{META_NAME};", JSON), part(CONTENT, f"{FILE_NAME};", PNG)),
    "wechatpay-java": (
        "0b1e6d6a-21b3-4b0c-8c3e-0d4d5a8a9f10",
        part(META, META_NAME, f"{JSON}; charset=utf-8", META_LENGTH),
        part(CONTENT, FILE_NAME, PNG, FILE_LENGTH),
    ),
    "wechatpay-apache-httpclient": (
        "-_aZ09" * 6,
        part(META, META_NAME, f"{JSON}; charset=UTF-8", "Content-Transfer-Encoding: 8bit"),
        part(CONTENT, FILE_NAME, PNG, "Content-Transfer-Encoding: binary"),
    ),
    "wechatpay-php": (
        "9e1b" * 10,
        part(META, JSON, META_NAME, META_LENGTH),
        part(CONTENT, FILE_NAME, FILE_LENGTH, PNG),
    ),
    "EasyWeChat": (
        "gL1kQ3_x",
        part(CONTENT, PNG, "Content-Transfer-Encoding: 8bit", FILE_NAME),
        part(META, JSON, "Content-Transfer-Encoding: 8bit", META_NAME),
    ),
}


@pytest.mark.parametrize("sdk", FORMS)
def test_an_upload_in_the_form_of_another_sdk_is_accepted(sandbox, sdk):
    boundary, *parts = FORMS[sdk]
    octets = body(*parts, boundary=boundary.encode(), after=b"\r\n")
    status, answer = upload(sandbox, octets, f"multipart/form-data; boundary={boundary}")
    assert (status, list(answer)) == (200, ["media_id"]), answer


@pytest.mark.parametrize("name", ["a.png", "门店 1.jpg"])
def test_an_upload_in_the_form_of_requests_is_accepted(sandbox, name):
    """requests writes a Chinese name as `filename*`."""
    meta = json.dumps({"filename": name, "sha256": hashlib.sha256(CONTENT).hexdigest()}).encode()
    response = requests.post(
        sandbox.base_url.rstrip("/") + TARGET,
        data={"meta": meta},
        files={"file": (name, CONTENT, "image/png")},
        headers=authorize(sandbox, meta),
        timeout=5,
    )
    assert (response.status_code, list(response.json())) == (200, ["media_id"])


def test_a_client_that_waits_for_100_continue_before_it_sends_a_file_gets_it(sandbox):
    """PHP's Guzzle does, because the size of its upload is unknown."""
    url = urlsplit(sandbox.base_url)
    octets = body(META_PART, FILE)
    headers = {
        **authorize(sandbox, META),
        "Host": url.netloc,
        "User-Agent": "GuzzleHttp/7",
        "Content-Type": "multipart/form-data; boundary=x",
        "Transfer-Encoding": "chunked",
        "Expect": "100-Continue",
        "Connection": "close",
    }
    lines = (f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        connection.sendall(f"POST {TARGET} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        received = connection.makefile("rb")
        assert (received.readline(), received.readline()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(octets), octets))
        assert received.readline() == b"HTTP/1.1 200 OK\r\n"
        assert b"media_id" in received.read()


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
