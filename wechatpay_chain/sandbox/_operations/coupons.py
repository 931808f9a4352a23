"""The product coupons of users: what the user does with them, and their states.

Source: https://pay.weixin.qq.com/doc/v3/partner/4015781575
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.acts import act_on, require_act
from wechatpay_chain.sandbox._operations.product_coupons import CouponStock

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = ["Coupon", "CouponBundle"]

TOKEN_LIFE = timedelta(minutes=5)
"""How long the token of a pre-sent coupon is valid."""


@dataclass
class Coupon:
    """A coupon that was pre-sent or sent to a user.

    Attributes:
        send_request_no: the merchant's number.
        openid: the user.
        stock: the stock that it is of.
        parameters: the body of the request that sent it.
        pre_sent: when it was pre-sent last; None if it was sent.
        coupon_code: its code; empty until the user has received it.
        send_channel: RECEIVE_COMPONENT if the user took it, API if it was sent; empty until then.
        receive_time: when the user received it; None until then.
        valid_begin_time, valid_end_time: when it is valid; None until then.
        confirmation: confirm_request_no and confirm_time; empty until it is confirmed.
        uses: use_request_no, use_time and more of each use, in their order; after a return also return_request_no and
            return_time.
        deactivation: deactivate_request_no, deactivate_time and deactivate_reason; empty if it is not deactivated.
        is_deleted: True if the user has deleted it.
        bundle: the bundle that it is of, or None.
    """

    send_request_no: str
    openid: str
    stock: CouponStock = field(repr=False)
    parameters: dict[str, Any]
    _account: Account = field(repr=False, compare=False)
    pre_sent: datetime | None = None
    coupon_code: str = ""
    send_channel: str = ""
    receive_time: datetime | None = None
    valid_begin_time: datetime | None = None
    valid_end_time: datetime | None = None
    confirmation: dict[str, str] = field(default_factory=dict)
    uses: list[dict[str, Any]] = field(default_factory=list)
    deactivation: dict[str, str] = field(default_factory=dict)
    is_deleted: bool = False
    bundle: CouponBundle | None = field(default=None, repr=False, compare=False)

    @property
    def used_count(self) -> int:
        """How many times it has been used; a use that was returned does not count."""
        return sum("return_time" not in use for use in self.uses)

    @property
    def state(self) -> str:
        """CONFIRMING, PENDING (not valid yet), EFFECTIVE, USED, EXPIRED, DELETED or DEACTIVATED; empty if not received."""
        if self.valid_begin_time is None or self.valid_end_time is None:
            return ""
        if self.deactivation or self.is_deleted:
            return "DEACTIVATED" if self.deactivation else "DELETED"
        if self.used_count == self.stock.product.usage_count:
            return "USED"
        now = self._account.now()
        if now >= self.valid_end_time:
            return "EXPIRED"
        if not self.confirmation:
            return "CONFIRMING"
        return "PENDING" if now < self.valid_begin_time else "EFFECTIVE"

    def take(self) -> Notice | None:
        """The user takes the pre-sent coupon in the component; it is CONFIRMING.

        Returns:
            The notification PRODUCT_COUPON_SP.SEND; None if no URL was set with notify-configs.

        Raises:
            ConfigurationError: the user has it already, it was pre-sent more than five minutes ago, or the stock gives no coupon
                to this user any more.
        """
        name, state = f"coupon {self.send_request_no}", self.state or "not received"
        with self._account.lock, act_on(name, state, "a stock that is SENDING and has a coupon left for the user"):
            require_act(
                not self.state and self.pre_sent is not None, name, state, "one that is pre-sent and not received"
            )
            is_valid = self.pre_sent is not None and self._account.now() < self.pre_sent + TOKEN_LIFE
            require_act(is_valid, name, "an expired token", "a valid one: pre-send the coupon again")
            self.require_sendable()
            return self.receive("RECEIVE_COMPONENT")

    def delete(self) -> None:
        """The user deletes the coupon in the wallet. There is no notification of this.

        Raises:
            ConfigurationError: the user does not have it.
        """
        with self._account.lock:
            is_held = self.state not in ("", "DELETED", "DEACTIVATED")
            state = self.state or "not received"
            require_act(is_held, f"coupon {self.send_request_no}", state, "one that the user has")
            self.is_deleted = True

    def require_sendable(self) -> None:
        """Checks that the user may receive the coupon.

        Raises:
            Refusal: the stock gives no coupon to this user any more.
        """
        self.stock.require_sendable(self.openid, self.parameters.get("coupon_code"))

    def receive(self, channel: str) -> Notice | None:
        """Gives the coupon to the user, and announces it.

        Args:
            channel: the send_channel.
        """
        account, period, now = self._account, self.stock.period, self._account.now()
        self.coupon_code, self.send_channel, self.receive_time = self._draw_code(), channel, now
        self.valid_begin_time, self.valid_end_time = period.apply(now)
        self.stock.coupons[self.coupon_code] = self
        if not account.coupon_url:
            return None
        sent = ("brand_id", "product_coupon_id", "stock_id", "appid", "attach")
        resource = {
            **{name: self.parameters[name] for name in sent if name in self.parameters},
            **(self.bundle.numbers if self.bundle else {}),
            "openid": self.openid,
            "unionid": f"o{account.number('unionid', self.openid, digits=27)}",
            **self._describe_receipt(),
        }
        return account.announce(
            "PRODUCT_COUPON_SP.SEND", resource, account.coupon_url, "product_coupon", "商品券发放成功"
        )

    def _draw_code(self) -> str:
        """Returns the code of the coupon: the merchant's, one of the uploaded ones, or a new one."""
        if code := self.parameters.get("coupon_code"):
            return str(code)
        number = self._account.number("coupon", self.send_request_no, self.stock.stock_id, digits=16)
        if self.stock.members["coupon_code_mode"] == "UPLOAD":
            return self.stock.codes.pop(int(number) % len(self.stock.codes))
        return number

    def _describe_receipt(self) -> dict[str, str]:
        return {
            "coupon_code": self.coupon_code,
            "send_request_no": self.send_request_no,
            "send_channel": self.send_channel,
            "receive_time": _format_time(self.receive_time),
            "valid_begin_time": _format_time(self.valid_begin_time),
            "valid_end_time": _format_time(self.valid_end_time),
        }

    def describe(self) -> dict[str, Any]:
        """Returns it as a query has it."""
        described = {
            **self._describe_receipt(),
            "brand_id": self.parameters["brand_id"],
            "coupon_state": self.state,
            "product_coupon": self.stock.product.describe(),
            "stock": self.stock.describe(),
            **({"attach": self.parameters["attach"]} if "attach" in self.parameters else {}),
            **self.confirmation,
            **self.deactivation,
        }
        if self.stock.product.members["usage_mode"] == "SEQUENTIAL":
            count = self.stock.product.usage_count
            described["sequential_usage_detail"] = {
                "total_count": count,
                "used_count": self.used_count,
                "detail_item_list": [self._describe_use(index) for index in range(count)],
            }
        elif self.uses:
            described[f"{'progressive_bundle' if self.bundle else 'single'}_usage_detail"] = self.uses[0]
        if self.bundle:
            described["user_product_coupon_bundle_info"] = self.bundle.describe_place(self)
        return described

    def _describe_use(self, index: int) -> dict[str, Any]:
        """Returns one of several uses; those after the next one, and all of a coupon not confirmed yet, are PENDING."""
        use = self.uses[index] if index < len(self.uses) else {}
        state = self.state
        if use and "return_time" not in use:
            state = "USED"
        elif state == "CONFIRMING" or (state == "EFFECTIVE" and index > self.used_count):
            state = "PENDING"
        receipt = self._describe_receipt()
        return {
            "detail_state": state,
            **{name: receipt[name] for name in ("valid_begin_time", "valid_end_time")},
            **use,
        }


@dataclass
class CouponBundle:
    """Coupons that were pre-sent or sent to a user together: one of each stock of a bundle.

    Attributes:
        user_coupon_bundle_id: the number that the service assigned.
        send_request_no: the merchant's number.
        openid: the user.
        parameters: the body of the request that sent it.
        coupons: its coupons, in the order of the stocks.
    """

    user_coupon_bundle_id: str
    send_request_no: str
    openid: str
    parameters: dict[str, Any]
    coupons: list[Coupon] = field(default_factory=list, repr=False)
    _account: Account = field(kw_only=True, repr=False, compare=False)

    @property
    def is_received(self) -> bool:
        """True once the user has the coupons."""
        return bool(self.coupons[0].state)

    @property
    def numbers(self) -> dict[str, str]:
        """The members of a notification that say of which bundle a coupon is."""
        stocks = {"stock_bundle_id": str(self.parameters["stock_bundle_id"])}
        return {**stocks, "user_coupon_bundle_id": self.user_coupon_bundle_id}

    def take(self) -> list[Notice]:
        """The user takes the pre-sent coupons in the component; each of them is CONFIRMING.

        Returns:
            The notifications PRODUCT_COUPON_SP.SEND; none if no URL was set with notify-configs.

        Raises:
            ConfigurationError: the user has them already, they were pre-sent more than five minutes ago, or a stock gives no
                coupon to this user any more.
        """
        state = self.coupons[0].state or "not received"
        expected = "stocks that are SENDING and have a coupon left for the user"
        with self._account.lock, act_on(f"coupon bundle {self.send_request_no}", state, expected):
            self.require_sendable()
            return [notice for coupon in self.coupons if (notice := coupon.take())]

    def require_sendable(self) -> None:
        """Checks that the user may receive a coupon of each stock.

        Raises:
            Refusal: a stock gives no coupon to this user any more.
        """
        for coupon in self.coupons:
            coupon.require_sendable()

    def describe(self) -> dict[str, Any]:
        """Returns the bundle as a response has it."""
        coupons = [coupon.describe() for coupon in self.coupons]
        return {"user_coupon_bundle_id": self.user_coupon_bundle_id, "user_product_coupon_list": coupons}

    def find_index(self, coupon: Coupon) -> int:
        """Returns which of the coupons one is, from 0.

        Args:
            coupon: one of the coupons.
        """
        return next(index for index, each in enumerate(self.coupons) if each is coupon)

    def describe_place(self, coupon: Coupon) -> dict[str, Any]:
        """Returns which of the coupons one is, and how many have been used.

        Args:
            coupon: one of the coupons.
        """
        return {
            "user_coupon_bundle_id": self.user_coupon_bundle_id,
            "user_coupon_bundle_index": self.find_index(coupon),
            "total_count": len(self.coupons),
            "used_count": sum(each.state == "USED" for each in self.coupons),
        }


def _format_time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""
