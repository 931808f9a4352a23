"""APIv3: the signature is in headers, over the bytes of the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wechatpay_chain._catalogue.certificates import lists_certificates
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.refresh import Refresh
from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.protocols import Verifier
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.errors import find_error
from wechatpay_chain._pipeline.verify import check_response
from wechatpay_chain._schemes.canonical import request_message
from wechatpay_chain.errors import APIError

__all__ = ["ApiV3"]


class ApiV3(NamedTuple):
    """Signs and judges the calls of APIv3; `layers.Api` says what each method does.

    Attributes:
        credentials: of the merchant.
        keyring: the keys of WeChat Pay.
        verifier: verifies in place of the keyring; None to use the keyring.
        refresh: fetches certificates.
        decrypt: decrypts a text that is encrypted to the merchant. Each response gets it, for `Response.decrypt`.
    """

    credentials: Credentials
    keyring: Keyring
    verifier: Verifier | None
    refresh: Refresh
    decrypt: Callable[[str], str]

    def sign(self, request: Request) -> Steps[Request]:
        """Adds the Authorization header, and where the service has public keys only the name of one, which it then requires."""
        authorization = yield from self.credentials.make_authorization(
            lambda timestamp, nonce: request_message(request.method, request.target, timestamp, nonce, request.body)
        )
        added = {"Authorization": authorization}
        if not self.credentials.scheme.has_certificates and "Wechatpay-Serial" not in request.headers:
            added["Wechatpay-Serial"] = self.keyring.preferred_id or ""
        return request.with_headers(added)

    def renew_keys(self, request: Request, response: Response) -> Steps[None]:
        """Takes a list of certificates, and fetches one if the response names a key that is not there."""
        if not response.ok:
            return
        if lists_certificates(request.method, request.target):
            yield from self.refresh.adopt(response)
        else:
            yield from self.refresh.refresh(response.headers.get("Wechatpay-Serial", ""), request)

    def verify(self, request: Request, response: Response) -> Steps[Response]:
        """Verifies a 2xx response. Error responses may be unsigned; they are raised."""
        if response.ok:
            yield from check_response(request, response, self.keyring, self.verifier)
        return response._with_decryption(self.decrypt)

    def find_error(self, response: Response) -> APIError | None:
        """Returns the error of a status other than 2xx."""
        return find_error(response)
