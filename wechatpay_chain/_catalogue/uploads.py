"""Describes the metadata that each upload operation requires about a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["RULES", "Rule"]

MB = 1 << 20
"""The number of bytes that the service's documentation calls 1M."""


class Rule(NamedTuple):
    """The metadata that an upload operation requires about a file.

    Attributes:
        digest: the name of the member of `meta` for the digest.
        algorithm: the hash algorithm of the digest.
        name: the name of the member for the file name; empty if there is none.
        part: the name of the multipart part with the file.
        more: further members with constant values.
        most: the maximum size in bytes by file suffix; empty if every file is allowed.
        file_type: the name of the member for the suffix in upper case; empty if there is none.
    """

    digest: str = "sha256"
    algorithm: str = "SHA256"
    name: str = "filename"
    part: str = "file"
    more: Mapping[str, str] = {}
    most: Mapping[str, int] = {}
    file_type: str = ""


def _each(suffixes: str, most: float) -> dict[str, int]:
    return dict.fromkeys(suffixes.split(), int(most))


_PICTURES = "jpg jpeg bmp png"
_PICTURE = Rule(most=_each(_PICTURES, 2 * MB))


# By path, with `*` for a variable. Compiled from the package iwechatpay/openapi and the documentation of the
# operations. If two pages disagree about a size, the larger one is used, because the service itself refuses files that
# are too large.
RULES = {
    "/v3/merchant/media/upload": Rule(most={**_each(_PICTURES, 5 * MB), "pdf": int(7.5 * MB)}),
    "/v3/merchant/media/video_upload": Rule(most=_each("avi wmv mpeg mp4 mov mkv flv f4v m4v rmvb", 5 * MB)),
    "/v3/marketing/favor/media/image-upload": _PICTURE,
    "/v3/marketing/partner/product-coupon/media/upload-image": _PICTURE,
    "/brand/marketing/product-coupon/media/upload-image": _PICTURE,
    "/v3/merchant-service/images/upload": _PICTURE,
    "/v3/global/merchant-service/images/upload": _PICTURE,
    "/v3/global/merchant-storage/file/upload": Rule("digest", most=_each(f"{_PICTURES} pdf", 5 * MB)),
    "/v3/ecommerce/account/cancel-applications/media": Rule(
        "file_digest", name="file_name", most=_each(_PICTURES, 2 * MB)
    ),
    "/v3/mch-manage/submission-files/sub-mchid/*/upload": Rule("file_digest", name="file_name", part="submission_file"),
    "/v3/mch-operation-manage/enhanced-due-diligence/*/upload": Rule(
        "file_digest", name="file_name", part="due_diligence_file"
    ),
    "/v3/marketing/bank/packages/*/tasks": Rule(),
    "/v3/marketing/shopping-receipt/shoppingreceipts": Rule(name="", most=_each("jpg jpeg png", 200 << 10)),
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
