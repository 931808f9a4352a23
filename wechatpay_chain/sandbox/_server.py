"""The sandbox as a user sees it: a gateway that is served over HTTP or HTTPS."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiohttp import web

from wechatpay_chain._client import Client
from wechatpay_chain._schemes.merchant_rsa import MERCHANT_RSA
from wechatpay_chain._schemes.merchant_sm2 import MERCHANT_SM2
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._acts import Acts
from wechatpay_chain.sandbox._control import Control
from wechatpay_chain.sandbox._customers import Customers
from wechatpay_chain.sandbox._delivery import deliver
from wechatpay_chain.sandbox._faults import SIGNATURE_FAULTS, Fault, Faults
from wechatpay_chain.sandbox._form import Form
from wechatpay_chain.sandbox._gateway import Gateway
from wechatpay_chain.sandbox._gateway_v2 import GatewayV2
from wechatpay_chain.sandbox._history import History, Seen
from wechatpay_chain.sandbox._http import ACCEPTED, make_request_id, read_request
from wechatpay_chain.sandbox._keys import Keys, Signer, parse_signer
from wechatpay_chain.sandbox._listener import Listener
from wechatpay_chain.sandbox._notices_v2 import make_xml_notice
from wechatpay_chain.sandbox._notifier import Notice, Notifier
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Result
from wechatpay_chain.sandbox._operations.registry import describe_operation
from wechatpay_chain.sandbox._page import Page
from wechatpay_chain.sandbox._resource import complete_resource
from wechatpay_chain.sandbox._routing import is_v2
from wechatpay_chain.sandbox._tls import Authority, AuthorityFile
from wechatpay_chain.sandbox._world import World

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sandbox", "Seen"]

MOST_KEPT = 1_000_000
"""The largest number of things of a kind that can be kept."""

Respond = Callable[[CheckedRequest], Any]
"""The function of an operation that a user adds."""


class Sandbox(World):
    """A WeChat Pay sandbox for one merchant and one brand. It is a context manager, and serves inside its `with` block.

    It generates the keys of the merchant, of the brand and of the service when it is created, and keeps its state in memory only.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 for a free port.
        sign_with: the key that signs every response: "public-key" or "certificate". None signs with the key that the request
            names in Wechatpay-Serial, or with the certificate.
        seed: makes the random choice of faults, and the numbers that the service assigns, repeatable; None does not.
        slowness: seconds by which the fault SLOW delays a response.
        tls: True serves HTTPS, with a certificate that is made at startup; `authority` is what a client has to trust. The
            operations of APIv2 that need the merchant's TLS certificate then require it.
        proxy: True serves a CONNECT proxy too, which leads api.mch.weixin.qq.com and the other hosts of the service here, for
            programs that have these hosts built in. It needs `tls`.
        keep: how many requests are kept in `history`, and how many orders, refunds, files, notifications and other things of
            each kind are remembered, from 1 to 1,000,000; the oldest are forgotten.
        sm2: True gives the merchant SM2 keys. It needs gmssl-pyx: pip install 'wechatpay-chain[sm2]'.
        public_url: the URL at which clients reach the sandbox, if a server in front of it has another one. Without it, the
            X-Forwarded-Proto and X-Forwarded-Host headers of such a server decide what the URLs of bills begin with.

    Attributes:
        base_url: the URL for clients on this machine; empty before the `with` block.
        authority: the certificate of the authority as PEM; empty without `tls`.
        proxy_url: the URL of the proxy, for HTTPS_PROXY; empty without `proxy` and before the `with` block.

    Raises:
        ConfigurationError: sign_with or keep is not one of these, proxy is given without tls, or gmssl-pyx is missing for sm2.
        OSError: on entering the `with` block, if it cannot listen on the address and port.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sign_with: Signer | str | None = None,
        seed: int | None = None,
        slowness: float = 3.0,
        tls: bool = False,
        proxy: bool = False,
        keep: int = 10_000,
        sm2: bool = False,
        public_url: str = "",
    ) -> None:
        if type(keep) is not int or not 1 <= keep <= MOST_KEPT:
            raise ConfigurationError(f"keep: came {keep!r}; expected a number from 1 to {MOST_KEPT:,}")
        if proxy and not tls:
            raise ConfigurationError("proxy: it needs tls=True, because a program that uses the proxy speaks HTTPS")
        authority = Authority()
        context, self.authority = (authority.make_context([host]), authority.pem) if tls else (None, "")
        self._customers = Customers(MERCHANT_SM2 if sm2 else MERCHANT_RSA, authority)
        self._keys = self._customers.merchant
        self._notifier = Notifier(self._keys, self._sign_notification, keep)
        self._sign_with = parse_signer(sign_with)
        numbers = secrets.randbits(64) if seed is None else seed
        self._gateway = Gateway(
            self._keys, self._customers.find_brand, self._sign_with, time.time, self._notifier.now, numbers, keep
        )
        self._gateway.account.announce = self._notifier.announce
        self._gateway.account.announce_xml = self._notifier.announce_xml
        self._gateway_v2 = GatewayV2(self._gateway.account, self._gateway.routes, asks_certificate=tls)
        super().__init__(self._gateway.account)
        self._faults, self._slowness = Faults(seed), slowness
        self._history = History(keep)
        page = Page(self._gateway, self._history, self._notifier, self._faults)
        form = Form(self._gateway, self.client)
        actions = (
            self.pay,
            self.fault,
            self.heal,
            self.rotate,
            self.advance,
            self.reset,
            self.notify,
            self.notify_xml,
            Acts(self).act,
        )
        self._control = Control(
            (*actions, self._notifier.send_again, form.call),
            {"state": self._state, **page.views, **form.views},
            page.find_file,
        )
        self._listener = Listener(self._handle, host, port, context, proxy)
        self._public_url, self._scheme = public_url.rstrip("/"), "https" if tls else "http"
        self._authority_file = AuthorityFile(self.authority)
        self.base_url = self.proxy_url = ""

    def __repr__(self) -> str:
        return f"<Sandbox {self.base_url or 'not started'} mchid={self._keys.number}>"

    def __enter__(self) -> Self:
        address = self._listener.start()
        self.base_url = f"{self._public_url or f'{self._scheme}://{address.netloc}'}/"
        self.proxy_url = f"http://{address.proxy}" if address.proxy else ""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._notifier.close()
        self._listener.stop()
        self._authority_file.remove()

    @property
    def credentials(self) -> dict[str, Any]:
        """The credentials of the merchant, as JSON values.

        base_url, mchid, serial, private_key, certs and apiv3_key; and for APIv2, apiv2_key, workwx_secret and, with RSA keys,
        certificate.
        """
        return {"base_url": self.base_url, **self._keys.credentials}

    @property
    def brand_credentials(self) -> dict[str, Any]:
        """The credentials of the brand, as JSON values: base_url, brand_id, serial, private_key, certs and apiv3_key."""
        return {"base_url": self.base_url, **self._customers.find_brand().credentials}

    @property
    def sign_with(self) -> Signer | None:
        """The key that signs every response; None for the key that the request names. It can be set at any time.

        Raises:
            ConfigurationError: the new value is not a Signer, "public-key", "certificate" or None.
        """
        return self._gateway.sign_with

    @sign_with.setter
    def sign_with(self, signer: Signer | str | None) -> None:
        self._gateway.sign_with = parse_signer(signer)

    @property
    def history(self) -> list[Seen]:
        """The last requests, 10,000 by default, in the order in which they were handled."""
        return list(self._history)

    @property
    def now(self) -> datetime:
        """The time on the sandbox's clock, which `advance` advances, in China's time zone."""
        return self._gateway.account.now()

    def operation(self, method: str, path: str) -> Callable[[Respond], Respond]:
        """Returns a decorator that adds an operation, or replaces one.

            @sandbox.operation("POST", "/v3/new/things/{thing_id}")
            def make(request):
                return {"thing_id": request.path["thing_id"], "state": "MADE"}

        The function gets the checked request: its `path` variables, its `query` and its `body`, decrypted. It returns the JSON
        of a 200, or a pair of a status and the JSON, None for no body; or it raises a `Refusal`.

        Args:
            method: the HTTP method in upper case.
            path: the path template, with its leading slash.
        """

        def add(respond: Respond) -> Respond:
            def handle(_account: Account, request: CheckedRequest) -> Result:
                result = respond(request)
                return result if isinstance(result, tuple) else (200, result)

            self._gateway.routes.add(describe_operation(method, path, handle))
            return respond

        return add

    def reset(self) -> None:
        """Forgets everything but the keys: orders, files, faults, added operations, waiting notifications, and the clock."""
        self._gateway.account.reset()
        self._gateway.sign_with = self._sign_with
        self._notifier.reset()
        self._gateway.routes.clear()
        self._faults.clear()
        self._history.clear()

    def rotate(self) -> None:
        """Makes a new platform certificate, which signs from now on. The old ones stay in the list."""
        self._keys.rotate()

    def fault(self, fault: Fault | str, *, times: int | None = None, share: float | None = None) -> None:
        """Adds a fault to the next response, to the next `times` responses, or to a share of all from now on.

        Faults of the next responses occur in the order in which they were added, before faults with a share.

        Args:
            fault: the fault, such as Fault.SIGNTEST or "signtest".
            times: the number of responses, from 1 to 100,000; one by default.
            share: the share of all responses, from 0 to 1; 0 ends it. The shares of all faults must not add up to
                more than 1.

        Raises:
            ConfigurationError: there is no such fault; both times and share are given; or one is out of range.
        """
        self._faults.add(fault, times, share)

    def heal(self) -> None:
        """Ends all faults."""
        self._faults.clear()

    def notify(
        self,
        event_type: str,
        resource: Any,
        url: str,
        *,
        original_type: str = "",
        fault: Fault | str | None = None,
        to: str = "merchant",
    ) -> Notice:
        """Posts a notification, and retries it by the service's schedule until it is received.

        The first post has been made when this returns. The retries are made when their time comes, or when `advance` makes
        them due; none is made after the `with` block.

        Args:
            event_type: the event type, such as TRANSACTION.SUCCESS.
            resource: the resource to encrypt. The required members that an object lacks are filled in, if the event is
                documented; another JSON value stays as it is.
            url: the URL to post to.
            original_type: the kind of the resource; by default the first documented one, or the first word of the event type.
            fault: a fault in the signature of the first post; the signatures of the retries are valid.
            to: whose keys sign and encrypt it: "merchant" or "brand".

        Returns:
            The notification, which shows its posts so far. It is updated with each retry.

        Raises:
            ConfigurationError: the fault is not one of signatures, or `to` is neither.
        """
        if fault is not None and fault not in SIGNATURE_FAULTS:
            raise ConfigurationError(f"fault: came {fault!r}; expected one of {', '.join(SIGNATURE_FAULTS)}")
        kind, completed = complete_resource(self._gateway.account, event_type, resource, original_type)
        first_fault, keys = None if fault is None else Fault(fault), self._customers.find(to)

        def sign_first(body: bytes) -> Mapping[str, str]:
            return self._gateway.break_signature(self._sign_notification(keys, body), body, first_fault)

        return self._notifier.notify(event_type, completed, url, kind, sign_first, keys)

    def notification(
        self, event_type: str, resource: Mapping[str, Any] = {}, *, original_type: str = "", to: str = "merchant"
    ) -> tuple[dict[str, str], bytes]:
        """Returns the headers and the body of a notification, for a test client that has no URL.

            headers, body = sandbox.notification("REFUND.SUCCESS", {"out_refund_no": "…"})
            app.test_client().post("/notify", headers=headers, data=body)

        Args:
            event_type: the event type.
            resource: members of the resource. The required members that it lacks are filled in, if the event is documented.
            original_type: the kind of the resource; by default the first documented one, or the first word of the event type.
            to: whose keys sign and encrypt it: "merchant" or "brand".

        Raises:
            ConfigurationError: `to` is neither.
        """
        kind, completed = complete_resource(self._gateway.account, event_type, resource, original_type)
        keys = self._customers.find(to)
        body = self._notifier.make(event_type, completed, "", kind, "沙箱通知", keys).body
        headers = {"Content-Type": "application/json", "Request-ID": make_request_id(ACCEPTED)}
        return {**headers, **self._sign_notification(keys, body)}, body

    def notify_xml(self, kind: str, fields: Mapping[str, Any], url: str) -> Notice:
        """Posts a notification of APIv2, and retries it until it is confirmed; see `notify`.

            sandbox.notify_xml("contract", {"contract_id": "…", "change_type": "DELETE"}, "http://127.0.0.1:3000/notify")

        Args:
            kind: payment, deduction, combined payment, contract, vehicle, risk, product or event, as in `XMLNotification`; or refund.
            fields: its fields. Those that every such notification has are filled in. Those of an event and of a refund are
                encrypted; `event_type` of an event is CHECK.SUCCESS by default.
            url: the URL to post to.

        Raises:
            ConfigurationError, ArgumentError: there is no such kind, or a field cannot be written.
        """
        return self._notifier.notify_xml(kind, self.notification_xml(kind, fields), url)

    def notification_xml(self, kind: str, fields: Mapping[str, Any] = {}) -> bytes:
        """Returns the body of a notification of APIv2, for a test client that has no URL; `notify_xml` has the arguments."""
        return make_xml_notice(kind, fields, self._keys, self.now)

    def advance(self, seconds: float) -> None:
        """Advances the sandbox's clock. The notifications that are due by then have been posted when this returns.

        On the same clock, the bills of a day are available from ten o'clock of the next day, in China. Signatures carry the
        real time, because the receiver compares their timestamp with its own clock.

        Args:
            seconds: the seconds to advance by, from 0 to 10**8.

        Raises:
            ConfigurationError: seconds is not a number in this range.
        """
        self._notifier.advance(seconds)
        self._gateway.account.settle()
        self._notifier.advance(0)  # posts what this has announced

    def client(self, **settings: Any) -> Client:
        """Returns a client with the merchant's credentials, which connects without a proxy.

        One with another key has no TLS certificate, unless it is given one: the merchant's belongs to its key.

        Args:
            **settings: settings of `Client`, which add to the credentials or replace them.
        """
        known = self.credentials
        if settings.keys() & {"private_key", "signer"}:
            known.pop("certificate", None)
        return self._make_client(known, settings)

    def brand_client(self, **settings: Any) -> Client:
        """Returns a client with the brand's credentials, which connects without a proxy. `operation` adds what it can call.

        Args:
            **settings: settings of `Client`, which add to the credentials or replace them.
        """
        return self._make_client(self.brand_credentials, settings)

    def _make_client(self, credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> Client:
        trust = {"ca_bundle": self._authority_file.path} if self.authority else {}
        return Client(**{"proxies": {}, **trust, **credentials, **settings})

    async def _handle(self, received: web.BaseRequest) -> web.StreamResponse:
        # `received.read()` is limited to one megabyte, and files may be larger.
        body = await received.content.read()
        if self._control.covers(received):
            return await self._control.respond(received, body)
        request = read_request(received, body, self._public_url, self._scheme)
        fault = self._faults.draw()
        gateway = self._gateway_v2 if is_v2(request.target) else self._gateway
        response = gateway.respond(request, fault)
        self._history.add(request, response, fault, self.now)
        return await deliver(received, response, self._slowness)

    def _state(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "mchid": self._keys.number,
            "now": self.now,
            "orders": self.orders,
            "faults": self._faults.describe(),
            "requests": len(self._history),
        }

    def _sign_notification(self, keys: Keys, body: bytes) -> Mapping[str, str]:
        return self._gateway.sign(keys, body)
