"""Headers of a received request are read in every form that servers use; an error names any other form."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import wsgiref.headers
from decimal import Decimal
from email.message import Message

import pytest

from tests.test_notification import APIV3_KEY, RESOURCE, envelope
from wechatpay_chain import Notifications, Reason, SignatureError


@pytest.fixture
def notifications(service) -> Notifications:
    return Notifications(certs=service.certs, apiv3_key=APIV3_KEY)


def message(headers, kind=Message):
    filled = kind()
    for name, value in headers.items():
        filled[name] = value
    return filled


def text_block(headers, end="\r\n"):
    return "".join(f"{name}: {value}{end}" for name, value in headers.items())


def with_timestamp(convert):
    return lambda headers: {**headers, "Wechatpay-Timestamp": convert(headers["Wechatpay-Timestamp"])}


def environ(headers):
    fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {
        "REQUEST_METHOD": "POST",
        "wsgi.input": io.BytesIO(),
        "wsgi.version": (1, 0),
        "made.up": {"a": []},
        **fields,
    }


def django(headers):
    from django.http.request import HttpHeaders

    return HttpHeaders(environ(headers))


def starlette(headers):
    from starlette.datastructures import Headers

    return Headers(headers)


def pydantic(headers):
    from pydantic import create_model

    fields = {name.lower().replace("-", "_"): value for name, value in headers.items()}
    return create_model("Fields", **dict.fromkeys(fields, (str, ...)))(**fields)


def werkzeug(headers):
    from werkzeug.datastructures import EnvironHeaders

    return EnvironHeaders(environ(headers))


def aiohttp(headers):
    from multidict import CIMultiDict, CIMultiDictProxy

    return CIMultiDictProxy(CIMultiDict(headers))


def requests(headers):
    from requests.structures import CaseInsensitiveDict

    return CaseInsensitiveDict(headers)


def urllib3(headers):
    from urllib3._collections import HTTPHeaderDict

    return HTTPHeaderDict(headers)


ACCEPTED = {
    "as sent": lambda headers: headers,
    "lower case": lambda headers: {name.lower(): value for name, value in headers.items()},
    "upper case": lambda headers: {name.upper(): value for name, value in headers.items()},
    "camel case": lambda headers: {name.replace("-", ""): value for name, value in headers.items()},
    "bytes": lambda headers: {name.encode(): value.encode() for name, value in headers.items()},
    "bytearrays": lambda headers: [(bytearray(name.encode()), memoryview(v.encode())) for name, v in headers.items()],
    "spaces around": lambda headers: {name: f" {value}\r\n" for name, value in headers.items()},
    "WSGI": environ,
    "WSGI of bytes": lambda headers: {k: v.encode() if isinstance(v, str) else v for k, v in environ(headers).items()},
    "ASGI": lambda headers: [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    "pairs": lambda headers: list(headers.items()),
    "pairs as lists": lambda headers: [list(pair) for pair in headers.items()],
    "generator": lambda headers: ((name, value) for name, value in headers.items()),
    "items": lambda headers: headers.items(),
    "each pair twice": lambda headers: [*headers.items(), *headers.items()],
    "joined with a comma": lambda headers: {n: v if n.endswith("Nonce") else f"{v},{v}" for n, v in headers.items()},
    "lists": lambda headers: {name: [value] for name, value in headers.items()},
    "lists of bytes": lambda headers: {name: [value.encode()] * 2 for name, value in headers.items()},
    "tuples": lambda headers: {name: (value,) for name, value in headers.items()},
    "pairs of lists": lambda headers: [(name.encode(), [value]) for name, value in headers.items()],
    "CloudFront": lambda headers: {n.lower(): [{"key": n, "value": v}] for n, v in headers.items()},
    "HAR": lambda headers: [{"name": name, "value": value} for name, value in headers.items()],
    "int": with_timestamp(int),
    "float": with_timestamp(float),
    "Decimal": with_timestamp(Decimal),
    "list of int": with_timestamp(lambda text: [int(text)]),
    "text block": text_block,
    "text block of LF": lambda headers: text_block(headers, "\n"),
    "text block as bytes": lambda headers: text_block(headers).encode(),
    "raw request": lambda headers: f"POST /wechatpay HTTP/1.1\r\nHost: a\r\n{text_block(headers)}\r\n{{}}",
    "JSON": json.dumps,
    "JSON as bytes": lambda headers: json.dumps(headers).encode(),
    "JSON of lists": lambda headers: json.dumps({name: [value] for name, value in headers.items()}),
    "JSON of pairs": lambda headers: json.dumps(list(headers.items())),
    "email": message,
    "http.client": lambda headers: message(headers, http.client.HTTPMessage),
    "wsgiref": lambda headers: wsgiref.headers.Headers(list(headers.items())),
    "Django": django,
    "Starlette": starlette,
    "pydantic": pydantic,
    "Werkzeug": werkzeug,
    "aiohttp": aiohttp,
    "requests": requests,
    "urllib3": urllib3,
}


@pytest.mark.parametrize("form", ACCEPTED)
def test_a_form_of_headers_is_accepted(service, notifications, form):
    body = envelope()
    for signer in ({}, {"key": service.platform, "serial": service.platform_serial}):
        headers = service.signature(body, **signer)
        assert notifications.parse(ACCEPTED[form](headers), body).resource == RESOURCE
        assert asyncio.run(notifications.parse_async(ACCEPTED[form](headers), body)).resource == RESOURCE


def werkzeug_request(headers):
    from werkzeug.wrappers import Request

    return Request(environ(headers))


def starlette_request(headers):
    from starlette.requests import Request

    return Request({"type": "http", "headers": ACCEPTED["ASGI"](headers)})


REFUSED = {
    "nothing": (lambda headers: None, "a NoneType"),
    "number": (lambda headers: 5, "a int"),
    "class": (lambda headers: dict, "the class dict"),
    "function": (lambda headers: headers.items, "a builtin_function_or_method"),
    "names": (list, "a list of str"),
    "values": (lambda headers: headers.values(), "a dict_values of str"),
    "names of two letters": (lambda headers: ["ab", "cd"], "a list of str"),
    "flat": (lambda headers: [part for pair in headers.items() for part in pair], "a list of str"),
    "list of lines": (lambda headers: text_block(headers).splitlines(), "a list of str"),
    "triples": (lambda headers: [(*pair, 1) for pair in headers.items()], "a list of tuple"),
    "list of dicts": (lambda headers: [headers], "a list of dict"),
    "file": (lambda headers: io.BytesIO(text_block(headers).encode()), "a BytesIO of bytes"),
    "sentence": (lambda headers: "no headers in here", "a str that is neither"),
    "repr of a dict": (str, "a str that starts like JSON"),
    "JSON number": (lambda headers: "[1]", "a str of int"),
    "deep JSON": (lambda headers: "[" * 100_000, "a str that starts like JSON"),
    "gateway event": (lambda headers: {"headers": headers, "body": ""}, "a dict that contains a dict under 'headers'"),
    "SCF event": (
        lambda headers: {"headers": None, "multiValueHeaders": ACCEPTED["lists"](headers)},
        "multivalueheaders",
    ),
    "JSON event": (lambda headers: json.dumps({"headers": headers}), "contains a dict under 'headers'"),
    "ASGI scope": (
        lambda headers: {"type": "http", "headers": ACCEPTED["ASGI"](headers)},
        "contains a list under 'headers'",
    ),
    "Werkzeug request": (werkzeug_request, "a Request; pass its .headers"),
    "Starlette request": (starlette_request, "a Request; pass its .headers"),
    "names of numbers": (lambda headers: {1: "a"}, "a name that is a int"),
    "fraction": (with_timestamp(lambda text: float(text) + 0.5), "a float as the value of Wechatpay-Timestamp"),
    "NaN": (with_timestamp(lambda text: float("nan")), "a float as"),
    "infinity": (with_timestamp(lambda text: float("inf")), "a float as"),
    "complex": (with_timestamp(complex), "a complex as"),
    "bool": (with_timestamp(bool), "a bool as"),
    "number with 5,001 digits": (with_timestamp(lambda text: 10**5000), "a int as"),
    "object": (with_timestamp(lambda text: object()), "a object as"),
    "list of objects": (with_timestamp(lambda text: [object()]), "a object as"),
    "dict": (with_timestamp(lambda text: {"a": text}), "a dict as"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_the_error_names_the_form_that_is_refused(service, notifications, form):
    body = envelope()
    make_headers, words = REFUSED[form]
    with pytest.raises(TypeError, match="headers: came ") as caught:
        notifications.parse(make_headers(service.signature(body)), body)
    assert words in str(caught.value)
    assert "expected" in str(caught.value)
    with pytest.raises(TypeError, match="headers: came "):
        asyncio.run(notifications.parse_async(make_headers(service.signature(body)), body))


DIFFERENT_VALUES = {
    "pairs": lambda headers, name: [*headers.items(), (name, "another")],
    "in two spellings": lambda headers, name: {**headers, name.lower().replace("-", "_"): "another"},
    "list": lambda headers, name: {**headers, name: [headers[name], "another"]},
    "JSON": lambda headers, name: json.dumps({**headers, name: [headers[name], "another"]}),
    "text block": lambda headers, name: f"{text_block(headers)}{name}: another",
}


@pytest.mark.parametrize("form", DIFFERENT_VALUES)
@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Signature", "Serial"])
def test_two_different_values_of_a_header_are_refused(service, notifications, form, name):
    body = envelope()
    with pytest.raises(SignatureError, match=f"several different values of Wechatpay-{name}; expected one") as caught:
        notifications.parse(DIFFERENT_VALUES[form](service.signature(body), f"Wechatpay-{name}"), body)
    assert caught.value.reason is Reason.MISSING_HEADER


def test_two_different_request_ids_are_accepted(service, notifications):
    body = envelope()
    request_ids = [("Request-ID", "1"), ("Request-ID", "2")]
    assert notifications.parse([*service.signature(body).items(), *request_ids], body).resource == RESOURCE
    with pytest.raises(SignatureError, match="no Wechatpay-Timestamp header"):
        notifications.parse(request_ids, body)


@pytest.mark.parametrize("name", ["Timestamp", "Signature", "Serial"])
def test_two_different_values_joined_with_a_comma_are_refused(service, notifications, name):
    body = envelope()
    headers = service.signature(body)
    headers[f"Wechatpay-{name}"] += ", another"
    with pytest.raises(SignatureError, match=f"several different values of Wechatpay-{name}; expected one"):
        notifications.parse(headers, body)


@pytest.mark.parametrize("headers", [{}, [], "", b"", (), iter(())], ids=lambda value: type(value).__name__)
def test_empty_headers_are_refused(notifications, headers):
    with pytest.raises(SignatureError, match="headers= is empty"):
        notifications.parse(headers, envelope())


ABSENT = {
    "dict": {"Host": "a"},
    "WSGI": environ({}),
    "CloudFront": {"host": [{"key": "Host", "value": "a"}]},
    "lists": {"Host": ["a"], "Accept": []},
    "no value": {"Wechatpay-Timestamp": None},
    "no values": {"Wechatpay-Timestamp": []},
}


@pytest.mark.parametrize("form", ABSENT)
def test_the_error_of_a_missing_header_asks_about_proxies(notifications, form):
    with pytest.raises(SignatureError, match="no Wechatpay-Timestamp header; does a proxy strip it") as caught:
        notifications.parse(ABSENT[form], envelope())
    assert caught.value.reason is Reason.MISSING_HEADER


def test_a_value_that_contains_itself_is_refused(notifications):
    value = []
    value.append(value)
    with pytest.raises(TypeError, match="contains itself"):
        notifications.parse({"Wechatpay-Serial": value}, b"{}")


def test_a_name_that_only_ends_like_ours_is_ignored(service, notifications):
    body = envelope()
    assert notifications.parse({**service.signature(body), "Http-Wechatpay-Serial": "x"}, body)
