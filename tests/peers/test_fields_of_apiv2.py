"""The signatures and the XML of APIv2 are those of wechatpay-axios-plugin, for fields of every kind."""

from __future__ import annotations

import random

from tests.peers.npm import run_script
from wechatpay_chain._messages.xml_body import check_fields, encode_xml, parse_xml
from wechatpay_chain._schemes.apiv2 import HMAC_SHA256, MD5, compute_signature, compute_workwx_signature

PIECES = [
    "a",
    "Z",
    "0",
    "9",
    "中文",
    "é",
    "&",
    "<",
    ">",
    "'",
    '"',
    "=",
    "&amp;",
    "<![CDATA[",
    "]",
    " x ",
    "%20",
    "+",
    "/",
    "{}",
    "\\",
]


def draw(rng):
    names = rng.sample(
        ["appid", "mch_id", "body", "attach", "coupon_id_0", "coupon_id_10", "coupon_id_2", "a1", "A1", "_x", "detail"],
        6,
    )
    values = ("".join(rng.choices(PIECES, k=rng.randint(0, 5))).strip() for _ in names)
    return dict(zip(names, values, strict=True))


def test_signatures_and_xml_agree(node):
    rng = random.Random(20260101)
    cases = []
    for _ in range(300):
        fields = draw(rng)
        written = encode_xml(check_fields("xml", fields)).decode()
        cases.append({"fields": fields, "key": f"{rng.getrandbits(128):032x}", "xml": written})
    for case, theirs in zip(cases, run_script(node, "fields.js", cases), strict=True):
        fields, key = case["fields"], case["key"].encode()
        assert compute_signature(fields, key, MD5) == theirs["md5"], fields
        assert compute_signature(fields, key, HMAC_SHA256) == theirs["hmac"], fields
        assert compute_workwx_signature(fields, case["key"]) == theirs["workwx"], fields
        assert parse_xml(theirs["xml"].encode()) == fields
        # The plugin's reader leaves out the spaces at the ends of texts.
        assert theirs["read"] == {name: text.strip() for name, text in fields.items()}
