"""The state of the returns of profit sharing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wechatpay_chain.sandbox._operations.sharing import NO_TIME, PROCESSING_TIME, Share, ShareDetail, require_reason

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

from wechatpay_chain.sandbox._operations.acts import require_act
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.sharing import Sharing

__all__ = ["ShareReturn"]


@dataclass
class ShareReturn:
    """Money that a receiver returns.

    If it is PROCESSING, it succeeds after 30 seconds on the sandbox's clock.

    Attributes:
        share: the share from which money is returned.
        placed: the parameters of the request.
        return_id: the number that the service has assigned.
        create_time: when it was requested.
    """

    share: Share
    placed: Mapping[str, Any] = field(repr=False)
    return_id: str
    create_time: datetime
    _result: str = field(default="PROCESSING", init=False)
    _fail_reason: str = field(default="", init=False)
    _finish_time: datetime = field(default=NO_TIME, init=False)

    @property
    def result(self) -> str:
        """The result at the time of the sandbox's clock: PROCESSING, SUCCESS or FAILED."""
        self.settle()
        return self._result

    @property
    def fail_reason(self) -> str:
        """The reason of a failure, such as BALANCE_NOT_ENOUGH; empty if there is none."""
        return self._fail_reason

    def finish(self, fail_reason: str = "") -> Notice | None:
        """Ends the return with SUCCESS or FAILED.

        Args:
            fail_reason: why it fails, such as BALANCE_NOT_ENOUGH; empty if it succeeds.

        Returns:
            The notification to the merchant; None if it fails, or if `Sharing.notify_url` is not set.

        Raises:
            ConfigurationError: it is not PROCESSING, or there is no such reason.
        """
        if fail_reason:
            require_reason(fail_reason, "/v3/profitsharing/return-orders")
        with self.share.account.lock:
            is_open = self.result == "PROCESSING"
            require_act(is_open, f"return {self.placed['out_return_no']}", self.result, "PROCESSING: finish it once")
            return self._finish(fail_reason, self.share.account.now())

    def settle(self) -> None:
        """Finishes the return if its time has come."""
        with self.share.account.lock:
            due = self.create_time + PROCESSING_TIME
            if self._result == "PROCESSING" and self.share.account.now() >= due:
                self._finish("", due)

    def describe(self) -> dict[str, Any]:
        """Returns the return as a response has it."""
        self.settle()
        names = ("sub_mchid", "out_return_no", "return_mchid", "amount", "description")
        return {
            **{name: self.placed[name] for name in names if name in self.placed},
            "order_id": self.share.order_id,
            "out_order_no": self.share.placed["out_order_no"],
            "return_id": self.return_id,
            "result": self._result,
            **({"fail_reason": self._fail_reason} if self._fail_reason else {}),
            "create_time": self.create_time.isoformat(timespec="seconds"),
            "finish_time": self._finish_time.isoformat(timespec="seconds"),
        }

    def _finish(self, fail_reason: str, time: datetime) -> Notice | None:
        balances, mchid, amount = self.share.account.part(Balances), self.placed["return_mchid"], self.placed["amount"]
        if not fail_reason and not balances.suffices(mchid, amount):
            fail_reason = "BALANCE_NOT_ENOUGH"
        self._result, self._fail_reason, self._finish_time = "FAILED" if fail_reason else "SUCCESS", fail_reason, time
        if fail_reason:
            return None
        # The receiver of a return is the merchant that had paid.
        description, payer = self.placed["description"], self.share.payer
        balances.add(mchid, -amount)
        balances.add(payer, amount)
        detail = ShareDetail("MERCHANT_ID", payer, amount, description, self.return_id, self.create_time)
        sharing, number = self.share.account.part(Sharing), self.placed["out_return_no"]
        return sharing.announce("分账回退", self.share, self.return_id, number, detail, time)
