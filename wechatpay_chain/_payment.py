"""Signs the parameters with which a front end opens a payment, a pay-score page or a coupon plug-in in WeChat.

Nothing is sent. Each method returns the dictionary that the front end passes on unchanged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._pipeline.local import run_local, run_local_async
from wechatpay_chain._schemes.apiv2 import HMAC_SHA256, V2Keys
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain.errors import ArgumentError, ConfigurationError, UnsupportedError

if TYPE_CHECKING:
    from wechatpay_chain._payment_v2 import PaymentV2

__all__ = ["Payment"]


class Payment:
    """Signs the parameters of front ends for one merchant.

    Args:
        credentials: of the merchant that places the orders.
        keys: the APIv2 keys, for pay-score and coupon signatures; there may be none.
    """

    def __init__(self, credentials: Credentials, keys: V2Keys) -> None:
        self._mchid, self._credentials, self._keys = credentials.identity, credentials, keys

    @property
    def v2(self) -> PaymentV2:
        """Signs with the APIv2 key: for orders that were placed by APIv2, and URLs: `client.payment.v2.jsapi(appid, prepay_id)`.

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
            UnsupportedError: the client is a brand's.
        """
        with no_fork.current:
            from wechatpay_chain._payment_v2 import PaymentV2

        return PaymentV2(self._mchid, self._require_keys())

    def jsapi(self, appid: str, prepay_id: str) -> dict[str, str]:
        """Signs the parameters of WeixinJSBridge's getBrandWCPayRequest, for a web page in an official account.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365339

        Args:
            appid: the appid of the order.
            prepay_id: the prepay_id of the order. A whole package, `prepay_id=…&…`, is signed as it is.

        Returns:
            appId, timeStamp, nonceStr, package, signType, paySign.

        Raises:
            ArgumentError: an argument is empty or not printable text.
        """
        return run_local(self._sign_jsapi(appid, prepay_id))

    async def jsapi_async(self, appid: str, prepay_id: str) -> dict[str, str]:
        """Does the same as `jsapi`, and awaits an async signer."""
        return await run_local_async(self._sign_jsapi(appid, prepay_id))

    def _sign_jsapi(self, appid: str, prepay_id: str) -> Steps[dict[str, str]]:
        return {"appId": _check_text("appid", appid), **(yield from self._sign_mini_program(appid, prepay_id))}

    def mini_program(self, appid: str, prepay_id: str) -> dict[str, str]:
        """Signs the parameters of wx.requestPayment, for a mini program.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365341

        Args:
            appid: the appid of the order.
            prepay_id: the prepay_id of the order. A whole package, `prepay_id=…&…`, is signed as it is.

        Returns:
            timeStamp, nonceStr, package, signType, paySign.

        Raises:
            ArgumentError: an argument is empty or not printable text.
        """
        return run_local(self._sign_mini_program(appid, prepay_id))

    async def mini_program_async(self, appid: str, prepay_id: str) -> dict[str, str]:
        """Does the same as `mini_program`, and awaits an async signer."""
        return await run_local_async(self._sign_mini_program(appid, prepay_id))

    def _sign_mini_program(self, appid: str, prepay_id: str) -> Steps[dict[str, str]]:
        timestamp, nonce, package = _now(), new_nonce(), _check_text("prepay_id", prepay_id)
        if not package.startswith("prepay_id="):
            package = f"prepay_id={package}"
        signature = yield from self._sign(_check_text("appid", appid), timestamp, nonce, package)
        return {
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": self._credentials.scheme.front_end,  # not signed
            "paySign": signature,
        }

    def app(self, appid: str, prepay_id: str) -> dict[str, str]:
        """Signs the parameters of PayReq, for the SDK in an app.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365340

        Args:
            appid: the appid of the order.
            prepay_id: the prepay_id of the order, without "prepay_id=" before it.

        Returns:
            appid, partnerid, prepayid, package, noncestr, timestamp, sign.

        Raises:
            ArgumentError: an argument is empty or not printable text, or the prepay_id has "prepay_id=" before it.
        """
        return run_local(self._sign_app(appid, prepay_id))

    async def app_async(self, appid: str, prepay_id: str) -> dict[str, str]:
        """Does the same as `app`, and awaits an async signer."""
        return await run_local_async(self._sign_app(appid, prepay_id))

    def _sign_app(self, appid: str, prepay_id: str) -> Steps[dict[str, str]]:
        timestamp, nonce = _now(), new_nonce()
        if _check_text("prepay_id", prepay_id).startswith("prepay_id="):
            raise ArgumentError("prepay_id: came with 'prepay_id=' before it; for an app, expected the bare prepay_id")
        return {
            "appid": _check_text("appid", appid),
            "partnerid": self._mchid,
            "prepayid": prepay_id,
            "package": "Sign=WXPay",  # not signed
            "noncestr": nonce,
            "timestamp": timestamp,
            "sign": (yield from self._sign(appid, timestamp, nonce, prepay_id)),
        }

    def payscore_use(self, package: str) -> dict[str, str]:
        """Signs the parameters of the page where a user confirms a pay-score order (wxpayScoreUse).

        Args:
            package: the package from the response that created the order.

        Returns:
            mch_id, package, timestamp, nonce_str, sign_type, sign.

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
            UnsupportedError: the client is a brand's.
            ArgumentError: the package is empty or not printable text.
        """
        return self._add_hmac({"package": _check_text("package", package)})

    def payscore_detail(self, service_id: str, out_order_no: str) -> dict[str, str]:
        """Signs the parameters of the page that shows a pay-score order (wxpayScoreDetail).

        Source: https://pay.weixin.qq.com/doc/global/v3/zh/4014096486

        Args:
            service_id: the id of the pay-score service.
            out_order_no: the merchant's number of the order.

        Returns:
            mch_id, service_id, out_order_no, timestamp, nonce_str, sign_type, sign.

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
            UnsupportedError: the client is a brand's.
            ArgumentError: an argument is empty or not printable text.
        """
        return self._add_hmac(
            {
                "service_id": _check_text("service_id", service_id),
                "out_order_no": _check_text("out_order_no", out_order_no),
            }
        )

    def coupons(self, coupons: Sequence[Mapping[str, str]], merchant: str = "") -> dict[str, object]:
        """Signs the parameters of the plug-in that gives coupons (busifavor) to a user in a mini program.

        Args:
            coupons: one mapping per coupon, such as {"stock_id": "…", "out_request_no": "…"}.
            merchant: the merchant number of the issuer; this merchant by default.

        Returns:
            send_coupon_params, send_coupon_merchant, sign.

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
            UnsupportedError: the client is a brand's.
            ArgumentError: there is no coupon, or a coupon is not a mapping of str to str.
        """
        if not isinstance(coupons, (list, tuple)) or not coupons or not all(map(_is_coupon, coupons)):
            raise ArgumentError("coupons: expected a list of at least one mapping of str to str, all of it printable")
        sender = _check_text("merchant", merchant or self._mchid)
        flat = {f"{name}{number}": value for number, coupon in enumerate(coupons) for name, value in coupon.items()}
        sign = self._compute_hmac({**flat, "send_coupon_merchant": sender})
        return {
            "send_coupon_params": [dict(coupon) for coupon in coupons],
            "send_coupon_merchant": sender,
            "sign": sign,
        }

    def _sign(self, *lines: str) -> Steps[str]:
        if not self._credentials.scheme.front_end:
            raise UnsupportedError(
                f"no source says how a front end starts a payment that is signed as {self._credentials.scheme.name}; use a merchant's "
                "client with RSA keys"
            )
        return self._credentials.sign("".join(f"{line}\n" for line in lines).encode())

    def _add_hmac(self, fields: Mapping[str, str]) -> dict[str, str]:
        signed = {
            "mch_id": self._mchid,
            **fields,
            "timestamp": _now(),
            "nonce_str": new_nonce(),
            "sign_type": HMAC_SHA256,
        }
        return {**signed, "sign": self._compute_hmac(signed)}

    def _compute_hmac(self, fields: Mapping[str, str]) -> str:
        return self._require_keys().sign(fields, HMAC_SHA256)

    def _require_keys(self) -> V2Keys:
        self._credentials.require_apiv2()
        if not self._keys:
            raise ConfigurationError("apiv2_key: it is missing; this signature needs the APIv2 key, 32 characters")
        return self._keys


def _is_coupon(coupon: object) -> bool:
    return isinstance(coupon, Mapping) and all(
        isinstance(text, str) and text.isprintable() for member in coupon.items() for text in member
    )


def _now() -> str:
    return str(int(time.time()))


def _check_text(argument: str, value: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise ArgumentError(
            f"{argument}: came a {type(value).__name__} that cannot be used; expected one line of printable text"
        )
    return value
