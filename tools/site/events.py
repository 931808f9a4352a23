"""Which notifications follow an operation.

The catalogue has the notifications, and not what they follow. A rule names the beginning of a path; the longest one that fits decides.
It counts for an operation that takes the address of a notification: for one by which it sets an address, or that starts something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.site.entries import Entry
from wechatpay_chain._catalogue.operations import Event, find_event

__all__ = ["find_events", "find_v2_notice"]

_PAID = ("TRANSACTION.SUCCESS",)
_REFUNDED = ("REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED")
_ENTRUSTED = ("ENTRUST.SIGN", "ENTRUST.TERMINATE")
_INSURANCE = ("INSURANCE_ENTRUST.SIGN", "INSURANCE_ENTRUST.RENEW", "INSURANCE_ENTRUST.TERMINATE")
_TRANSFERRED = ("MCHTRANSFER.BILL.FINISHED",)
_AUTHORIZED = ("MCHTRANSFER.AUTHORIZATION.CONFIRMED", "MCHTRANSFER.AUTHORIZATION.CLOSED")
_BATCH = ("MCHTRANSFER.BATCH.FINISHED", "MCHTRANSFER.BATCH.CLOSED")
_PAYSCORE = ("PAYSCORE.USER_CONFIRM", "PAYSCORE.USER_PAID")
_PERMISSION = ("PAYSCORE.USER_OPEN_SERVICE", "PAYSCORE.USER_CLOSE_SERVICE")
_SIGN_PLAN = ("PAYSCORE.USER_SIGN_PLAN", "PAYSCORE.USER_CANCEL_SIGN_PLAN")
_VIOLATION = ("VIOLATION.PUNISH", "VIOLATION.INTERCEPT", "VIOLATION.APPEAL")
_CARD = ("BRAND_MEMBER_CARD_SP.USER_CARD.CREATE", "BRAND_MEMBER_CARD_SP.USER_CARD.DELETE")
_REPAYMENT = ("CREDIT_REPAYMENT.SIGN_CONTRACT", "CREDIT_REPAYMENT.TERMINATE_CONTRACT")
_DISCOUNT_CARD = ("DISCOUNT_CARD.USER_ACCEPTED", "DISCOUNT_CARD.AGREEMENT_ENDED", "DISCOUNT_CARD.USER_PAID")

_RULES: dict[str, tuple[str, ...]] = {
    "/hk/v3/refunds": _REFUNDED,
    "/hk/v3/transactions": _PAID,
    "/v3/abnormal-fund-processing/receipts": ("ABNORMAL_FUND_PROCESSING.TRANSFER.SUCCESS",),
    "/v3/brand/partner/card-member/cards": _CARD,
    "/v3/combine-transactions": _PAID,
    "/v3/credit-repayment/partner/contracts": _REPAYMENT,
    "/v3/credit-repayment/partner/deduct-orders": ("CREDIT_REPAYMENT.DEDUCTION_PAY",),
    "/v3/discount-card/cards": _DISCOUNT_CARD,
    "/v3/ebike/charge/transactions": _PAID,
    "/v3/ecommerce/combine-papay/contracts": ("ECOMMERCE_ENTRUST.SIGN", "ECOMMERCE_ENTRUST.TERMINATE"),
    "/v3/ecommerce/fund/withdraw": ("MCHWITHDRAW.CHANGE",),
    "/v3/ecommerce/mch-transfer/transfer-bills": _TRANSFERRED,
    "/v3/ecommerce/refunds/apply": _REFUNDED,
    "/v3/eduschoolpay/transactions": ("TRANSACTION.INDUSTRY_SUCCESS", "TRANSACTION.INDUSTRY_FAILED"),
    "/v3/fund-app/mch-transfer/partner/charity-budget": ("BUDGET.LOCKED", "BUDGET.FINISHED", "BUDGET.CLOSED"),
    "/v3/fund-app/mch-transfer/partner/transfer-bills": _TRANSFERRED,
    "/v3/fund-app/mch-transfer/partner/transfer-bills/pre-transfer-with-authorization": (*_TRANSFERRED, *_AUTHORIZED),
    "/v3/fund-app/mch-transfer/partner/user-confirm-authorizations": _AUTHORIZED,
    "/v3/fund-app/mch-transfer/transfer-bills": _TRANSFERRED,
    "/v3/fund-app/mch-transfer/transfer-bills/pre-transfer-with-authorization": (*_TRANSFERRED, *_AUTHORIZED),
    "/v3/fund-app/mch-transfer/transfer-to-qq-wallet-bills": ("MCHTRANSFER.QQWALLETBILL.FINISHED",),
    "/v3/fund-app/mch-transfer/user-confirm-authorization": _AUTHORIZED,
    "/v3/global/merchant/h5/permission/domain/applications": ("APPLYMENT_STATE.APPROVED",),
    "/v3/global/papay/contracts": ("PAPAY.SIGN", "PAPAY.TERMINATE"),
    "/v3/global/papay/transactions": _PAID,
    "/v3/global/refunds": _REFUNDED,
    "/v3/global/transactions": _PAID,
    "/v3/hire-power-bank/insurance-orders": ("HIRE_POWER_BANK.RECEIVE_INSURANCE",),
    "/v3/marketing/busifavor/callbacks": ("COUPON.SEND",),
    "/v3/marketing/favor/callbacks": ("COUPON.USE",),
    "/v3/marketing/membercard-open/callback": (
        "MEMBERCARD.ACCEPT_CARD",
        "MEMBERCARD.ACTIVATE_CARD",
        "MEMBERCARD.USERCARD_MANAGE",
    ),
    "/v3/marketing/partner/delivery-plan": ("DELIVERY_PLAN.CHANGE",),
    "/v3/marketing/partner/product-coupon/notify-configs": ("PRODUCT_COUPON_SP.SEND",),
    "/v3/med-ins/orders": ("MEDICAL_INSURANCE.SUCCESS",),
    "/v3/merchant-risk-manage/violation-notifications": _VIOLATION,
    "/v3/merchant-service/complaint-notifications": ("COMPLAINT.CREATE", "COMPLAINT.STATE_CHANGE"),
    "/v3/merchant/fund/withdraw": ("MCHWITHDRAW.CHANGE",),
    "/v3/new-tax-control-fapiao/merchant/development-config": (
        "FAPIAO.USER_APPLIED",
        "FAPIAO.ISSUED",
        "FAPIAO.CARD_INSERTED",
        "FAPIAO.CARD_DISCARDED",
        "FAPIAO.REVERSED",
    ),
    "/v3/papay/insurance-pay/transactions/apply": _PAID,
    "/v3/papay/insurance-sign/contracts": _INSURANCE,
    "/v3/papay/pay": _PAID,
    "/v3/papay/scheduled-deduct-sign": _ENTRUSTED,
    "/v3/papay/sign/contracts": _ENTRUSTED,
    "/v3/pay/partner/transactions": _PAID,
    "/v3/pay/transactions": _PAID,
    "/v3/payscore/acquiringbank/permissions": _PERMISSION,
    "/v3/payscore/acquiringbank/serviceorder": _PAYSCORE,
    "/v3/payscore/partner/permissions": _PERMISSION,
    "/v3/payscore/partner/service-account-applications": ("PAYSCORE.BIND_SERVICE_ACCOUNT",),
    "/v3/payscore/partner/serviceorder": _PAYSCORE,
    "/v3/payscore/permissions": _PERMISSION,
    "/v3/payscore/serviceorder": _PAYSCORE,
    "/v3/payscore/sign-plan/partner/user-sign-plans": _SIGN_PLAN,
    "/v3/payscore/sign-plan/user-sign-plans": _SIGN_PLAN,
    "/v3/platsolution/ecommerce/recharges/apply": ("RECHARGE.SUCCESS", "RECHARGE.CLOSED", "RECHARGE.FUND_RETURNED"),
    "/v3/platsolution/ecommerce/settle/prepay-settle-orders": ("SETTLEMENT.SUCCESS",),
    "/v3/platsolution/ecommerce/withdraw": ("MCHWITHDRAW.CHANGE",),
    "/v3/platsolution/insurance/mch-transfer/batches/apply": _BATCH,
    "/v3/platsolution/mch-transfer/batches/apply": _BATCH,
    "/v3/qrcode/transactions": _PAID,
    "/v3/refund/domestic/refunds": _REFUNDED,
    "/v3/security/echo": ("SECURITY_ECHO.SUCCESS",),
    "/v3/transfer/batches": _BATCH,
    "/v3/vehicle/parking/parkings": ("VEHICLE.ENTRANCE_STATE_CHANGE",),
    "/v3/vehicle/transactions/parking": ("TRANSACTION.SUCCESS", "TRANSACTION.FAIL"),
}

_ADDRESSES = ("notify_url", "callback_url")
_BY_URL = ("/v3/merchant-service/complaint-notifications",)
"""Operations whose member with the address is called `url`."""


def find_events(entry: Entry) -> list[Event]:
    """Returns the notifications that follow an operation."""
    path = entry.operation.path
    if entry.is_v2 or entry.verb not in ("post", "put", "patch") or not any(_list_addresses(entry)):
        return []
    rule = max((start for start in _RULES if path.startswith(start)), key=len, default="")
    return [event for name in _RULES.get(rule, ()) if (event := find_event(name))]


_V2_NOTICES = {
    r"/secapi/pay/refund|/sandboxnew/pay/refund|/deposit/refund": "退款结果通知",
    r".*preentrustweb": "签约、解约结果通知",
    r".*/(?:pap)?payapply": "扣款结果通知",
    r"/pay/contractorder": "支付结果通知，以及签约结果通知",
    r"/pay/combinedorder": "合单支付通知",
    r".*unifiedorder": "支付结果通知",
}
"""The notices of APIv2, by the paths of the operations that take their address."""


def find_v2_notice(entry: Entry) -> str:
    """Returns the name of the notice that follows an operation of APIv2; an empty text if there is none."""
    if not entry.is_v2 or not any(_list_addresses(entry)):
        return ""
    return next((name for pattern, name in _V2_NOTICES.items() if re.match(pattern, entry.operation.path)), "")


def _list_addresses(entry: Entry) -> Iterator[str]:
    """Yields the members of the body that are the address of a notification."""
    if entry.operation.body:
        for name in entry.operation.body["properties"]:
            if name.endswith(_ADDRESSES) or (name == "url" and entry.operation.path in _BY_URL):
                yield name
