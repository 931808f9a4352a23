"""The money that merchants have at the service."""

from __future__ import annotations

from wechatpay_chain.sandbox._operations.account import Account, Refusal

__all__ = ["Balances"]


class Balances(dict[str, int]):
    """The balances of merchants in fen, by their numbers. A merchant whose balance is not set has no limit.

    Set one to give it a limit: from then on, payments, refunds, reversals, transfers, shares and returns change it, and a refund,
    a reversal or a transfer that it does not suffice for is refused with NOT_ENOUGH.

        sandbox.balances[client.mchid] = 100_00
    """

    def __init__(self, _account: Account) -> None:
        super().__init__()

    def suffices(self, mchid: str, fen: int) -> bool:
        """Tells whether a merchant has so much.

        Args:
            mchid: the number of the merchant.
            fen: the amount in fen.
        """
        return self.get(mchid, fen) >= fen

    def add(self, mchid: str, fen: int) -> None:
        """Adds to a balance, if it is set.

        Args:
            mchid: the number of the merchant.
            fen: the amount in fen; less than 0 takes it away, also if the balance does not suffice.
        """
        if mchid in self:
            self[mchid] += fen

    def take(self, mchid: str, fen: int) -> None:
        """Takes from a balance, if it is set.

        Args:
            mchid: the number of the merchant.
            fen: the amount in fen.

        Raises:
            Refusal: the balance does not suffice.
        """
        if not self.suffices(mchid, fen):
            raise Refusal(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
        self.add(mchid, -fen)
