"""The operations that take an uploaded file, and the one that returns an uploaded image."""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections.abc import Iterator

from wechatpay_chain._catalogue.formats import JSON
from wechatpay_chain._catalogue.operations import Schema, find_operation, list_operations
from wechatpay_chain._catalogue.upload_rule import Rule
from wechatpay_chain._catalogue.upload_rules import RULES
from wechatpay_chain._schemes.digest import new_digest
from wechatpay_chain.sandbox._operations.account import Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.answers import make_value
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["UPLOAD_HANDLERS", "meta_schema"]


def _make_upload(rule: Rule, member: str, response: Schema) -> Handler:
    """Returns a handler that stores the file of an upload if it conforms to its meta and to the rule.

    Args:
        rule: the requirements of the operation.
        member: the member of the response that contains the media ID.
        response: the schema of the response.
    """

    def upload(account: Account, request: CheckedRequest) -> Result:
        file, meta = request.file, request.body
        if file is None or file.part != rule.part:
            raise _param_error(rule.part, "file part is missing")
        # A file part without a file name is accepted, because an SDK whose uploads work with the service sends one.
        name = meta[rule.name] if rule.name else file.name
        suffix = name.rpartition(".")[2].lower() if "." in name else ""
        most = rule.most.get(suffix, 0 if rule.most and name else max(rule.most.values(), default=len(file.content)))
        if not 0 < len(file.content) <= most:
            raise _param_error(rule.part, "unsuitable suffix or size")
        if rule.name and file.name and file.name != name:
            raise _param_error(rule.name, "is not the name of the file")
        digest = new_digest(rule.algorithm)
        digest.update(file.content)
        if meta[rule.digest].lower() != digest.hexdigest():
            raise _param_error(rule.digest, f"is not the {rule.algorithm} of the file")
        media_id = secrets.token_urlsafe(48)
        content_type = mimetypes.guess_type(f"a.{suffix}")[0] or "application/octet-stream"
        account.files[media_id] = StoredFile(content_type, file.content)
        known = {**meta, member: media_id}
        return 200, make_value(response, known, digest.hexdigest().encode(), account.now())

    return upload


def _param_error(field: str, issue: str) -> Refusal:
    return Refusal(400, "PARAM_ERROR", "参数错误", {"field": f"/{field}", "issue": issue, "location": "body"})


def _download_image(account: Account, request: CheckedRequest) -> Result:
    return 200, account.find_file(request.path["media_id"])


# The member of the response that contains the media ID, if it is not `media_id`.
_MEMBERS = {
    "/v3/marketing/favor/media/image-upload": "media_url",
    "/v3/marketing/partner/product-coupon/media/upload-image": "media_url",
    "/v3/global/merchant-storage/file/upload": "file_id",
    "/v3/mch-manage/submission-files/sub-mchid/*/upload": "file_id",
    "/v3/mch-operation-manage/enhanced-due-diligence/*/upload": "file_id",
    "/v3/taxi-invoice/cards/upload-file": "fapiao_media_id",
    "/v3/new-tax-control-fapiao/fapiao-applications/upload-fapiao-file": "fapiao_media_id",
}


def meta_schema(path: str) -> Schema:
    """Returns the schema of the meta of an upload.

    Args:
        path: the path template of the operation.
    """
    rule = RULES[re.sub(r"\{\w+\}", "*", path)]
    names = [name for name in (rule.digest, rule.name, rule.file_type, *rule.more) if name]
    text = {"type": "string", "minLength": 1}
    return {"type": "object", "properties": dict.fromkeys(names, text), "required": names}


def _uploads() -> Iterator[tuple[tuple[str, str], Handler]]:
    for key in list_operations():
        operation = find_operation(*key)
        if operation and operation.form and operation.response and operation.format is JSON:
            path = re.sub(r"\{\w+\}", "*", operation.path)
            yield key, _make_upload(RULES[path], _MEMBERS.get(path, "media_id"), operation.response)


UPLOAD_HANDLERS: dict[tuple[str, str], Handler] = {
    **dict(_uploads()),
    ("GET", "/v3/merchant-service/images/{media_id}"): _download_image,
}
