"""Payment by a payment code (付款码) in APIv2: one call from the code to an outcome that is certain.

    from wechatpay_chain import micropay

    result = micropay.pay(client, {"appid": "wx…", "body": "…", "out_trade_no": "…", "total_fee": 100, "auth_code": "13…", …})
    if result.outcome == "paid":
        …

There is no notification of such a payment. A response that says that the user is typing the password, or no response, leaves the
outcome open; then the order is queried until it is certain, and reversed if the user does not pay in time. A refusal is queried, too:
it is about this call, and the order may have been paid by an earlier one.

An order is reversed only after a verified query has said that it is not paid. If no query can be verified, nothing is reversed, and an
error says so: a reversal of a paid order gives the money back.

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
    RateLimitError,
    ServerError,
    TransportError,
    WeChatPayError,
)

if TYPE_CHECKING:
    from wechatpay_chain._client import Client

__all__ = ["Micropayment", "pay", "pay_async"]

LEAST_PATIENCE = 15.0
"""Seconds after a payment before which it must not be reversed."""

MOST_INTERVAL = 10.0
"""The longest interval."""

MOST_QUERY_TIME = 10.0
"""Seconds that the query may have taken that allows a reversal. The user may have paid while its response was on its way."""

LATE_QUERIES = 3
"""How often a query that took longer than MOST_QUERY_TIME is repeated at the end."""

LEAST_GAP = 5.0
"""Seconds between two queries that say that nobody pays an order whose payment was refused."""

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
"""Codes that say that this call pays nothing. Any other code leaves the outcome open, also one that is new."""

_OF_ANOTHER_CALL = frozenset({"INVALID_REQUEST", "OUT_TRADE_NO_USED", "TRADE_ERROR"})
"""Those of them that may mean that another call with this number is still paying."""

_OUTCOMES: Mapping[str, Literal["paid", "unpaid", "reversed", "refunded"]] = {
    "SUCCESS": "paid",
    "REFUND": "refunded",
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
        outcome: `paid`; `unpaid`, if the order is closed or the payment failed; `reversed`, if the order was reversed, because the
            user did not pay in time, or by an earlier call; `refunded`, if the money was given back, or a part of it, which
            `pay/refundquery` tells.
        fields: the response that says so, with `transaction_id` and so on if it is paid. Its repr does not show them.
    """

    outcome: Literal["paid", "unpaid", "reversed", "refunded"]
    fields: Mapping[str, Any] = field(repr=False)


class _Post(NamedTuple):
    """A step: a call of APIv2."""

    path: str
    fields: Mapping[str, Any]


_Result = Mapping[str, Any] | WeChatPayError | None
"""The fields of a response, the error in its place, or nothing after a wait."""


def pay(client: Client, fields: Mapping[str, Any], *, patience: float = 45.0, interval: float = 5.0) -> Micropayment:
    """Pays, and returns when the outcome is certain. It waits for `patience` + 5 × `interval` seconds at most; its calls take time, too.

    Args:
        client: a client with `apiv2_key` and the merchant's TLS certificate, which a reversal needs.
        fields: the fields of `pay/micropay`: appid, body, out_trade_no, total_fee, spbill_create_ip, auth_code and so on. Pass a new
            out_trade_no for each sale, and the same one if you call this again for a sale.
        patience: seconds from the response on that the user has to type the password; 15 to 600.
        interval: seconds between queries, and between attempts to reverse the order; 1 to 10.

    Raises:
        ArgumentError, ConfigurationError: before anything is sent.
        APIError: the service refused the payment, with a code such as NOTENOUGH or AUTHCODEEXPIRE, and queries have confirmed that
            this sale is not paid.
        TransportError: nothing was sent (`sent` is False); or it is not known whether the order is paid, or whether it is reversed
            (`sent` is True). Then call this again with the same fields, or query the order; also after a KeyboardInterrupt or the
            cancellation of a task. Its cause is the last error, such as an AuthenticationError if `apiv2_key` is wrong.
    """
    flow, result = _pay(client, fields, patience, interval), None
    while True:
        try:
            step = flow.send(result)
        except StopIteration as ended:
            outcome: Micropayment = ended.value
            return outcome
        if isinstance(step, _Post):
            try:
                result = client.chain(step.path).post(xml=step.fields).xml()
            except WeChatPayError as error:
                result = error
        else:
            time.sleep(step)
            result = None


async def pay_async(
    client: Client, fields: Mapping[str, Any], *, patience: float = 45.0, interval: float = 5.0
) -> Micropayment:
    """Does the same as `pay`, for callers that await."""
    flow, result = _pay(client, fields, patience, interval), None
    while True:
        try:
            step = flow.send(result)
        except StopIteration as ended:
            outcome: Micropayment = ended.value
            return outcome
        if isinstance(step, _Post):
            try:
                result = (await client.chain(step.path).post_async(xml=step.fields)).xml()
            except WeChatPayError as error:
                result = error
        else:
            await asyncio.sleep(step)
            result = None


def _pay(
    client: Client, fields: Mapping[str, Any], patience: float, interval: float
) -> Generator[_Post | float, _Result, Micropayment]:
    """Yields the calls to make, and the seconds to wait; is sent what came of each."""
    _check(client, fields, patience, interval)
    asked = {name: fields[name] for name in ("out_trade_no", *_IDENTITY) if name in fields}
    first = yield _Post("v2/pay/micropay", fields)
    if isinstance(first, Mapping) and _is_about(first, fields):
        return Micropayment("paid", first)
    if isinstance(first, WeChatPayError) and not first.sent:
        raise first
    began = time.monotonic()
    refusal = first if isinstance(first, APIError) and _is_refusal(first) else None
    pause = interval if refusal is None else max(interval, LEAST_GAP)
    wait = 0.0 if refusal is not None and _is_verified(refusal) else pause
    state, late = "", 0
    while True:
        yield wait
        sent_at = time.monotonic()
        found = yield _Post("v2/pay/orderquery", asked)
        took = time.monotonic() - sent_at
        before, state = state, _read_state(found, fields)
        if refusal is not None and (_confirms(before, state, refusal) or _is_of_another_sale(found, fields)):
            raise refusal
        if refusal is not None and _is_refused_alike(found, refusal):
            raise TransportError(
                f"v2/pay/micropay: the service refuses the payment and its query for one reason, so it is not known whether "
                f"{asked['out_trade_no']!r} was paid by an earlier call. Correct that, then call micropay.pay again with the same fields",
                sent=True,
            ) from refusal
        if isinstance(found, Mapping) and state in _OUTCOMES:
            return Micropayment(_OUTCOMES[state], found)
        left = began + patience - time.monotonic()
        if left > 0:
            wait = min(pause, left)
        elif state in _OPEN and took > MOST_QUERY_TIME and late < LATE_QUERIES:
            wait, late = 0.0, late + 1
        else:
            break
    if state not in _OPEN or took > MOST_QUERY_TIME:
        why = (
            f"took {took:.0f} seconds, in which the user may have paid"
            if state in _OPEN
            else f"has the state {state!r}"
            if state
            else "failed"
            if isinstance(found, WeChatPayError)
            else "was about another order"
        )
        raise TransportError(
            f"v2/pay/micropay: it is not known whether {asked['out_trade_no']!r} is paid, and nothing was reversed: the last query in "
            f"{patience:.0f} seconds {why}. Call micropay.pay again with the same fields, or query the order",
            sent=True,
        ) from next((each for each in (found, first) if isinstance(each, WeChatPayError)), None)
    return (yield from _reverse(asked, interval))


def _reverse(asked: Mapping[str, Any], interval: float) -> Generator[_Post | float, _Result, Micropayment]:
    """Reverses an order that is not paid, until the service says that nothing is left to do."""
    result: _Result = None
    attempts = 0
    while attempts < REVERSALS:
        if attempts:
            yield interval
        attempts += 1
        result = yield _Post("v2/secapi/pay/reverse", asked)
        if _says_no_order(result):
            return Micropayment("unpaid", {"out_trade_no": asked["out_trade_no"]})
        if isinstance(result, Mapping) and result.get("recall") == "N":
            return Micropayment("reversed", result)
        if isinstance(result, APIError) and _is_verified(result) and not _may_repeat(result):
            break
    # A query would not help: one of the reversals may still be carried out, after a query that says that the order is paid.
    raise TransportError(
        f"v2/secapi/pay/reverse: it is not known whether {asked['out_trade_no']!r} is reversed, after {attempts} attempts. Call "
        "micropay.pay again with the same fields, or query the order",
        sent=True,
    ) from (result if isinstance(result, WeChatPayError) else None)


def _check(client: Client, fields: Mapping[str, Any], patience: float, interval: float) -> None:
    if not isinstance(fields, Mapping) or not isinstance(fields.get("out_trade_no"), str) or not fields["out_trade_no"]:
        raise ArgumentError(
            "fields: out_trade_no is missing; expected the fields of v2/pay/micropay, with a number for the order"
        )
    for name, value, least, most in (
        ("patience", patience, LEAST_PATIENCE, 600.0),
        ("interval", interval, 1.0, MOST_INTERVAL),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise ArgumentError(f"{name}: came {value!r}; expected seconds, from {least:.0f} to {most:.0f}")
    if fields.get("deposit") not in (None, "N"):
        raise ArgumentError(
            "fields: deposit asks for a frozen deposit, which has operations of its own: v2/deposit/micropay"
        )
    if not client._config.v2.has_certificate:
        raise ConfigurationError(
            "certificate: it is missing, or private_key= is; a payment that the user does not confirm is reversed, for which the "
            "service asks for the merchant's TLS certificate"
        )


def _is_verified(error: APIError) -> bool:
    """Tells whether the response of an error is verified. Only a response whose return_code is SUCCESS has a signature."""
    return error.status_code == 200 and error.return_code == "SUCCESS"


def _is_refusal(error: APIError) -> bool:
    """Tells whether an error says that this call pays nothing: by its code, or because the service did not accept the message."""
    if isinstance(error, (RateLimitError, ServerError)):
        return False
    is_unaccepted = error.status_code == 200 and error.return_code != "SUCCESS"
    return is_unaccepted or isinstance(error, AuthenticationError) or error.err_code in _REFUSED


def _confirms(before: str, state: str, refusal: APIError) -> bool:
    """Tells whether queries show that a refusal is the end: the order is not there, or failed, or nobody is paying it.

    Args:
        before: the state of the order in the query before; empty if there was none.
        state: its state in the last query.
        refusal: the error of the payment.
    """
    if state == "NOTPAY":
        # An earlier call may still be paying it, so two queries have to say so.
        return before == "NOTPAY" and _is_verified(refusal) and refusal.err_code not in _OF_ANOTHER_CALL
    return state in ("NOTEXIST", "CLOSED", "PAYERROR")


def _is_refused_alike(found: _Result, refusal: APIError) -> bool:
    """Tells whether a query is refused for what the payment was refused for, such as a wrong key or appid."""
    if not isinstance(found, APIError) or isinstance(found, (RateLimitError, ServerError)):
        return False
    return (type(found), found.code, found.message) == (type(refusal), refusal.code, refusal.message)


def _is_of_another_sale(found: _Result, fields: Mapping[str, Any]) -> bool:
    """Tells whether a query shows that the number was used for another amount."""
    return (
        isinstance(found, Mapping)
        and found.get("out_trade_no") == fields["out_trade_no"]
        and "total_fee" in fields
        and found.get("total_fee", "") not in ("", str(fields["total_fee"]))
    )


def _may_repeat(error: APIError) -> bool:
    """Tells whether a reversal that was not done may be done by a repetition."""
    return isinstance(error, (RateLimitError, ServerError)) or error.response.xml().get("recall") == "Y"


def _says_no_order(result: _Result) -> bool:
    return isinstance(result, NotFoundError) and _is_verified(result)


def _is_about(found: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Tells whether a response is about this order: a signed one of another order may have been replayed."""
    return found.get("out_trade_no") == fields["out_trade_no"] and str(found.get("total_fee", "")) in (
        str(fields.get("total_fee", "")),
        "",
    )


def _read_state(found: _Result, fields: Mapping[str, Any]) -> str:
    """Returns the state of an order as a verified query says it; an empty text if there is none."""
    if _says_no_order(found):
        return "NOTEXIST"
    return str(found.get("trade_state", "")) if isinstance(found, Mapping) and _is_about(found, fields) else ""
