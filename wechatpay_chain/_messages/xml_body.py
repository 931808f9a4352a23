"""Writes and reads the messages of APIv2: one level of elements below `<xml>`, each a field.

Sources: https://pay.weixin.qq.com/doc/v2/merchant/4011986592, and https://pay.weixin.qq.com/doc/v2/merchant/4011985893 for what
a reader has to refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from wechatpay_chain._messages.faults import ArgumentError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["MalformedXMLError", "check_fields", "encode_xml", "find_first_byte", "list_families", "parse_xml"]

MOST_BYTES = 1 << 20
"""The size of the largest message that is read. The service's largest ones have some kilobytes."""

MOST_LEVELS = 8
"""How deep the elements of a message may be nested. Three levels are the most that is documented."""

HEAD = 64
"""How many bytes at the beginning of a content tell whether it is XML."""

_LISTS = ("hbinfo", "mchinfo")
"""The elements that a message may have several times: the receivers of a red packet, and the merchants of a partner. A message that
has one of them has a list, too."""

LONGEST_GAP = 64
"""How many numbers of a family may be missing. The service has at most 50 refunds of an order, and as many coupons."""

_NUMBERED = re.compile(r"(\w+)_(0|[1-9][0-9]{0,5})", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# XML 1.0, 2.2. The service accepts no character beyond U+FFFF, which takes four bytes in UTF-8.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class MalformedXMLError(ValueError):
    """A message is not XML that the service sends. Its text says why, and shows nothing of the message."""


def find_first_byte(content: bytes) -> bytes:
    """Returns the first byte after a byte order mark and blanks, which is `<` in XML; nothing if the head has only these."""
    return content[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def check_fields(argument: str, fields: object) -> dict[str, str]:
    """Returns the fields of a message as texts; those that are None are left out.

    A number is written in digits; a dict or a list, for the few fields whose text is JSON, as JSON.

    Args:
        argument: the name of the argument, for the error.
        fields: what the caller passed.

    Raises:
        ArgumentError: it is no dict, or a field cannot be written. The message names the field.
    """
    if not isinstance(fields, Mapping):
        raise ArgumentError(f"{argument}: came a {type(fields).__name__}; expected a dict of fields")
    return {
        _check_name(argument, name): _to_text(argument, name, value)
        for name, value in fields.items()
        if value is not None
    }


def encode_xml(fields: Mapping[str, str]) -> bytes:
    """Returns a message in UTF-8. `>` is escaped too, so that no `]]>` is in it.

    Args:
        fields: the fields, as `check_fields` returns them.
    """
    return f"<xml>{''.join(f'<{name}>{_escape(text)}</{name}>' for name, text in fields.items())}</xml>".encode()


def _escape(text: str) -> str:
    # A reader takes a carriage return for a line feed, unless it is written as a reference: XML 1.0, 2.11.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def parse_xml(content: bytes, roots: Sequence[str] = ("xml",)) -> dict[str, Any]:
    """Returns the fields of a message: texts, and for the few elements with elements in them, dicts and lists of dicts.

    There must be no DOCTYPE, so that there are no entities to expand and nothing to fetch. defusedxml refuses one before the parser
    of Python's standard library acts on it; it is small, has no dependencies and no native code, and nothing in it can be switched on
    by accident, as lxml's network access and entities can.

    Args:
        content: the message.
        roots: the names that the element around the fields may have.

    Raises:
        MalformedXMLError: it is not such a message.
    """
    if len(content) > MOST_BYTES:
        raise MalformedXMLError(f"has {len(content)} bytes; expected at most {MOST_BYTES}")
    try:
        # The service sends UTF-8. Characters that XML forbids are left out, as the service's own tools do.
        element = fromstring(_NOT_XML.sub("", content.decode()), forbid_dtd=True)
    except UnicodeDecodeError:
        raise MalformedXMLError("is not UTF-8") from None
    except DefusedXmlException:
        raise MalformedXMLError("has a document type, which can name files and other hosts") from None
    except (ParseError, ValueError, RecursionError):
        raise MalformedXMLError("is not XML") from None
    fields = _read(element, 0) if element.tag in roots else None
    if not isinstance(fields, dict):
        raise MalformedXMLError(f"has no fields in an element <{roots[0]}>")
    return fields


def list_families(fields: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Returns the fields that are numbered, such as coupon_id_0 and coupon_id_1, as lists by their documented names.

    Args:
        fields: the fields of a message.

    Returns:
        `{"coupon_id_$n": ["…", "…"]}`, and lists of lists for names such as coupon_refund_id_$n_$m. Where a number is missing, because
        only some refunds have the field, there is an empty text or an empty list: a place means the same number in every family. A list
        ends with its last number.
    """
    singles: dict[str, dict[int, Any]] = {}
    rows: dict[str, dict[int, dict[int, Any]]] = {}
    for name, value in fields.items():
        if (found := _NUMBERED.fullmatch(name)) is None:
            continue
        if outer := _NUMBERED.fullmatch(found[1]):
            rows.setdefault(f"{outer[1]}_$n_$m", {}).setdefault(int(outer[2]), {})[int(found[2])] = value
        else:
            singles.setdefault(f"{found[1]}_$n", {})[int(found[2])] = value
    listed = {name: _in_order(values, "") for name, values in singles.items()}
    for name, numbered in rows.items():
        lists = [_in_order(row, "") for row in _in_order(numbered, {})]
        listed[name] = lists if any(lists) else []
    return {name: values for name, values in listed.items() if values}


def _in_order(numbered: Mapping[int, Any], gap: Any) -> list[Any]:
    """Returns values by their numbers, up to the last one that can be meant: each missing number takes memory."""
    most = len(numbered) + LONGEST_GAP
    last = max((number for number in numbered if number < most), default=-1)
    return [numbered.get(number, gap) for number in range(last + 1)]


def _read(element: Element, level: int) -> Any:
    if level > MOST_LEVELS:
        raise MalformedXMLError("is nested too deeply")
    if not len(element):
        return element.text or ("" if level else {})
    members: dict[str, Any] = {}
    for child in element:
        value = _read(child, level + 1)
        known = members.get(child.tag)
        if isinstance(known, list) and isinstance(value, dict):
            known.append(value)
        elif known is not None:
            raise MalformedXMLError("has a field twice")
        else:
            members[child.tag] = [value] if child.tag in _LISTS and isinstance(value, dict) else value
    return members


def _check_name(argument: str, name: object) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise ArgumentError(f"{argument}: came the field {name!r}; expected a name such as 'out_trade_no'")


def _to_text(argument: str, name: str, value: object) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        try:
            value = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            raise ArgumentError(f"{argument}: {name} cannot be written as JSON") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ArgumentError(
            f"{argument}: {name} came as a {type(value).__name__}; expected a text, a whole number, or a dict or list that is JSON"
        )
    if illegal := _ILLEGAL.search(value):
        character = illegal[0]
        kind = "takes four bytes in UTF-8, such as an emoji" if character > "\uffff" else "XML cannot write"
        raise ArgumentError(f"{argument}: {name} has the character U+{ord(character):04X}, which {kind}; leave it out")
    return value
