"""A service of APIv2 for the tests: its XML and its signatures are written without any code of the package."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from html import unescape

import pytest

from tests.service import MCHID, Reply
from wechatpay_chain import Client

KEY = "192006250b4c09247ec02edce69f6a2d"
FORMER = "0123456789abcdef0123456789ABCDEF"


def signature_of(fields, sign_type="MD5", key=KEY):
    names = sorted((name for name, text in fields.items() if text and name != "sign"), key=str.encode)
    text = "".join(f"{name}={fields[name]}&" for name in names) + f"key={key}"
    if sign_type == "MD5":
        return hashlib.md5(text.encode()).hexdigest().upper()
    return hmac.new(key.encode(), text.encode(), "sha256").hexdigest().upper()


def fields_of(body: bytes) -> dict[str, str]:
    """Reads what the client writes: texts with entities in one level of elements."""
    inside = re.fullmatch(r"<xml>(.*)</xml>", body.decode(), re.DOTALL)[1]
    found = re.findall(r"<([A-Za-z_][\w.-]*)>([^<>]*)</\1>", inside)
    assert "".join(f"<{name}>{text}</{name}>" for name, text in found) == inside
    assert len(dict(found)) == len(found)
    return {name: unescape(text) for name, text in found}


def xml_of(fields) -> bytes:
    return "".join(
        ["<xml>", *(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in fields.items()), "</xml>"]
    ).encode()


def signed(fields=(), sign_type="MD5", key=KEY, status=200, **more) -> Reply:
    """Returns a response that means success, signed."""
    answer = {"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": MCHID, **dict(fields), **more}
    return reply({**answer, "sign": signature_of(answer, sign_type, key)}, status)


def reply(fields, status=200) -> Reply:
    return Reply(status, {"Content-Type": "text/plain", "Request-ID": "08E2-0"}, xml_of(fields))


@dataclass
class Shop:
    """A client, and the requests that the service received from it."""

    client: Client
    wire: object

    def receives(self, answer) -> None:
        """Sets what the service responds with."""
        self.wire.respond = lambda received: answer

    @property
    def request(self):
        return self.wire.received[-1]

    @property
    def fields(self):
        """The fields of the last request, whose signature has been checked."""
        fields = fields_of(self.request.body)
        assert fields["sign"] == signature_of(fields, fields.get("sign_type", "MD5"))
        return fields


@pytest.fixture
def shop(service, wire):
    settings = {**service.settings(wire.base_url), "apiv2_key": KEY, "former_apiv2_keys": [FORMER]}
    with Client(**settings) as client:
        shop = Shop(client, wire)
        shop.receives(signed())
        yield shop
