"""What wechatpay-php and wechatpay-axios-plugin test APIv3 with: their vectors, paths and responses, read by this client.

Sources, for the values only: `tests/` of wechatpay-apiv3/wechatpay-php and of TheNorthMemory/wechatpay-axios-plugin.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest

from tests.service import Reply
from wechatpay_chain import APIError, NotFoundError, Reason, ServerError, SignatureError
from wechatpay_chain.crypto import aes_gcm_decrypt, aes_gcm_encrypt

KEY, NONCE = b"0123456789abcdef0123456789abcdef", "0123456789abcdef"
GIF = base64.b64decode("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==")
PAGE = b"<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"


@pytest.mark.parametrize(
    ("text", "associated_data", "ciphertext"),
    [("", "", "GvpmmdtYwexXIPhySs9Tlg=="), ("hello", "world", "APoZlYpivU3HjbAiB4CvW1rAFr8J")],
)
def test_the_ciphertexts_of_aes_test_js(text, associated_data, ciphertext):
    assert aes_gcm_encrypt(text, KEY, NONCE, associated_data) == ciphertext
    assert aes_gcm_decrypt(ciphertext, KEY, NONCE, associated_data) == text.encode()


def test_the_paths_of_builder_test_php(client):
    assert (
        str(client.v3.CombineTransactions["{combine_out_trade_no}"]) == "v3/combine-transactions/{combine_out_trade_no}"
    )
    users = client.v3.Marketing.Busifavor.Users
    wanted = "v3/marketing/busifavor/users/{openid}/coupons/{coupon_code}/appids/{appid}"
    assert str(users["{openid}/coupons/{coupon_code}"].Appids["{appid}"]) == wanted
    assert str(users["{openid}"].Coupons["{coupon_code}"].Appids._appid_) == wanted
    assert str(client["v2/pay/micropay"]) == "v2/pay/micropay"


@pytest.mark.parametrize("verb", ["delete", "get", "post", "put", "patch"])
def test_the_page_of_101_test_js_is_an_error(client, wire, send, verb):
    wire.respond = lambda received: Reply(404, {"Content-Type": "text/html"}, PAGE)
    with pytest.raises(NotFoundError) as caught:
        send(client.v3.x, verb, **({"json": {"hello": "wechatpay"}} if verb in ("post", "put", "patch") else {}))
    assert caught.value.response.content == PAGE


@pytest.mark.parametrize("path", ["v3/combine-transactions/jsapi", "v3/pay/transactions/jsapi"])
def test_an_unsigned_system_error_is_raised_as_one(client, wire, send, path):
    text = '{"code":"SYSTEM_ERROR","message":"系统繁忙，请稍后重试"}'
    wire.respond = lambda received: Reply(500, {"Content-Type": "application/json"}, text.encode())
    with pytest.raises(ServerError, match="系统繁忙，请稍后重试") as caught:
        send(client[path], "post", json={})
    assert caught.value.code == "SYSTEM_ERROR"


def test_the_xml_of_the_old_sandbox_is_no_success(client, wire, send):
    body = "<xml>\r\n  <return_code><![CDATA[FAIL]]></return_code>\r\n  <retcode><![CDATA[1]]></retcode>\r\n</xml>"
    wire.respond = lambda received: Reply(200, {"Content-Type": "text/plain;charset=utf-8"}, body.encode())
    with pytest.raises((SignatureError, APIError)) as caught:
        send(client.v3.pay.transactions.h5, "post", json={})
    assert caught.value.response.text == body


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, Reason.MISSING_HEADER),
        ({"Serial": "mock", "Timestamp": "1624692495"}, Reason.CLOCK_SKEW),
        ({"Serial": "BE2A2344B984167B", "Timestamp": "now"}, Reason.UNKNOWN_SERIAL),
    ],
)
def test_the_responses_of_bad_phrases_test_js_are_refused(client, wire, send, headers, reason):
    signature = {"Nonce": "mock", "Signature": "mock", **headers} if headers else {}
    sent = {f"Wechatpay-{name}": text.replace("now", str(int(time.time()))) for name, text in signature.items()}
    wire.respond = lambda received: Reply(200, {"Content-Type": "application/json", **sent}, b"{}")
    with pytest.raises(SignatureError) as caught:
        send(client.v3.pay.transactions.h5, "post", json={})
    assert caught.value.reason is reason


def test_the_image_of_images_test_js_is_uploaded_and_downloaded(client, wire, service, send, tmp_path):
    wire.respond = lambda received: service.signed(b'{"media_id":"file752398_7983424"}')
    (tmp_path / "transparent.png").write_bytes(GIF)
    upload = client.v3.merchant_service.images.upload
    response = send(upload, "post", files={"file": tmp_path / "transparent.png"})
    assert response.json() == {"media_id": "file752398_7983424"}
    meta = wire.received[-1].body.split(b"\r\n\r\n", 1)[1].split(b"\r\n", 1)[0]
    assert json.loads(meta) == {"filename": "transparent.png", "sha256": hashlib.sha256(GIF).hexdigest()}

    wire.respond = lambda received: Reply(200, {"Content-Type": "image/gif"}, GIF)
    media_id = "ChsyMDAyMDA1MjAyMTA3MjIxNzAwMDAxMzIwNzIYACD%2B9I6IBigBMAE4AQ=="
    assert send(client.v3.merchant_service.images._media_id_, "get", media_id=media_id).content == GIF
    assert wire.received[-1].target == f"/v3/merchant-service/images/{media_id.replace('%', '%25').replace('=', '%3D')}"
