"""Encodes uploads: multipart/form-data with a signed JSON part `meta` and a file that is streamed.

Only the meta is signed; it contains the digest of the file. Sources:
https://pay.weixin.qq.com/doc/v3/merchant/4012760432 for images, and the pages of the operations in
`_catalogue.upload_rules`.
"""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from wechatpay_chain._catalogue.upload_rule import Rule
from wechatpay_chain._catalogue.upload_rules import RULES
from wechatpay_chain._files.source import File
from wechatpay_chain._messages.json_body import encode_json
from wechatpay_chain._messages.request import Upload
from wechatpay_chain._schemes.digest import new_digest
from wechatpay_chain.errors import ArgumentError

__all__ = ["encode_form", "encode_upload"]

MOST_MEDIA = 2 * 1024 * 1024
"""Bytes of the largest file of APIv2."""


def encode_upload(path: str, file: File, meta: Any) -> tuple[bytes, Upload]:
    """Returns the meta, which is signed, and the multipart body, which is sent: the meta, then the file.

    For an operation in the catalogue, missing members of the meta (the file name, the digest) are filled in. For any
    other operation, the meta of the caller is sent, with members that are None filled in: a file name or a digest. If
    the caller passes no meta, it has the file name and the SHA-256.

    Args:
        path: the path of the request's target.
        file: the file to upload.
        meta: the meta of the caller, a mapping or None.

    Raises:
        ArgumentError: the operation does not take such a file, or the meta contradicts the file.
    """
    if meta is not None and not isinstance(meta, Mapping):
        raise ArgumentError(f"json: came a {type(meta).__name__} with files=; expected a mapping, the meta of the file")
    given = dict(meta or {})
    rule = next((rule for place, rule in RULES.items() if fnmatchcase(path, place)), None)
    name = (given.get(rule.name) or file.name) if rule else file.name
    if not isinstance(name, str):
        raise ArgumentError(f"json: the file name came as a {type(name).__name__}; expected a str")
    if rule or meta is None:
        given = _fill_meta(rule or Rule(part=file.part), file, name, given)
    else:
        given = {
            member: _fill_member(member, file, name) if value is None else value for member, value in given.items()
        }
    text = encode_json(given)
    return text, _encode_multipart(file, {"meta": ("application/json", text)}, name or "file")


def encode_form(
    file: File, part: str, given: Mapping[str, str], sign: Callable[[dict[str, str]], Mapping[str, str]]
) -> Upload:
    """Returns the form of an upload of APIv2: signed fields, then the file.

    Source: https://pay.weixin.qq.com/doc/v2/partner/4011941254

    Args:
        file: the file to upload.
        part: the name that its part must have; empty for an operation that the catalogue lacks.
        given: the fields of the caller.
        sign: returns fields with their signature.

    Raises:
        ArgumentError: the file is empty or too large, or has no name; or the fields contradict it.
    """
    _check_file(Rule(part=part or file.part), file, "")
    if not file.name:
        raise ArgumentError(f"files: {file.part!r} has no file name; pass ('a.jpg', …)")
    if part and file.size > MOST_MEDIA:
        raise ArgumentError(f"files: {file.part!r} has {file.size} bytes; expected at most {MOST_MEDIA}")
    digest = _compute_digest(file, "MD5")
    if given.get("media_hash", digest).lower() != digest:
        raise ArgumentError("xml: 'media_hash' is not the MD5 of the file; leave it out to have it computed")
    fields = sign({**given, "media_hash": digest})
    return _encode_multipart(file, {name: ("", text.encode()) for name, text in fields.items()}, file.name)


def _fill_member(member: str, file: File, name: str) -> str | None:
    """Returns the value for a member of the meta that is None, of an operation that the catalogue does not have."""
    if member in ("filename", "file_name"):
        return name
    return _compute_digest(file, member.upper()) if member in ("sha256", "sha1", "md5", "sm3") else None


def _compute_digest(file: File, algorithm: str) -> str:
    digest = new_digest(algorithm)
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _fill_meta(rule: Rule, file: File, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    _check_file(rule, file, suffix)
    if rule.name and not name:
        raise ArgumentError(
            f"files: {file.part!r} has no file name; pass {{{file.part!r}: ('a.jpg', …)}} or json={{{rule.name!r}: "
            "'a.jpg'}"
        )
    digest, given_digest = _compute_digest(file, rule.algorithm), given.get(rule.digest)
    if given_digest is not None and (not isinstance(given_digest, str) or given_digest.lower() != digest):
        raise ArgumentError(
            f"json: {rule.digest!r} is not the {rule.algorithm} of the file; leave it out to have it computed"
        )
    filled = {
        **({rule.name: name} if rule.name else {}),
        rule.digest: digest,
        **({rule.file_type: suffix.upper()} if rule.file_type else {}),
        **rule.more,
    }
    return {**filled, **{member: value for member, value in given.items() if value is not None or member not in filled}}


def _check_file(rule: Rule, file: File, suffix: str) -> None:
    if file.part != rule.part:
        raise ArgumentError(
            f"files: came the part {file.part!r}; expected {rule.part!r}, the part name of this operation"
        )
    if rule.most and suffix not in rule.most:
        raise ArgumentError(
            f"files: {file.part!r} came with the suffix {suffix!r}; expected a file name that ends in one of "
            f"{', '.join(rule.most)}"
        )
    if file.size == 0:
        raise ArgumentError(f"files: {file.part!r} is empty")
    if rule.most and file.size > rule.most[suffix]:
        raise ArgumentError(
            f"files: {file.part!r} has {file.size} bytes; expected at most {rule.most[suffix]} for {suffix} files"
        )


def _encode_multipart(file: File, fields: Mapping[str, tuple[str, bytes]], name: str) -> Upload:
    """Returns the multipart body (RFC 7578): fields with their types and contents, then the file.

    As in browsers, the file name is plain UTF-8, and quotes, backslashes and line breaks, which would end it, are
    percent-encoded.
    """
    boundary = secrets.token_hex(16)
    kind = mimetypes.guess_type(f"a.{name.rpartition('.')[2]}")[0] or "application/octet-stream"
    quoted = re.sub(r'["\\\r\n]', lambda found: f"%{ord(found[0]):02X}", name)

    def head_of(disposition: str, content_type: str) -> bytes:
        typed = f"\r\nContent-Type: {content_type}" if content_type else ""
        return _encode_utf8(f"--{boundary}\r\nContent-Disposition: form-data; {disposition}{typed}\r\n\r\n")

    parts = [head_of(f'name="{field}"', of) + content + b"\r\n" for field, (of, content) in fields.items()]
    head = b"".join(parts) + head_of(f'name="{file.part}"; filename="{quoted}"', kind)
    tail = f"\r\n--{boundary}--\r\n".encode()

    def chunks() -> Iterator[bytes]:
        yield head
        yield from file.chunks()
        yield tail

    return Upload(f"multipart/form-data; boundary={boundary}", len(head) + file.size + len(tail), chunks)


def _encode_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ArgumentError("files: the file name contains an unpaired surrogate, which UTF-8 cannot encode") from None
