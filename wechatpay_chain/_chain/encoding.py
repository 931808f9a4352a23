"""Encodes a call into a request, once: the bytes that are signed are the bytes that are sent."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from wechatpay_chain._catalogue.file_operations import Signed, what_is_signed
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.template import expand, without_query
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._messages.arguments import parse_bool, parse_timeout
from wechatpay_chain._messages.fields import check_fields
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.json_body import encode_body
from wechatpay_chain._messages.request import Carried, Request, Timeout
from wechatpay_chain._version import __version__

if TYPE_CHECKING:
    from wechatpay_chain._files.source import File

__all__ = ["Encoder", "user_agent"]


class Encoder(NamedTuple):
    """What every request of a client has in common.

    Attributes:
        origin: scheme, host and port of the service.
        timeout: of calls that have none of their own.
    """

    origin: str
    timeout: Timeout

    def encode(self, call: Call, library: str, key_id: str | None, file: File | None = None) -> Request:
        """Returns the request of a call, without a signature.

        Args:
            call: without any `Sensitive` value.
            library: the HTTP library, for the User-Agent header; empty for none.
            key_id: the key of WeChat Pay that should sign the response; None names none.
            file: the file of an upload.

        Raises:
            PathVariableError, ArgumentError: an argument of the call cannot be sent.
        """
        target = expand(call.template, call.variables, call.params)
        is_file = what_is_signed(call.method, target) is not Signed.CONTENT
        headers = _headers(library, key_id, "*/*" if is_file else "application/json")
        headers = headers | check_fields(call.headers) if call.headers else headers
        uploaded = None
        if file is not None:
            with no_fork.current:
                from wechatpay_chain._files.upload import encode_upload  # mimetypes alone takes 3 ms to import

            body, uploaded = encode_upload(target.partition("?")[0], file, call.json)
            headers = headers | {"Content-Type": uploaded.content_type}
        else:
            body = b"" if call.json is None else encode_body(call.json)
        return Request(
            method=call.method,
            template=without_query(call.template),
            origin=self.origin,
            target=target,
            headers=headers,
            body=body,
            timeout=self.timeout if call.timeout is None else parse_timeout(call.timeout),
            idempotent=parse_bool("idempotent", call.idempotent),
            _carried=Carried(uploaded, call.sink),
        )


@lru_cache(maxsize=4096)
def _headers(library: str, key_id: str | None, accept: str) -> Headers:
    return Headers(
        {
            "Accept": accept,
            "Accept-Encoding": "identity",  # what is signed is the body before any encoding
            "Content-Type": "application/json",
            "User-Agent": user_agent(library),
            # Names the key that should sign the response: https://pay.weixin.qq.com/doc/v3/merchant/4012154180
            **({"Wechatpay-Serial": key_id} if key_id else {}),
        }
    )


def user_agent(library: str) -> str:
    """Returns the User-Agent header.

    Args:
        library: the HTTP library; empty for none.
    """
    return f"{_USER_AGENT} {library}".rstrip()


_PYTHON = ".".join(map(str, sys.version_info[:3]))
_USER_AGENT = f"wechatpay-chain/{__version__} ({sys.platform}) Python/{_PYTHON}"
