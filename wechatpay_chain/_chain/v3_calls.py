"""Makes the requests of APIv3: encrypts what is sensitive, and encodes the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.encoding import Encoder
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.refresh import Refresh
from wechatpay_chain._messages.effects import Steps, UseFile
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._schemes.by_key import encrypt
from wechatpay_chain.errors import ArgumentError

__all__ = ["V3Calls"]


class V3Calls(NamedTuple):
    """Makes the requests of APIv3.

    Attributes:
        encoder: encodes calls.
        keyring: the keys of WeChat Pay.
        refresh: fetches platform certificates.
    """

    encoder: Encoder
    keyring: Keyring
    refresh: Refresh

    def prepare(self, call: Call, library: str) -> Steps[Request]:
        """Encrypts and encodes a call; `Calls` has the arguments. A key to verify the response with is there before it is sent."""
        encode, file = self.encoder.encode, None
        key_id: str | None
        if call.xml is not None:
            raise ArgumentError(f"xml: /{call.template} speaks JSON; pass the body as json=")
        if call.certificate is not None:
            raise ArgumentError(f"certificate: /{call.template} needs none; the TLS certificate is for APIv2")
        if call.files is not None:
            with no_fork.current:
                from wechatpay_chain._files.source import open_file

            # To read and hash a file takes time, which an event loop does not have.
            file = yield UseFile(partial(open_file, call.files))
        if call.is_sensitive:
            preferred = self.keyring.preferred
            if preferred is None:
                # Mistakes in the rest of the call show before anything is fetched.
                trial = partial(encode, call.encrypted(lambda _: ""), library, None, file)
                unencrypted: Request = trial() if file is None else (yield UseFile(trial))
                preferred = yield from self.refresh.fetch_first_key(unencrypted)
            key_id, key = preferred  # read once: the key that encrypts is the key that is named
            call = _encrypt(call, key_id, partial(encrypt, key=key))
        else:
            key_id = self.keyring.preferred_id
        make = partial(encode, call, library, key_id, file)
        request: Request = make() if file is None else (yield UseFile(make))
        if key_id is None and self.refresh.needs_first_key(request):
            # Otherwise the call could be acted on, and nothing could verify its response.
            yield from self.refresh.fetch_first_key(request)
        return request


def _encrypt(call: Call, key_id: str, encrypt: Callable[[str], str]) -> Call:
    named = Headers(call.headers or {}).get("Wechatpay-Serial", key_id)
    if named != key_id:
        raise ArgumentError(
            f"headers: Wechatpay-Serial names {named!r}, but the `Sensitive` values are encrypted with {key_id!r}; leave the "
            "header out"
        )
    return call.encrypted(encrypt)
