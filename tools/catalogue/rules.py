"""Writes the small modules of facts that every call needs, so that no call reads the table."""

from __future__ import annotations

import re

from tools.catalogue.upload_facts import UPLOADS
from tools.catalogue.writing import STAMP
from wechatpay_chain._catalogue.operations import Operation, find_operation, list_operations
from wechatpay_chain._catalogue.upload_rule import Rule
from wechatpay_chain._catalogue.v2_rule import V2Rule

__all__ = ["irregular", "upload_rules", "v2_rules", "v2_segments"]


def v2_segments() -> str:
    """Returns the module of the first segments of APIv2.

    Raises:
        ValueError: a path of another API begins with one of them.
    """
    first: dict[str, set[str]] = {"v2": set(), "v3": set()}
    for operation in _operations():
        first[operation.api].add(operation.path.split("/")[1])
    if shared := first["v2"] & first["v3"]:
        raise ValueError(f"{', '.join(sorted(shared))}: the first segment does not distinguish APIv2 from other APIs")
    return _module(
        "The first path segments of APIv2, which no path of another API begins with.",
        "V2_SEGMENTS = frozenset(\n    {\n"
        + "".join(f'        "{segment}",\n' for segment in sorted(first["v2"]))
        + "    }\n)\n",
    )


def v2_rules() -> str:
    """Returns the module of the rules of APIv2."""
    rules = {
        f"{operation.method} {operation.path}": _v2_rule(operation)
        for operation in _operations()
        if operation.api == "v2"
    }
    lines = "".join(f'    "{key}": {_written(rule)},\n' for key, rule in sorted(rules.items()))
    return _module(
        "What the client adds to each operation of APIv2, and whether its response is signed, by verb and path.",
        f"from wechatpay_chain._catalogue.v2_rule import V2Rule\n\nRULES = {{\n{lines}}}\n",
    )


def _v2_rule(operation: Operation) -> V2Rule:
    sent = operation.form or operation.body or operation.query or {}
    fields, required = sent.get("properties", {}), sent.get("required", ())
    returned = (operation.response or {}).get("properties", {})
    # That of a partner is the number of the one who signs, too; sub_mch_id has another meaning.
    numbers = [name for name in ("mch_id", "mchid", "combine_mch_id") if name in fields]
    sign_types = operation.sign_types if "sign_type" in fields else ()
    return V2Rule(
        merchant=numbers[0] if numbers else "",
        sign_types=sign_types,
        # MD5 is what the service takes if the field is missing.
        sends_sign_type=bool(sign_types) and ("sign_type" in required or sign_types[0] != "MD5"),
        nonce="nonce_str" in required,
        signs="sign" in fields,
        certificate=operation.client_certificate,
        signed="sign" in returned,
        result="result_code" in returned,
        content="file" if operation.path in _FILES else "json" if "application/json" in operation.produces else "xml",
        host=operation.host,
        file=next((name for name, each in fields.items() if each["type"] == "file"), ""),
        workwx=_WORKWX.get(operation.path, ()),
    )


_FILES = (
    "/billcommentsp/batchquerycomment",
    "/pay/downloadbill",
    "/pay/downloadfundflow",
    "/sandboxnew/pay/downloadbill",
)
"""The operations that return a table. The facts have only their errors."""

# Source: https://open.work.weixin.qq.com/api/doc/90000/90135/90281
_WORKWX = {
    "/mmpaymkttransfers/sendworkwxredpack": (
        "act_name",
        "mch_billno",
        "mch_id",
        "nonce_str",
        "re_openid",
        "total_amount",
        "wxappid",
    ),
    "/mmpaymkttransfers/promotion/paywwsptrans2pocket": (
        "amount",
        "appid",
        "desc",
        "mch_id",
        "nonce_str",
        "openid",
        "partner_trade_no",
        "ww_msg_type",
    ),
}


def irregular() -> str:
    """Returns the module of the paths in which the service itself writes an underscore or a capital letter."""
    places = {
        re.sub(r"\{\w+\}", "{}", "/".join(segments[: index + 1]))
        for segments in (operation.template.split("/") for operation in _operations())
        for index in range(len(segments))
    }
    alone = (place for place in sorted(places) if _kebab(place) not in places)
    found = (place for place in alone if re.search("[_A-Z]", place.rpartition("/")[2]))
    return _module(
        "The places where the service does not write kebab-case, and has no path of the same name in kebab-case. `{}` stands for any variable.",
        "IRREGULAR = (\n" + "".join(f'    "{place}",\n' for place in found) + ")\n",
    )


def _kebab(place: str) -> str:
    return re.sub("(?=[A-Z])|_", "-", place).lower()


def upload_rules() -> str:
    """Returns the module of the rules of uploads.

    Raises:
        ValueError: the operations that upload a file are not those of `upload_facts`.
    """
    parts = {}
    for operation in _operations():
        if operation.form and operation.api == "v3":
            (parts[operation.path],) = (
                name for name, schema in operation.form["properties"].items() if schema["type"] == "file"
            )
    if unknown := parts.keys() ^ {path for path in UPLOADS if path.startswith("/v3/")}:
        raise ValueError(f"{', '.join(sorted(unknown))}: upload_facts.py and the facts differ")
    lines = "".join(
        f'    "{re.sub(r"{[^{}]*}", "*", path)}": {_written(rule._replace(part=parts.get(path, rule.part)))},\n'
        for path, rule in UPLOADS.items()
    )
    return _module(
        "The metadata that each upload operation requires about a file, by path, with `*` for a variable.",
        f"from wechatpay_chain._catalogue.upload_rule import Rule\n\nRULES = {{\n{lines}}}\n",
    )


def _written(rule: Rule | V2Rule) -> str:
    """Returns a rule as Python, without the attributes that have their default."""
    default = type(rule)()._asdict()
    changed = ", ".join(f"{name}={value!r}" for name, value in rule._asdict().items() if value != default[name])
    return f"{type(rule).__name__}({changed})"


def _operations() -> list[Operation]:
    return [operation for key in list_operations() if (operation := find_operation(*key))]


def _module(doc: str, body: str) -> str:
    return f'{STAMP}"""{doc}"""\n\n{body}'
