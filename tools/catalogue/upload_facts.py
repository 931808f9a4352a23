"""What the facts lack of each upload: the members of its `meta`, and the files that it takes.

Sources: the pages of the operations at pay.weixin.qq.com, and https://pay.weixin.qq.com/doc/v3/merchant/4012760432 for images. If two
pages disagree about a size, the larger one is used, because the service itself refuses files that are too large.
"""

from __future__ import annotations

from wechatpay_chain._catalogue.upload_rule import Rule

__all__ = ["UPLOADS"]

KB, MB = 1 << 10, 1 << 20
"""The numbers of bytes that the service's documentation calls 1K and 1M."""

_PICTURES = "jpg jpeg bmp png"


def _each(suffixes: str, most: float) -> dict[str, int]:
    return dict.fromkeys(suffixes.split(), int(most))


_PICTURE = Rule(most=_each(_PICTURES, 2 * MB))

UPLOADS = {
    "/v3/merchant/media/upload": Rule(most={**_each(_PICTURES, 5 * MB), "pdf": int(7.5 * MB)}),
    "/v3/merchant/media/video_upload": Rule(most=_each("avi wmv mpeg mp4 mov mkv flv f4v m4v rmvb", 5 * MB)),
    "/v3/marketing/favor/media/image-upload": _PICTURE,
    "/v3/marketing/partner/product-coupon/media/upload-image": _PICTURE,
    "/brand/marketing/product-coupon/media/upload-image": _PICTURE,  # no merchant number calls it, so the facts lack it
    "/v3/merchant-service/images/upload": _PICTURE,
    "/v3/global/merchant-service/images/upload": _PICTURE,
    "/v3/global/merchant-storage/file/upload": Rule("digest", most=_each(f"{_PICTURES} pdf", 5 * MB)),
    "/v3/ecommerce/account/cancel-applications/media": Rule(
        "file_digest", name="file_name", most=_each(_PICTURES, 2 * MB)
    ),
    "/v3/mch-manage/submission-files/sub-mchid/{sub_mchid}/upload": Rule("file_digest", name="file_name"),
    "/v3/mch-operation-manage/enhanced-due-diligence/{due_diligence_id}/upload": Rule("file_digest", name="file_name"),
    "/v3/marketing/bank/packages/{package_id}/tasks": Rule(),
    "/v3/marketing/shopping-receipt/shoppingreceipts": Rule(name="", most=_each("jpg jpeg png", 200 * KB)),
    "/v3/taxi-invoice/cards/upload-file": Rule(
        "digest",
        "SM3",
        name="",
        more={"digest_algorithm": "DIGEST_ALGORITHM_SM3"},
        most=_each(f"{_PICTURES} pdf", 5 * MB),
    ),
    "/v3/new-tax-control-fapiao/fapiao-applications/upload-fapiao-file": Rule(
        "digest",
        "SM3",
        name="",
        more={"digest_alogrithm": "SM3"},  # the spelling of the service
        most=_each("pdf ofd", 2 * MB),
        file_type="file_type",
    ),
}
"""By the path template of the operation; `part` comes from the facts."""
