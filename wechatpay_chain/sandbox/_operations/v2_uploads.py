"""The upload of APIv2: a form with signed fields and a file.

Source: the page of secapi/mch/uploadmedia.
"""

from __future__ import annotations

import hashlib
import mimetypes

from wechatpay_chain.sandbox._operations.account import Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["V2_UPLOAD_HANDLERS"]

MOST_BYTES = 2 << 20
"""The size of the largest file."""


def _upload(account: Account, request: CheckedRequest) -> Result:
    file = request.file
    if file is None or file.part != "media" or not 0 < len(file.content) <= MOST_BYTES:
        raise Refusal(400, "PARAM_ERROR", "media参数格式错误：须为不超过2MB的文件")
    if request.body["media_hash"] != hashlib.md5(file.content, usedforsecurity=False).hexdigest():
        raise Refusal(400, "PARAM_ERROR", "media_hash参数格式错误：须为文件的MD5")
    media_id = account.number(request.body["media_hash"], "media", digits=40)
    content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    account.files[media_id] = StoredFile(content_type, file.content)
    return 200, {
        "appid": f"wx{account.number('appid', digits=16)}",
        "mch_id": account.keys.number,
        "media_id": media_id,
    }


V2_UPLOAD_HANDLERS: dict[tuple[str, str], Handler] = {("POST", "/secapi/mch/uploadmedia"): _upload}
