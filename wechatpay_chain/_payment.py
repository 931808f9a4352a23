"""The signatures that a front end passes on to WeChat to bring up a payment, a pay-score page or a coupon plug-in.

Nothing here is sent; each method returns the very dictionary that the front end needs.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._pipeline.local import run_local, run_local_async
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain.errors import ArgumentError, ConfigurationError

__all__ = ["Payment"]

HMAC_SHA256 = "HMAC-SHA256"


class Payment:
    """Signs for the front ends of one merchant.

    Args:
        credentials: of the merchant, the ones that place the orders.
        apiv2_key: the APIv2 key, which the pay-score and coupon signatures are made with; None where they are not used.
    """

    def __init__(self, credentials: Credentials, apiv2_key: bytes | None) -> None:
        self._mchid, self._credentials, self._apiv2_key = credentials.mchid, credentials, apiv2_key

    def jsapi(self, appid: str, prepay_id: str) -> dict[str, str]:
        """For WeixinJSBridge's getBrandWCPayRequest in an official account.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365339

        Args:
            appid: the one that the order was placed with.
            prepay_id: as the order gave it; a whole package, `prepay_id=…&…`, is signed as it is.

        Returns:
            appId, timeStamp, nonceStr, package, signType, paySign.
        """
        return run_local(self._jsapi(appid, prepay_id))

    async def jsapi_async(self, appid: str, prepay_id: str) -> dict[str, str]:
        """The same, where a signer that takes its time is awaited."""
        return await run_local_async(self._jsapi(appid, prepay_id))

    def _jsapi(self, appid: str, prepay_id: str) -> Steps[dict[str, str]]:
        return {"appId": _filled("appid", appid), **(yield from self._mini_program(appid, prepay_id))}

    def mini_program(self, appid: str, prepay_id: str) -> dict[str, str]:
        """For wx.requestPayment in a mini program.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365341

        Returns:
            timeStamp, nonceStr, package, signType, paySign.
        """
        return run_local(self._mini_program(appid, prepay_id))

    async def mini_program_async(self, appid: str, prepay_id: str) -> dict[str, str]:
        """The same, where a signer that takes its time is awaited."""
        return await run_local_async(self._mini_program(appid, prepay_id))

    def _mini_program(self, appid: str, prepay_id: str) -> Steps[dict[str, str]]:
        timestamp, nonce, package = _now(), new_nonce(), _filled("prepay_id", prepay_id)
        if not package.startswith("prepay_id="):
            package = f"prepay_id={package}"
        signature = yield from self._signed(_filled("appid", appid), timestamp, nonce, package)
        return {
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",  # not signed
            "paySign": signature,
        }

    def app(self, appid: str, prepay_id: str) -> dict[str, str]:
        """For the PayReq of an app's SDK.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365340

        Args:
            appid: the one that the order was placed with.
            prepay_id: as the order gave it, bare.

        Returns:
            appid, partnerid, prepayid, package, noncestr, timestamp, sign.
        """
        return run_local(self._app(appid, prepay_id))

    async def app_async(self, appid: str, prepay_id: str) -> dict[str, str]:
        """The same, where a signer that takes its time is awaited."""
        return await run_local_async(self._app(appid, prepay_id))

    def _app(self, appid: str, prepay_id: str) -> Steps[dict[str, str]]:
        timestamp, nonce = _now(), new_nonce()
        if _filled("prepay_id", prepay_id).startswith("prepay_id="):
            raise ArgumentError("prepay_id: came with 'prepay_id=' before it; an app signs the bare number")
        return {
            "appid": _filled("appid", appid),
            "partnerid": self._mchid,
            "prepayid": prepay_id,
            "package": "Sign=WXPay",  # not signed
            "noncestr": nonce,
            "timestamp": timestamp,
            "sign": (yield from self._signed(appid, timestamp, nonce, prepay_id)),
        }

    def payscore_use(self, package: str) -> dict[str, str]:
        """For the page on which a user confirms a pay-score order (wxpayScoreUse).

        Args:
            package: as the creation of the order gave it.

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
        """
        return self._with_hmac({"package": _filled("package", package)})

    def payscore_detail(self, service_id: str, out_order_no: str) -> dict[str, str]:
        """For the page that shows a pay-score order (wxpayScoreDetail).

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
        """
        return self._with_hmac(
            {"service_id": _filled("service_id", service_id), "out_order_no": _filled("out_order_no", out_order_no)}
        )

    def coupons(self, coupons: Sequence[Mapping[str, str]], merchant: str = "") -> dict[str, object]:
        """For the plug-in that hands out coupons (busifavor) in a mini program.

        Args:
            coupons: one mapping a coupon, such as {"stock_id": "…", "out_request_no": "…"}.
            merchant: who hands them out; this merchant by default.

        Returns:
            send_coupon_params, send_coupon_merchant, sign.

        Raises:
            ConfigurationError: the client has no `apiv2_key`.
            ArgumentError: there is no coupon.
        """
        if not isinstance(coupons, (list, tuple)) or not coupons or not all(map(_is_coupon, coupons)):
            raise ArgumentError("coupons: expected a list of at least one mapping from texts to texts")
        sender = _filled("merchant", merchant or self._mchid)
        flat = {f"{name}{number}": value for number, coupon in enumerate(coupons) for name, value in coupon.items()}
        sign = self._hmac({**flat, "send_coupon_merchant": sender})
        return {
            "send_coupon_params": [dict(coupon) for coupon in coupons],
            "send_coupon_merchant": sender,
            "sign": sign,
        }

    def _signed(self, *lines: str) -> Steps[str]:
        return self._credentials.signature("".join(f"{line}\n" for line in lines).encode())

    def _with_hmac(self, fields: Mapping[str, str]) -> dict[str, str]:
        signed = {
            "mch_id": self._mchid,
            **fields,
            "timestamp": _now(),
            "nonce_str": new_nonce(),
            "sign_type": HMAC_SHA256,
        }
        return {**signed, "sign": self._hmac(signed)}

    def _hmac(self, fields: Mapping[str, str]) -> str:
        # The rule of APIv2: filled fields by name, the key at the end, upper case.
        # https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
        if self._apiv2_key is None:
            raise ConfigurationError(
                "apiv2_key: it is missing; this signature is made with the APIv2 key, 32 characters"
            )
        text = "".join(f"{name}={value}&" for name, value in sorted(fields.items()) if value)
        message = text.encode() + b"key=" + self._apiv2_key
        return hmac.new(self._apiv2_key, message, hashlib.sha256).hexdigest().upper()


def _is_coupon(coupon: object) -> bool:
    return isinstance(coupon, Mapping) and all(
        isinstance(text, str) and text.isprintable() for member in coupon.items() for text in member
    )


def _now() -> str:
    return str(int(time.time()))


def _filled(argument: str, value: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise ArgumentError(f"{argument}: came {type(value).__name__} of no use; expected a text of one line")
    return value
