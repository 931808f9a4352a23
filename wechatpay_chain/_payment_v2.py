"""Signs with the APIv2 key what front ends and browsers need: parameters of orders that were placed by APIv2, and URLs.

Nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from wechatpay_chain._messages.xml_body import check_fields
from wechatpay_chain._schemes.apiv2 import HMAC_SHA256, MD5, V2Keys, check_owner, check_sign_type
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain.errors import ArgumentError

__all__ = ["PaymentV2"]

MOST_URL = 1024
"""Bytes of the longest URL of a contract: https://pay.weixin.qq.com/doc/v2/merchant/4011987295"""


class PaymentV2:
    """Signs for one merchant with the APIv2 key.

    Args:
        mchid: the merchant number.
        keys: the APIv2 keys.
    """

    def __init__(self, mchid: str, keys: V2Keys) -> None:
        self._mchid, self._keys = mchid, keys

    def __repr__(self) -> str:
        return f"<PaymentV2 mchid={self._mchid}>"

    def jsapi(self, appid: str, prepay_id: str, sign_type: str = MD5) -> dict[str, str]:
        """Signs the parameters with which a web page in WeChat, or a mini program, starts the payment.

        Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985023

        Args:
            appid: the appid of the order.
            prepay_id: the prepay_id of the order.
            sign_type: MD5 or HMAC-SHA256, the same as that of the order.

        Returns:
            appId, timeStamp, nonceStr, package, signType, paySign.

        Raises:
            ArgumentError: an argument cannot be used.
        """
        fields = {
            "appId": appid,
            "timeStamp": _now(),
            "nonceStr": new_nonce(),
            "package": f"prepay_id={_check_prepay_id(prepay_id)}",
            "signType": check_sign_type(sign_type),
        }
        return {**fields, "paySign": self._sign(fields, sign_type)}

    def app(self, appid: str, prepay_id: str, sign_type: str = MD5) -> dict[str, str]:
        """Signs the parameters with which an app starts the payment.

        Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985041

        Args:
            appid: the appid of the order.
            prepay_id: the prepay_id of the order.
            sign_type: MD5 or HMAC-SHA256, the same as that of the order.

        Returns:
            appid, partnerid, prepayid, package, noncestr, timestamp, sign.

        Raises:
            ArgumentError: an argument cannot be used.
        """
        fields = {
            "appid": appid,
            "partnerid": self._mchid,
            "prepayid": _check_prepay_id(prepay_id),
            "package": "Sign=WXPay",
            "noncestr": new_nonce(),
            "timestamp": _now(),
        }
        return {**fields, "sign": self._sign(fields, check_sign_type(sign_type))}

    def red_packet(self, appid: str, package: str) -> dict[str, str]:
        """Signs the parameters with which a mini program shows a red packet (sendBizRedPacket).

        Source: https://pay.weixin.qq.com/doc/v2/merchant/4011987617

        Args:
            appid: the appid of the mini program.
            package: the package from the response of `mmpaymkttransfers/sendminiprogramhb`, as it came.

        Returns:
            timeStamp, nonceStr, package, signType, paySign. The package is percent-encoded in the signature and in the result.

        Raises:
            ArgumentError: an argument cannot be used.
        """
        if not isinstance(package, str) or not package or not package.isprintable():
            raise ArgumentError("package: expected the package from the response of sendminiprogramhb, as it came")
        fields = {"appId": appid, "timeStamp": _now(), "nonceStr": new_nonce(), "package": quote(package, safe="")}
        shown = {name: text for name, text in fields.items() if name != "appId"}
        return {**shown, "signType": MD5, "paySign": self._sign(fields, MD5)}  # signType is not signed

    def native_url(self, appid: str, product_id: str) -> str:
        """Returns the URL for the QR code of a product: native payment, mode 1.

        WeChat Pay posts the product_id to your server, which replies with `Notifications.signed_xml_reply`.

        Args:
            appid: the appid of the merchant.
            product_id: the merchant's own number of the product, at most 32 characters.

        Raises:
            ArgumentError: an argument cannot be used.
        """
        fields = {
            "appid": appid,
            "mch_id": self._mchid,
            "product_id": product_id,
            "time_stamp": _now(),
            "nonce_str": new_nonce(),
        }
        return f"weixin://wxpay/bizpayurl?{self._query(fields, MD5)}"

    def entrust_url(self, fields: Mapping[str, object], path: str = "papay/entrustweb") -> str:
        """Returns the URL at which a browser in WeChat shows a contract for deductions, to be signed by the user.

        Source: https://pay.weixin.qq.com/doc/v2/merchant/4011987293

        Args:
            fields: the parameters of the page, such as appid, plan_id and contract_code. mch_id and sign are added. A sign_type
                among them is the type of the signature; the default is MD5.
            path: `papay/entrustweb`, or `papay/partner/entrustweb` for partners.

        Raises:
            ArgumentError: a field cannot be used, or the URL has more than 1,024 bytes.
        """
        given = {"mch_id": self._mchid, **self._check(fields)}
        sign_type = check_sign_type(given.get("sign_type", MD5))
        url = f"https://api.mch.weixin.qq.com/{path}?{self._query(given, sign_type)}#wechat_redirect"
        if len(url) > MOST_URL:
            raise ArgumentError(f"fields: the URL has {len(url)} bytes; expected at most {MOST_URL}")
        return url

    def busifavor_url(self, fields: Mapping[str, object]) -> str:
        """Returns the URL of the page on which a user takes a coupon (商家券).

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012534600

        Args:
            fields: the parameters of the page: stock_id, out_request_no, send_coupon_merchant, open_id and, if there is one,
                coupon_code. send_coupon_merchant is this merchant by default.

        Raises:
            ArgumentError: a field cannot be used.
        """
        given = {"send_coupon_merchant": self._mchid, **self._check(fields)}
        query = self._query(given, HMAC_SHA256)
        return f"https://action.weixin.qq.com/busifavor/getcouponinfo?{query}#wechat_pay&wechat_redirect"

    def _check(self, fields: Mapping[str, object]) -> dict[str, str]:
        checked = check_fields("fields", fields)
        check_owner(self._mchid, "fields", checked)
        return checked

    def _query(self, fields: Mapping[str, str], sign_type: str) -> str:
        """Returns a signed query. The signature is over the raw texts, which are then percent-encoded."""
        return urlencode({**fields, "sign": self._sign(fields, sign_type)}, quote_via=quote, safe="")

    def _sign(self, fields: Mapping[str, str], sign_type: str) -> str:
        for name, text in fields.items():
            if not isinstance(text, str) or not text.isprintable() or max(text, default="") > "\uffff":
                raise ArgumentError(
                    f"{name}: came a {type(text).__name__} that cannot be used; expected printable text without emoji"
                )
        return self._keys.sign(fields, sign_type)


def _now() -> str:
    return str(int(time.time()))


def _check_prepay_id(prepay_id: str) -> str:
    if not isinstance(prepay_id, str) or not prepay_id or prepay_id.startswith("prepay_id="):
        raise ArgumentError("prepay_id: expected the prepay_id as it came, without 'prepay_id=' before it")
    return prepay_id
