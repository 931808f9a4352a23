"""Shows what a call would sign and send, and sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from wechatpay_chain._cli.console import print_line
from wechatpay_chain._cli.credentials import Credentials
from wechatpay_chain._cli.outcome import Failure

if TYPE_CHECKING:
    from wechatpay_chain._messages.request import Request

__all__ = ["show_request"]

CARD_KEY = "/risk/getpublickey"
"""Where the key is fetched that encrypts the card numbers of APIv2."""


class _Recorded(Exception):
    """Ends a call whose request is ready."""

    def __init__(self, request: Request) -> None:
        super().__init__("the request is ready")
        self.request = request


class _Recorder:
    """A transport that ends a call when its request is ready, and a verifier, so that no certificate is fetched before."""

    def send(self, request: Request) -> NoReturn:
        """Keeps a signed request."""
        raise _Recorded(request)

    def verify(self, _message: bytes, _signature: str, _serial: str) -> bool:
        """Verifies nothing, for there is no response."""
        return False


def show_request(credentials: Credentials, method: str, path: str, arguments: Mapping[str, Any]) -> None:
    """Prints the canonical message of a call and its headers.

    Args:
        credentials: the options with the settings.
        method: the method.
        path: the path or its template.
        arguments: the keywords of the verb.

    Raises:
        Failure: a certificate or a key would have to be fetched first.
    """
    from wechatpay_chain._schemes.canonical import parse_authorization, request_message

    request = _record(credentials, method, path, arguments)
    if signed := parse_authorization(request.headers.get("Authorization", "")):
        message = request_message(
            request.method, request.target, signed["timestamp"], signed["nonce_str"], request.body
        )
        print_line(("# the canonical message, which is signed: five lines, each with a line feed", "dim"))
        print_line(message.decode(errors="replace").removesuffix("\n"))
    elif request.body:
        print_line(("# the body, which has its signature in it", "dim"))
        print_line(request.body.decode(errors="replace"))
    print_line((f"# {request.method} {request.url}", "dim"))
    for name, value in request.headers.items():
        print_line((f"{name}: ", "cyan"), value)
    print_line(("# nothing was sent", "dim"))


def _record(credentials: Credentials, method: str, path: str, arguments: Mapping[str, Any]) -> Request:
    """Returns the request of a call, signed."""
    from wechatpay_chain._catalogue.certificates import lists_certificates

    recorder = _Recorder()
    with credentials.client(transport=recorder, verifier=recorder, certificate_cache=None) as client:
        call: Callable[..., object] = getattr(client.chain(path), method.lower())
        try:
            call(**arguments)
        except _Recorded as ended:
            request = ended.request
        else:
            raise AssertionError("a call ended without a request")
    if lists_certificates(request.method, request.target) and "certificates" not in path:
        raise Failure(
            "--dry-run: the request has members to encrypt, for which a certificate would be fetched first; add "
            "public_key_id and public_key, or certs, to the settings"
        )
    if request.target == CARD_KEY and not path.endswith(CARD_KEY):
        raise Failure("--dry-run: the request has members to encrypt, for which a key would be fetched first")
    return request
