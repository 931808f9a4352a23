"""Makes the requests of APIv2."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.card_key import CardKey
from wechatpay_chain._chain.v2_settings import V2Settings
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._messages.effects import Steps, UseFile
from wechatpay_chain._messages.request import Request
from wechatpay_chain._schemes.by_key import encrypt
from wechatpay_chain.errors import ArgumentError, ConfigurationError

__all__ = ["V2Calls"]


class V2Calls(NamedTuple):
    """Makes the requests of APIv2.

    Attributes:
        settings: what they need of the client's settings.
        card_key: encrypts `Sensitive` values.
    """

    settings: V2Settings
    card_key: CardKey

    def prepare(self, call: Call, library: str) -> Steps[Request]:
        """Encodes a call; `Calls` has the arguments."""
        if not self.settings.keys:
            raise ConfigurationError("apiv2_key: it is missing; calls of APIv2 are signed with it")
        if call.json is not None:
            raise ArgumentError(f"json: /{call.template} speaks XML; pass the fields as xml=")
        with no_fork.current:
            from wechatpay_chain._chain.v2_encoding import encode  # many programs need no XML
            from wechatpay_chain._files.source import open_file
        if is_sensitive := call.is_sensitive:
            call = yield from self._encrypt(call, library)
        if call.files is None:
            return encode(self.settings, call, library, None, self.card_key.forget if is_sensitive else None)
        # To read and hash a file takes time, which an event loop does not have.
        file = yield UseFile(partial(open_file, call.files))
        request: Request = yield UseFile(partial(encode, self.settings, call, library, file))
        return request

    def _encrypt(self, call: Call, library: str) -> Steps[Call]:
        from wechatpay_chain._chain.v2_encoding import encode

        # Mistakes in the call show before anything is fetched.
        encode(self.settings, call.encrypted(lambda _: ""), library, None)
        key = yield from self.card_key.find(lambda fetching: encode(self.settings, fetching, library, None))
        return call.encrypted(partial(encrypt, key=key))
