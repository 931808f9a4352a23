"""Programs that a type checker must accept."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import assert_type

from wechatpay_chain import (
    APIError,
    Client,
    Node,
    Notification,
    Notifications,
    Reply,
    Request,
    Response,
    Retry,
    SeenNonces,
    SignatureError,
    TransportError,
    crypto,
)
from wechatpay_chain._messages.effects import Flow
from wechatpay_chain._schemes.canonical import request_message, response_message
from wechatpay_chain.errors import Reason
from wechatpay_chain.sandbox import Sandbox

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

client = Client(
    mchid="1900007291",
    serial="408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB",
    private_key=Path("apiclient_key.pem"),
    certs={"PUB_KEY_ID_01": Path("pub_key.pem"), "5157F09E": "-----BEGIN CERTIFICATE-----"},
    apiv3_key=None,
    timeout=(5, 30),
    proxies={"https": "http://127.0.0.1:3128"},
    ca_bundle=Path("ca.pem"),
)
assert_type(client.v3.pay.transactions._id_, Node)
assert_type(client["v3/unknown"], Node)
assert_type(client.chain("v3/{a}").chain("b")["c"], Node)
response = client.v3.unknown.get(
    params={"a": [1, "b"], "c": None}, headers={"Accept-Language": "zh-CN"}, timeout=3, a="x", b=1
)
assert_type(response, Response)
assert_type(response.status_code, int)
assert_type(response.content, bytes)
assert_type(response.text, str)
assert_type(response.request_id, str)
assert_type(response.headers["Request-ID"], str)
assert_type(response.headers.get("Date"), str | None)
assert_type(response.headers.get("Date", ""), str)
assert_type(response.headers.get("Date", 0), str | int)
assert_type(response.json(), Any)


async def main() -> None:
    async with client as entered:
        assert_type(entered, Client)
        assert_type(await entered.v3.x.delete_async(json={"a": [1, {"b": None}]}), Response)


try:
    client.v3.x.post(json=[1])
except SignatureError as error:
    assert_type(error.reason, Reason)
except TransportError as error:
    assert_type(error.sent, bool)
except APIError as error:
    assert_type(error.code, str)
    assert_type(error.response, Response)


def algorithms(private: RSAPrivateKey, public: RSAPublicKey) -> None:
    assert_type(crypto.sign(b"m", private), str)
    assert_type(crypto.verify(b"m", "s", public), bool)
    assert_type(crypto.encrypt("p", public), str)
    assert_type(crypto.decrypt("c", private), str)
    assert_type(crypto.aes_gcm_decrypt("c", b"k", "n", "a"), bytes)
    assert_type(crypto.aes_gcm_encrypt(b"p", b"k", "n"), str)
    assert_type(crypto.load_private_key(Path("k"), passphrase="p"), "RSAPrivateKey")
    assert_type(crypto.load_public_key(b"k"), "RSAPublicKey")
    assert_type(crypto.serial_number("c"), str)
    assert_type(crypto.nonce(12), str)
    assert_type(request_message("GET", "/v3/x", 1, "n", b""), bytes)
    assert_type(response_message("1", "n", b""), bytes)


with Sandbox(sign_with="certificate") as sandbox, sandbox.client(timeout=1) as tester:
    assert_type(tester, Client)


class Signer:
    def sign(self, message: bytes) -> str:
        return message.hex()


class AsyncSigner:
    async def sign(self, message: bytes) -> str:
        return message.hex()


class Verifier:
    def verify(self, message: bytes, signature: str, serial: str) -> bool:
        return bool(message and signature and serial)


class Nonces:
    def add(self, nonce: str, seconds: float) -> bool:
        return bool(nonce) and seconds > 0


class AsyncNonces:
    async def add(self, nonce: str, seconds: float) -> bool:
        return bool(nonce) and seconds > 0


class Cache:
    def load(self) -> bytes | None:
        return None

    def save(self, content: bytes) -> None:
        content.hex()


class AsyncCache:
    async def load(self) -> bytes | None:
        return None

    async def save(self, content: bytes) -> None:
        content.hex()


Client(seen=SeenNonces(), certificate_cache="certificates.json")
Client(seen=Nonces(), certificate_cache=Cache())
Client(seen=AsyncNonces(), certificate_cache=AsyncCache())
Notifications({}, "k", seen=AsyncNonces())


def parse_headers(mapping: dict[str, str], message: Message, environ: dict[str, Any], scope: dict[str, Any]) -> None:
    for headers in (mapping, {b"a": [b"b"]}, environ, scope["headers"], [(b"a", b"b")], "a: b", b"{}", message):
        assert_type(client.notifications.parse(headers, b""), Notification)
    client.notifications.parse(message, b"", received_at=datetime.now(timezone.utc))


def pass_on(request: Request) -> Flow:
    response: Response = yield request
    return response


for signer in (Signer(), AsyncSigner()):
    Client(signer=signer, verifier=Verifier(), retry=Retry(attempts=2, second_url="https://a.example"))
Client(retry=None)
client.middleware.insert_before("sign", "pass_on", pass_on)
assert_type(list(client.middleware), list[str])
client.v3.x.post(files={"file": Path("a.jpg")}, json={"a": 1}, idempotent=True)
client.v3.x.post(files={"file": ("a.jpg", b"abc")})
client.v3.x.post(files={"file": io.BytesIO(b"abc")})
assert_type(client.download(client.v3.x.get(), "bill.csv", gunzip=True, progress=print), Response)
assert_type(client.notifications.signed_reply({"code": "SUCCESS"}), Reply)


async def async_calls() -> None:
    assert_type(await client.download_async({"download_url": "https://a.example"}, io.BytesIO()), Response)
    assert_type(await client.payment.jsapi_async("wx", "p"), dict[str, str])
