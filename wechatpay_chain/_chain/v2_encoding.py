"""Encodes the calls of APIv2: XML, with what the rule of the operation says that the client adds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from wechatpay_chain._catalogue.v2_rule import V2Rule
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.encoding import user_agent
from wechatpay_chain._chain.template import expand, without_query
from wechatpay_chain._chain.v2_settings import V2Settings
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._messages.arguments import parse_bool, parse_timeout
from wechatpay_chain._messages.fields import check_fields as check_headers
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Carried, Request
from wechatpay_chain._messages.xml_body import check_fields, encode_xml
from wechatpay_chain._pipeline.apiv2 import ApiV2, find_rule
from wechatpay_chain._schemes.apiv2 import HMAC_SHA256, MD5, check_owner
from wechatpay_chain.errors import ArgumentError, ConfigurationError

if TYPE_CHECKING:
    from wechatpay_chain._files.source import File

__all__ = ["encode"]


def encode(
    settings: V2Settings, call: Call, library: str, file: File | None, when_refused: Callable[[], None] | None = None
) -> Request:
    """Returns the request of a call, without a signature; that of an upload is signed already.

    Args:
        settings: what it needs of the client's settings.
        call: what the caller wants.
        library: the HTTP library, for the User-Agent header.
        file: the file of an upload.
        when_refused: called if the response means an error; None for nothing.

    Raises:
        PathVariableError, ArgumentError, ConfigurationError: the call cannot be sent.
    """
    api = ApiV2(settings.keys, when_refused)
    path, is_get = call.template.partition("/")[2], call.method == "GET"
    # The query of a GET is signed, that of a POST is not.
    target = expand(path, call.variables, None if is_get else call.params)
    rule = find_rule(call.method, target.partition("?")[0])
    argument = "params" if is_get else "xml"
    given = check_fields(argument, (call.params if is_get else call.xml) or {})
    if is_get:
        given = _add_query(target, given)
    fields = _fill(settings.mchid, argument, given, rule)
    needs_certificate = rule.certificate if call.certificate is None else parse_bool("certificate", call.certificate)
    if needs_certificate and not settings.has_certificate:
        raise ConfigurationError(
            f"certificate: it is missing, or private_key= is; {call.template} needs both for TLS (apiclient_cert.pem, apiclient_key.pem)"
        )
    if rule.workwx and "workwx_sign" not in fields and not settings.keys.has_workwx_secret:
        raise ConfigurationError(
            f"workwx_secret: it is missing; {call.template} has a second signature, workwx_sign, with the secret of the application "
            "of enterprise WeChat that pays"
        )
    if rule.file and file is None:
        raise ArgumentError(
            f"files: it is missing; {call.template} uploads a file, so pass files={{{rule.file!r}: 'shop.jpg'}}"
        )
    headers, upload, body = _headers(library), None, b"" if is_get else encode_xml(fields)
    if file is not None:
        with no_fork.current:
            from wechatpay_chain._files.upload import encode_form

        upload = encode_form(file, rule.file, fields, lambda filled: api.add_signature(filled, rule))
        headers = headers | {"Content-Type": upload.content_type}
    request = Request(
        method=call.method,
        template=without_query(call.template),
        origin=rule.host if rule.host and settings.obeys_hosts else settings.origin,
        target=target,
        headers=headers | check_headers(call.headers) if call.headers else headers,
        body=body,
        timeout=settings.timeout if call.timeout is None else parse_timeout(call.timeout),
        idempotent=parse_bool("idempotent", call.idempotent),
        _carried=Carried(upload, call.sink, api, needs_certificate),
    )
    return request.with_query(fields) if is_get else request


def _add_query(target: str, given: dict[str, str]) -> dict[str, str]:
    """Returns the parameters of a GET: those that the chain has, and those that were given. All of them are signed."""
    pairs = parse_qsl(target.partition("?")[2], keep_blank_values=True)
    written = dict(pairs)
    if len(written) < len(pairs) or not written.keys().isdisjoint(given):
        raise ArgumentError(
            "params: a parameter is there twice, in params= and in the chain, or in the chain alone; APIv2 signs each of them once"
        )
    return check_fields("params", {**written, **given})


def _fill(mchid: str, argument: str, fields: dict[str, str], rule: V2Rule) -> dict[str, str]:
    """Returns the fields with the merchant number and the type of the signature, if the operation has them.

    Raises:
        ArgumentError: a field is of another merchant, or is one that only the client may set.
    """
    check_owner(mchid, argument, fields)
    allowed = rule.sign_types or (MD5, HMAC_SHA256)
    if fields.get("sign_type", allowed[0]) not in allowed:
        raise ArgumentError(f"{argument}: sign_type came as {fields['sign_type']!r}; expected {' or '.join(allowed)}")
    return {
        **({rule.merchant: mchid} if rule.merchant else {}),
        **({"sign_type": rule.sign_types[0]} if rule.sends_sign_type else {}),
        **fields,
    }


@lru_cache(maxsize=64)
def _headers(library: str) -> Headers:
    return Headers(
        {
            "Accept": "text/xml, text/plain, application/json, application/x-gzip",
            "Accept-Encoding": "identity",
            # Without the charset, signatures over Chinese texts were refused.
            "Content-Type": "text/xml; charset=utf-8",
            "User-Agent": user_agent(library),
        }
    )
