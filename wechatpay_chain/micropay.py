"""Payment by a payment code (付款码) in APIv2: one call from the code to an outcome that is certain.

    from wechatpay_chain import micropay

    result = micropay.pay(client, {"appid": "wx…", "body": "…", "out_trade_no": "…", "total_fee": 100, "auth_code": "13…", …})
    if result.outcome == "paid":
        …

There is no notification of such a payment. A response that says that the user is typing the password, or no response, leaves the
outcome open; then the order is queried until it is certain, and reversed if the user does not pay in time.

An order is reversed only after a verified query of the same minute has said that it is not paid. If no query can be verified, nothing
is reversed, and an error says so: a reversal of a paid order gives the money back.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4011937125
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    ServerError,
    TransportError,
    WeChatPayError,
)

if TYPE_CHECKING:
    from wechatpay_chain._client import Client

__all__ = ["Micropayment", "pay", "pay_async"]

LEAST_PATIENCE = 15.0
"""Seconds after a payment before which it must not be reversed."""

REVERSALS = 6
"""How often a reversal is tried. Its repetition is safe."""

_REFUSED = frozenset(
    {
        "APPID_MCHID_NOT_MATCH",
        "APPID_NOT_EXIST",
        "AUTHCODEEXPIRE",
        "AUTH_CODE_ERROR",
        "AUTH_CODE_INVALID",
        "BUYER_MISMATCH",
        "INVALID_REQUEST",
        "LACK_PARAMS",
        "MCHID_NOT_EXIST",
        "NOAUTH",
        "NOTENOUGH",
        "NOTSUPORTCARD",
        "NOT_UTF8",
        "ORDERCLOSED",
        "ORDERREVERSED",
        "OUT_TRADE_NO_USED",
        "PARAM_ERROR",
        "REQUIRE_POST_METHOD",
        "TRADE_ERROR",
        "XML_FORMAT_ERROR",
    }
)
"""Codes that say for certain that this call pays nothing. Any other code leaves the outcome open, also one that is new."""

_OUTCOMES: Mapping[str, Literal["paid", "unpaid", "reversed"]] = {
    "SUCCESS": "paid",
    "REFUND": "reversed",
    "REVOKED": "reversed",
    "CLOSED": "unpaid",
    "PAYERROR": "unpaid",
}
_OPEN = ("NOTPAY", "USERPAYING", "ACCEPT", "NOTEXIST")
"""States in which an order is not paid, and may be reversed. A state that is new is none of these."""

_IDENTITY = ("appid", "sub_appid", "sub_mch_id", "sign_type")
"""Fields of the payment that a query and a reversal have too."""


@dataclass(frozen=True)
class Micropayment:
    """The outcome of a payment, which is certain.

    Attributes:
        outcome: `paid`; `unpaid`, if the order is closed or the payment failed; `reversed`, if the user did not pay in time, or the
            money was given back.
        fields: the response that says so, with `transaction_id` and so on if it is paid. Its repr does not show them.
    """

    outcome: Literal["paid", "unpaid", "reversed"]
    fields: Mapping[str, Any] = field(repr=False)


class _Post(NamedTuple):
    """A step: a call of APIv2."""

    path: str
    fields: Mapping[str, Any]


_Answer = Mapping[str, Any] | WeChatPayError | None
"""The fields of a response, the error in its place, or nothing after a wait."""


def pay(client: Client, fields: Mapping[str, Any], *, patience: float = 45.0, interval: float = 5.0) -> Micropayment:
    """Pays, and returns when the outcome is certain. It blocks for `patience` and some seconds at most, and what its calls take.

    Args:
        client: a client with `apiv2_key` and the merchant's TLS certificate, which a reversal needs.
        fields: the fields of `pay/micropay`: appid, body, out_trade_no, total_fee, spbill_create_ip, auth_code and so on. Pass a new
            out_trade_no for each sale, and the same one if you call this again for a sale.
        patience: seconds that the user has to type the password; at least 15.
        interval: seconds between queries; at least 1.

    Raises:
        ArgumentError, ConfigurationError: before anything is sent.
        APIError: the service refused the payment for certain, with a code such as NOTENOUGH or AUTHCODEEXPIRE.
        TransportError: nothing was sent (`sent` is False); or the outcome is not known although all of the time has passed, and
            nothing was reversed (`sent` is True). Then call this again with the same fields, or query the order.
    """
    flow, answer = _pay(client, fields, patience, interval), None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as ended:
            result: Micropayment = ended.value
            return result
        if isinstance(step, _Post):
            try:
                answer = client.chain(step.path).post(xml=step.fields).xml()
            except WeChatPayError as error:
                answer = error
        else:
            time.sleep(step)
            answer = None


async def pay_async(
    client: Client, fields: Mapping[str, Any], *, patience: float = 45.0, interval: float = 5.0
) -> Micropayment:
    """Does the same as `pay`, for callers that await. If its task is cancelled, query the order."""
    flow, answer = _pay(client, fields, patience, interval), None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as ended:
            result: Micropayment = ended.value
            return result
        if isinstance(step, _Post):
            try:
                answer = (await client.chain(step.path).post_async(xml=step.fields)).xml()
            except WeChatPayError as error:
                answer = error
        else:
            await asyncio.sleep(step)
            answer = None


def _pay(
    client: Client, fields: Mapping[str, Any], patience: float, interval: float
) -> Generator[_Post | float, _Answer, Micropayment]:
    """Yields the calls to make, and the seconds to wait; is sent what came of each."""
    _check(client, fields, patience, interval)
    asked = {name: fields[name] for name in ("out_trade_no", *_IDENTITY) if name in fields}
    began = time.monotonic()
    paid = yield _Post("v2/pay/micropay", fields)
    if isinstance(paid, Mapping) and _is_about(paid, fields):
        return Micropayment("paid", paid)
    if isinstance(paid, WeChatPayError) and _is_certain(paid):
        raise paid
    # A message that the service did not accept is no order; a first query at once shows that.
    is_refused = isinstance(paid, APIError) and paid.status_code == 200 and paid.return_code != "SUCCESS"
    yield 0.0 if is_refused else interval
    while True:
        found = yield _Post("v2/pay/orderquery", asked)
        if is_refused and isinstance(found, NotFoundError) and isinstance(paid, APIError):
            raise paid
        state = _read_state(found, fields)
        if isinstance(found, Mapping) and state in _OUTCOMES:
            return Micropayment(_OUTCOMES[state], found)
        if time.monotonic() - began >= patience:
            break
        yield interval
    if state not in _OPEN:
        raise TransportError(
            f"v2/pay/micropay: it is not known whether {asked['out_trade_no']!r} is paid, and nothing was reversed: no query "
            f"succeeded within {patience:.0f} seconds. Call micropay.pay again with the same fields, or query the order",
            sent=True,
        ) from (found if isinstance(found, WeChatPayError) else None)
    return (yield from _reverse(asked, interval))


def _reverse(asked: Mapping[str, Any], interval: float) -> Generator[_Post | float, _Answer, Micropayment]:
    """Reverses an order that is not paid, until the service says that nothing is left to do."""
    answer: _Answer = None
    for attempt in range(REVERSALS):
        if attempt:
            yield interval
        answer = yield _Post("v2/secapi/pay/reverse", asked)
        if isinstance(answer, NotFoundError):
            return Micropayment("unpaid", {"out_trade_no": asked["out_trade_no"]})
        if isinstance(answer, Mapping) and answer.get("recall") == "N":
            return Micropayment("reversed", answer)
        if isinstance(answer, APIError) and not isinstance(answer, ServerError):
            raise answer
    raise TransportError(
        f"v2/secapi/pay/reverse: it is not known whether {asked['out_trade_no']!r} is reversed, after {REVERSALS} attempts. Call "
        "micropay.pay again with the same fields, or query the order",
        sent=True,
    ) from (answer if isinstance(answer, WeChatPayError) else None)


def _check(client: Client, fields: Mapping[str, Any], patience: float, interval: float) -> None:
    if not isinstance(fields, Mapping) or not isinstance(fields.get("out_trade_no"), str) or not fields["out_trade_no"]:
        raise ArgumentError(
            "fields: out_trade_no is missing; expected the fields of v2/pay/micropay, with a number for the order"
        )
    for name, value, least in (("patience", patience, LEAST_PATIENCE), ("interval", interval, 1.0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= 600:
            raise ArgumentError(f"{name}: came {value!r}; expected seconds, from {least:.0f} to 600")
    if not client._config.v2.has_certificate:
        raise ConfigurationError(
            "certificate: it is missing, or private_key= is; a payment that the user does not confirm is reversed, for which the "
            "service asks for the merchant's TLS certificate"
        )


def _is_certain(error: WeChatPayError) -> bool:
    """Tells whether an error says for certain that nothing is paid."""
    if not error.sent or isinstance(error, AuthenticationError):
        return True
    return isinstance(error, APIError) and not isinstance(error, ServerError) and error.err_code in _REFUSED


def _is_about(found: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Tells whether a response is about this order: a signed one of another order may have been replayed."""
    return found.get("out_trade_no") == fields["out_trade_no"] and str(found.get("total_fee", "")) in (
        str(fields.get("total_fee", "")),
        "",
    )


def _read_state(found: _Answer, fields: Mapping[str, Any]) -> str:
    """Returns the state of an order as a verified query says it; an empty text if there is none."""
    if isinstance(found, NotFoundError):
        return "NOTEXIST"
    return str(found.get("trade_state", "")) if isinstance(found, Mapping) and _is_about(found, fields) else ""
